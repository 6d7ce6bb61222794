/** Calls of the Node process to the tail in a process of Workers. */

import { endedInvocations, listenTo } from './tail.js';

export default { tails: { configure, ended } };

/** @type {(env: object, id: string, body: {workers: string[]}) => Promise<object>} */
async function configure(_env, _id, { workers }) {
  listenTo(workers);
  return {};
}

/** @type {() => Promise<object>} */
async function ended() {
  return { invocations: endedInvocations() };
}
