/** The sweep: deletes tasks whose time to live is over and rescues unfinished ones whose message or consumer was lost. */

import { SWEEP_GRACE_SECONDS } from './task.js';

/** @import { Engine } from './engines/engine.js' */
/** @import { Store } from './stores/store.js' */

/** How many chunks one sweep deletes at most: more than a minute's tasks, in fewer than the 50 statements that an
 * invocation has on the Free plan (https://developers.cloudflare.com/d1/platform/limits/), five each. */
const EXPIRE_CHUNKS = 8;

/**
 * @param {Store} store
 * @param {Engine} engine
 */
export async function sweep(store, engine) {
  const expired = await expire(store);
  const open = await store.sweep(Date.now() - SWEEP_GRACE_SECONDS * 1000);
  const rescued = open.length > 0 ? await engine.rescue(open) : { resent: 0, returned: 0, failed: 0 };
  const counts = { expired, ...rescued };
  if (Object.values(counts).every((count) => count === 0)) return;
  console.log('swept', counts);
  await store.countSweep(counts);
}

/** @param {Store} store */
async function expire(store) {
  let expired = 0;
  for (let chunk = 0; chunk < EXPIRE_CHUNKS; chunk++) {
    const count = await store.expire();
    expired += count;
    if (count === 0) break;
  }
  return expired;
}
