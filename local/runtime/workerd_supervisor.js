/** Ties every workerd that Miniflare starts to this process: see workerd_supervisor.sh. */

import { subscribe } from 'node:diagnostics_channel';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { WORKERD_VARIABLE } from './system/miniflare_internals.js';

/** @import { ChildProcess } from 'node:child_process' */

/**
 * What workerd_supervisor.sh is to do for one workerd, as its environment.
 *
 * @param {{pidFile: string, sockets: string[], debugSocket?: string | undefined}} wanted where it writes workerd's pid, and
 *   the paths that workerd listens on, which a killed one leaves behind
 */
export function supervision({ pidFile, sockets, debugSocket = '' }) {
  return { WORKERD_PID_FILE: pidFile, WORKERD_SOCKETS: [...sockets, debugSocket].join(' ').trim(), WORKERD_DEBUG_SOCKET: debugSocket };
}

/** To be called before the first Miniflare starts. */
export function superviseWorkerd() {
  process.env.WORKERD_BINARY ??= createRequire(import.meta.resolve('miniflare'))('workerd').default;
  process.env[WORKERD_VARIABLE] = fileURLToPath(new URL('./workerd_supervisor.sh', import.meta.url));
  subscribe('child_process', (message) => {
    const { process: child } = /** @type {{process: ChildProcess}} */ (message);
    child.on('exit', () => reportUnread(child));
  });
}

/**
 * Miniflare waits until workerd has read its configuration. Of one that has ended before that, Node tells the exit alone:
 * it closes the pipe without an error, and Miniflare would wait for ever.
 *
 * @param {ChildProcess} child
 */
function reportUnread({ stdin }) {
  if (stdin === null || stdin.writableFinished) return;
  stdin.on('error', () => {}); // there need not be anybody else who listens
  stdin.emit('error', new Error('it has not read its configuration'));
}
