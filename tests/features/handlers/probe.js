/** Does what its parameters say, so that the tests see every way in which a task can go. */

import { PermanentError } from '../handler.js';

/** @import { Context } from '../handler.js' */
/** @import { Payload } from '../task.js' */

export const parameters = {
  act: 'echo, fail, hold or give-up',
  until: 'the attempt that no longer fails; without it all do',
};

/**
 * @param {Payload} payload
 * @param {Context} context
 */
export default async function probe(payload, context) {
  const { attempt, parameters: { act = 'echo', until }, progress, signal, taskId, bindings, log } = context;
  log.info('probing', { act });
  switch (act) {
    case 'fail':
      if (attempt < Number(until ?? Infinity)) throw new RangeError(`attempt ${attempt} fails`);
      return { attempt };
    case 'give-up':
      throw new PermanentError('never again');
    case 'hold':
      progress(25, 'holding');
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      return null;
    default:
      return { payload: String(payload), attempt, taskId, hasTokens: 'API_TOKENS' in bindings, maxRetries: bindings['MAX_RETRIES'] };
  }
}
