/** Calls to the place that holds task state, retried while the platform fails. */

import { Joint, jointOf } from '../joint.js';
import { patiently } from '../patience.js';
import { faultOf, InvocationSpent, StoreFull, StoreUnavailable } from './store_error.js';

/** @import { Invocation } from '../joint.js' */
/** @import { Row, Run, Statement } from './task_table.js' */

/** How long a store retries by default: a client waits for it. */
export const REQUEST_PATIENCE_SECONDS = 5;

/** A consumer retries for a shorter time: it can return tasks to the queue instead, and tasks in other parts of the store need not wait. */
export const CONSUMER_PATIENCE_SECONDS = 2;

/**
 * Limits of joint calls: as many statements as the Free plan lets an invocation send, besides its own
 * (https://developers.cloudflare.com/d1/platform/limits/), and as many bytes to send and to receive as leave room in the 32 MiB of a call
 * (https://developers.cloudflare.com/workers/runtime-apis/rpc/#limitations) and in an isolate.
 */
const BOUNDS = { items: 32, bytes: 4 * 1024 * 1024, answer_bytes: 24 * 1024 * 1024 };

/** The assumed size of a row's answer, by default. */
const ANSWER_BYTES = 64 * 1024;

/**
 * Creates the function that runs a table's statements.
 *
 * @param {object} place
 * @param {object} place.binding
 * @param {string} place.name the name of the object or database, if the binding has several
 * @param {boolean} place.isCounted whether the platform counts each statement against the invocation
 * @param {number} patience_seconds
 * @param {Invocation} invocation
 * @param {(statements: Statement[]) => Promise<Row[][]>} send
 * @returns {Run}
 */
export function runner({ binding, name, isCounted }, patience_seconds, invocation, send) {
  const joint = jointOf(binding, name, () => new Joint(BOUNDS, sizeOf, (error) => faultOf(error) === 'passing', isCounted));
  return (statements, way = 'joined') => {
    let isJoined = way === 'joined';
    return askStore(way === 'once' ? 0 : patience_seconds, () => {
      if (!isJoined) return send(statements);
      isJoined = false; // a repeated call is sent alone: it may be what failed the others
      return joint.ask(statements, send, invocation);
    });
  };
}

/** @param {Statement} statement */
function sizeOf({ sql, parameters, answer_bytes = ANSWER_BYTES }) {
  let bytes = sql.length;
  for (const parameter of parameters) bytes += typeof parameter === 'string' ? parameter.length : parameter instanceof Uint8Array ? parameter.byteLength : 8;
  return { bytes, answer_bytes };
}

/**
 * @template Answer
 * @param {number} patience_seconds 0 for a call that must not be repeated
 * @param {() => Promise<Answer>} ask
 * @returns {Promise<Answer>}
 * @throws {StoreUnavailable | StoreFull}
 * @throws  the error of a call that is itself at fault, unchanged
 */
export async function askStore(patience_seconds, ask) {
  try {
    return await patiently(patience_seconds, ask, (error) => faultOf(error) === 'passing');
  } catch (error) {
    const fault = faultOf(error);
    if (fault === 'bug') throw error;
    if (fault === 'full') throw new StoreFull(String(error), { cause: error });
    throw new (fault === 'spent' ? InvocationSpent : StoreUnavailable)(String(error), { cause: error });
  }
}
