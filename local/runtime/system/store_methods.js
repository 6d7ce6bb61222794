/** Node's calls to the store about the Workers' processes: `configure` replaces the record of all of them, `finished` waits for the calls in one. */

import { callsOf, finished, setProcesses } from './processes.js';

export default { processes: { configure, finished: waitUntilFinished } };

/** @type {(env: object, id: string, told: Parameters<typeof setProcesses>[0]) => Promise<object>} */
async function configure(_env, _id, told) {
  setProcesses(told);
  return {};
}

/** @type {(env: object, id: string, body: {milliseconds: number}) => Promise<object>} */
async function waitUntilFinished(_env, id, { milliseconds }) {
  return { is_finished: await finished(id, milliseconds), ...callsOf(id) };
}
