/**
 * Invocations of a consumer that a fault can kill. workerd ends an invocation at once, whatever it does, when its caller is gone. So each of these
 * invocations has a caller of its own that can be ended.
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

/** Invocations that are about to begin, by key. An isolate has one such map for all its entrypoints and objects.
 * @type {Map<string, () => Promise<BatchResult>>} */
const waiting = new Map();

/** Makes the invocation of its address, as long as its own caller exists. */
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
 * Invokes a consumer, which a fault may kill. What a killed handler reported does not count, because results are only passed on at the end of an
 * invocation.
 *
 * @param {Env} env
 * @param {Hosts} hosts the hosts of the caller
 * @param {string} worker
 * @param {(hosts: Hosts) => Promise<BatchResult>} invoke the invocation; it must not use anything of an object, because another context may call it
 * @param {BatchResult} failed the result of an invocation that ended without one
 * @returns {Promise<BatchResult>}
 */
export async function killable(env, hosts, worker, invoke, failed) {
  const fault = drawFault({ product: 'worker', resource: worker, method: 'queue' });
  if (fault === null) return invoke(hosts);
  const key = `/${crypto.randomUUID()}`;
  waiting.set(key, () => invoke(new Hosts(env))); // connections belong to the context that opened them
  const death = AbortSignal.timeout(fault.delayMs);
  try {
    await env.KILLABLE.fetch(`http://invocation${key}`, { signal: death });
  } catch (error) {
    if (!death.aborted) throw error;
  }
  console.error(describe(`an invocation of ${worker} was killed, as a fault on request has it`, fault.message));
  return { ...failed, outcome: fault.message };
}
