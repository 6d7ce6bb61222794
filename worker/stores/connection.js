/** Calls to the place that holds task state, repeated while it is the platform that fails. */

import { Joint, jointOf } from '../joint.js';
import { patiently } from '../patience.js';
import { faultOf, InvocationSpent, StoreFull, StoreUnavailable } from './store_error.js';

/** @import { Invocation } from '../joint.js' */
/** @import { Row, Run, Statement } from './task_table.js' */

/** How long a store goes on asking where nothing else is said: a client waits for it. */
export const REQUEST_PATIENCE_SECONDS = 5;

/** What works off tasks lets them come again instead, and those of other parts of the store need not wait. */
export const CONSUMER_PATIENCE_SECONDS = 2;

/**
 * Statements that are joined: as many as the Free plan lets an invocation ask for, less its own
 * (https://developers.cloudflare.com/d1/platform/limits/), and so much to send and to receive as leaves room in the 32 MiB of a call
 * (https://developers.cloudflare.com/workers/runtime-apis/rpc/#limitations) and in an isolate.
 */
const BOUNDS = { items: 32, bytes: 4 * 1024 * 1024, answer_bytes: 24 * 1024 * 1024 };

/** How many bytes a row's answer is taken for where nothing is said. */
const ANSWER_BYTES = 64 * 1024;

/**
 * Makes what runs a table's statements.
 *
 * @param {object} place
 * @param {object} place.binding
 * @param {string} place.name of the object or database, where the binding has several
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
      isJoined = false; // what comes again comes alone: it may be what failed the others
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
    throw new (fault === 'spent' ? InvocationSpent : StoreUnavailable)(String(error), { cause: error });
  }
}
