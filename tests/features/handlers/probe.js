/** Does what its parameters say, so that the tests see every way in which a task can go. */

import { PermanentError, RetryLater } from 'task-runner';

/** @import { Context } from '../../../worker/handler.js' */
/** @import { Payload } from '../task.js' */

export const parameters = {
  act: 'echo, fail, hold, later, break-down or give-up',
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
    case 'later':
      if (attempt === 1) throw new RetryLater(4, 'not before the quota is full again');
      return { attempt };
    case 'break-down':
      throw new AggregateError([new TypeError('one'), Object.assign(new Error('two'), { code: 'E_TWO' })], 'both failed', { cause: 'the weather' });
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
