/**
 * Invocations of a consumer that a fault kills. workerd ends an invocation whose caller is gone, at once and in the middle
 * of whatever it does; so whoever makes such a call is somebody that can be told to go.
 */

import { WorkerEntrypoint } from 'cloudflare:workers';

import { describe } from '../../../runtime/system/logging.js';
import { Hosts } from '../../../runtime/system/processes.js';
import { drawFault } from '../../faults/runtime/rules.js';

/**
 * @import { Env as ProcessesEnv } from '../../../runtime/system/processes.js'
 * @import { BatchResult } from './batch_result.js'
 *
 * @typedef {ProcessesEnv & {KILLABLE: Fetcher}} Env `KILLABLE` is a binding to `KillableInvocation`
 */

/** Invocations that are to begin, by key. An isolate has one such map for all its entrypoints and objects. @type {Map<string, () => Promise<BatchResult>>} */
const waiting = new Map();

/** Makes the invocation of its address, for as long as whoever asked for it is there. */
export class KillableInvocation extends WorkerEntrypoint {
  /**
   * @override
   * @param {Request} request
   */
  async fetch({ url }) {
    const { pathname } = new URL(url);
    const invoke = waiting.get(pathname);
    waiting.delete(pathname);
    return Response.json(await invoke?.());
  }
}

/**
 * Invokes a consumer, which a fault may kill. Nothing that a killed handler said counts, for that is told at an
 * invocation's end.
 *
 * @param {Env} env
 * @param {Hosts} hosts of whoever calls this
 * @param {string} worker
 * @param {(hosts: Hosts) => Promise<BatchResult>} invoke with nothing that belongs to an object: it may be called elsewhere
 * @param {BatchResult} failed what an invocation without a word comes to
 * @returns {Promise<BatchResult>}
 */
export async function killable(env, hosts, worker, invoke, failed) {
  const fault = drawFault({ product: 'worker', resource: worker, method: 'queue' });
  if (fault === null) return invoke(hosts);
  const key = `/${crypto.randomUUID()}`;
  waiting.set(key, () => invoke(new Hosts(env))); // connections belong to whoever opened them
  const death = AbortSignal.timeout(fault.delayMs);
  try {
    await env.KILLABLE.fetch(`http://invocation${key}`, { signal: death });
  } catch (error) {
    if (!death.aborted) throw error;
  }
  console.error(describe(`an invocation of ${worker} was killed, as a fault on request has it`, fault.message));
  return { ...failed, outcome: fault.message };
}
