/**
 * The limit of a step's output, for which Miniflare's engine only has the size of a row. This module is added to the Worker that has the class
 * (https://developers.cloudflare.com/workflows/reference/limits/).
 */

import { jsonBytes } from '../../../runtime/system/value_sizes.js';

const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * @typedef {{step?: {name: string, count: number}}} StepContext
 * @typedef {new (...args: any[]) => {run(event: unknown, step: object): unknown}} WorkflowClass
 */

/**
 * Returns a subclass whose steps fail if their output is too large.
 *
 * @param {WorkflowClass} original
 * @returns {WorkflowClass}
 */
export function withStepLimits(original) {
  const subclass = class extends original {
    /**
     * @override
     * @param {unknown} event
     * @param {object} step
     */
    run(event, step) {
      return super.run(event, limitedStep(step));
    }
  };
  return Object.defineProperty(subclass, 'name', { value: original.name });
}

/** @param {any} step the engine's step, a stub */
function limitedStep(step) {
  return new Proxy(step, {
    get(target, name) {
      if (name !== 'do') return target[name];
      return (/** @type {unknown[]} */ ...args) => target.do(...args.map(limitedCallback));
    },
  });
}

/** @param {unknown} argument an argument of `step.do`: a name, settings, or the callback */
function limitedCallback(argument) {
  if (typeof argument !== 'function') return argument;
  return async (/** @type {StepContext} */ context, /** @type {unknown[]} */ ...rest) => {
    const output = await argument(context, ...rest);
    if (!(output instanceof ReadableStream) && jsonBytes(output) > MAX_OUTPUT_BYTES) throw tooLarge(context);
    return output;
  };
}

/** @param {StepContext} context */
function tooLarge({ step }) {
  const name = step ? ` ${step.name}-${step.count}` : '';
  const error = new Error(`Step${name} output is too large. Maximum allowed size is 1MiB.`);
  return Object.assign(error, { name: 'WorkflowInternalError' });
}
