/** `/pauses`: handlers whose tasks wait until they are resumed. */

import { ALL_HANDLERS } from '../stores/pause_table.js';
import { HANDLER_NAME } from './list.js';
import { invalidParameter, isoTime, jsonReply } from './reply.js';
import { readQuery } from './request.js';
import { findHandler } from './submission.js';

/** @import { Pause, Store } from '../stores/store.js' */
/** @import { Call } from './router.js' */

/** @param {Call} call */
export async function listPauses({ url, store }) {
  readQuery(url, []);
  return jsonReply(await view(store));
}

/**
 * @param {Call} call
 * @param {string} [handler] every handler where there is none
 */
export async function pause({ url, store, handlers }, handler) {
  readQuery(url, []);
  if (handler !== undefined) findHandler(handlers, handler);
  await store.setPause(handler ?? ALL_HANDLERS, Date.now());
  return jsonReply(await view(store));
}

/**
 * One that the Worker has no longer can be resumed, too: its tasks fail then, for that reason.
 *
 * @param {Call} call
 * @param {string} [handler]
 */
export async function resume({ url, store }, handler) {
  readQuery(url, []);
  if (handler !== undefined && !HANDLER_NAME.test(handler)) throw invalidParameter('handler', 'the name of a handler', handler);
  await store.setPause(handler ?? ALL_HANDLERS, null);
  return jsonReply(await view(store));
}

/** @param {Store} store */
async function view(store) {
  return { pauses: pausesView(await store.pauses()) };
}

/**
 * @param {Pause[]} pauses
 * @returns {{handler: string | null, since: string | null}[]} handler null: every handler
 */
export function pausesView(pauses) {
  return pauses.map(({ handler, paused_ms }) => ({ handler: handler === ALL_HANDLERS ? null : handler, since: isoTime(paused_ms) }));
}
