/** Ends every workerd that Miniflare starts together with this process: see workerd_supervisor.sh. */

import { subscribe } from 'node:diagnostics_channel';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { WORKERD_VARIABLE } from './system/miniflare_internals.js';

/** @import { ChildProcess } from 'node:child_process' */

/**
 * Returns the environment that tells workerd_supervisor.sh what to do for one workerd.
 *
 * @param {{pidFile: string, sockets: string[], debugSocket?: string | undefined}} wanted the file for workerd's pid, and the paths of the sockets,
 *   which a killed workerd leaves behind
 */
export function supervision({ pidFile, sockets, debugSocket = '' }) {
  return { WORKERD_PID_FILE: pidFile, WORKERD_SOCKETS: [...sockets, debugSocket].join(' ').trim(), WORKERD_DEBUG_SOCKET: debugSocket };
}

/** Must be called before the first Miniflare starts. */
export function superviseWorkerd() {
  process.env.WORKERD_BINARY ??= createRequire(import.meta.resolve('miniflare'))('workerd').default;
  process.env[WORKERD_VARIABLE] = fileURLToPath(new URL('./workerd_supervisor.sh', import.meta.url));
  subscribe('child_process', (message) => {
    const { process: child } = /** @type {{process: ChildProcess}} */ (message);
    child.on('exit', () => reportUnread(child));
  });
}

/**
 * Miniflare waits until workerd has read its configuration. If workerd ends before that, Node only reports the exit: it closes the pipe without an
 * error, and Miniflare would wait for ever.
 *
 * @param {ChildProcess} child
 */
function reportUnread({ stdin }) {
  if (stdin === null || stdin.writableFinished) return;
  stdin.on('error', () => {}); // there may be no other listener
  stdin.emit('error', new Error('it has not read its configuration'));
}
