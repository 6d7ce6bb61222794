/** Ties every workerd that Miniflare starts to this process: see workerd_supervisor.sh. */

import { subscribe } from 'node:diagnostics_channel';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** @import { ChildProcess } from 'node:child_process' */

/** The variable that tells workerd_supervisor.sh where to write workerd's pid. */
export const WORKERD_PID_FILE = 'WORKERD_PID_FILE';

/** To be called before the first Miniflare starts. */
export function superviseWorkerd() {
  const miniflare = createRequire(import.meta.resolve('miniflare'));
  process.env.WORKERD_BINARY ??= miniflare('workerd').default;
  process.env.MINIFLARE_WORKERD_PATH = fileURLToPath(new URL('./workerd_supervisor.sh', import.meta.url));
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
