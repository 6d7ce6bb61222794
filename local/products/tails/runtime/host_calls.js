/** What the tail of a process is told and asked by the Node side. */

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
