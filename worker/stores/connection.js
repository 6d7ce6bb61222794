/** Calls to the place that holds task state, repeated while it is the platform that fails. */

import { patiently } from '../patience.js';
import { faultOf, StoreFull, StoreUnavailable } from './store_error.js';

/** How long a store goes on asking where nothing else is said: a client waits for it. */
export const REQUEST_PATIENCE_SECONDS = 5;

/** What works off tasks lets them come again instead, and those of other parts of the store need not wait. */
export const CONSUMER_PATIENCE_SECONDS = 2;

/**
 * @template Answer
 * @param {number} patience_seconds 0 for what may be done once only
 * @param {() => Promise<Answer>} ask
 * @returns {Promise<Answer>}
 * @throws {StoreUnavailable | StoreFull}
 * @throws what the call itself is at fault for, as it came
 */
export async function askStore(patience_seconds, ask) {
  try {
    return await patiently(patience_seconds, ask, (error) => faultOf(error) === 'passing');
  } catch (error) {
    const fault = faultOf(error);
    if (fault === 'bug') throw error;
    if (fault === 'full') throw new StoreFull(String(error), { cause: error });
    throw new StoreUnavailable(String(error), { cause: error });
  }
}
