/**
 * The limit of what a step of a Workflow gives back, which Miniflare's engine leaves to the size of a row. This module is
 * put into the Worker that has the class (https://developers.cloudflare.com/workflows/reference/limits/).
 */

import { jsonBytes } from '../../../runtime/system/value_sizes.js';

const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * @typedef {{step?: {name: string, count: number}}} StepContext
 * @typedef {new (...args: any[]) => {run(event: unknown, step: object): unknown}} WorkflowClass
 */

/**
 * A class like another, whose steps fail when they give back too much.
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

/** @param {any} step the engine's, a stub */
function limitedStep(step) {
  return new Proxy(step, {
    get(target, name) {
      if (name !== 'do') return target[name];
      return (/** @type {unknown[]} */ ...args) => target.do(...args.map(limitedCallback));
    },
  });
}

/** @param {unknown} argument of `step.do`: a name, settings, the callback */
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
