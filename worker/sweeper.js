/** The cron run: deletes tasks whose time to live is over and rescues unfinished ones whose message was lost. */

/** @import { D1Store } from './stores/d1.js' */
/** @import { QueueEngine } from './engines/queue.js' */

/** How long a young task is left alone: its POST may still be sending the message. */
const GRACE_SECONDS = 60;

/**
 * @param {D1Store} store
 * @param {QueueEngine} engine
 */
export async function sweep(store, engine) {
  const expired = await store.expire();
  const open = await store.sweep(Date.now() - GRACE_SECONDS * 1000);
  const { sent, failed } = open.length > 0 ? await engine.rescue(open) : { sent: 0, failed: 0 };
  if (expired + sent + failed > 0) console.log('swept', { expired, sent, failed });
}
