/** The cron run: deletes tasks whose time to live is over and rescues unfinished ones whose message was lost. */

import { SWEEP_GRACE_SECONDS } from './task.js';

/** @import { Engine } from './engines/engine.js' */
/** @import { Store } from './stores/store.js' */

/**
 * @param {Store} store
 * @param {Engine} engine
 */
export async function sweep(store, engine) {
  const expired = await store.expire();
  const open = await store.sweep(Date.now() - SWEEP_GRACE_SECONDS * 1000);
  const { sent, failed } = open.length > 0 ? await engine.rescue(open) : { sent: 0, failed: 0 };
  if (expired + sent + failed > 0) console.log('swept', { expired, sent, failed });
}
