/** The Workers of a process, by the names of their versions, for the Node process. */

import { bound } from './dispatcher.js';

/** @import { Services } from './dispatcher.js' */

export default { workers: { scheduled } };

/** @type {(env: Services, service: string, event: {cron: string, scheduled_ms: number}) => Promise<object>} */
async function scheduled(env, service, { cron, scheduled_ms }) {
  const { outcome } = await bound(env, `SERVICE ${service}`).scheduled({ cron, scheduledTime: new Date(scheduled_ms) });
  return { outcome };
}
