/**
 * The data plane: `node main.js --state DIR`, with CLOUDFLARE_LOCAL_DATA_PLANE_TOKEN in the environment. It ends when its stdin is closed, so it
 * cannot outlive the process at the other end.
 */

import { mkdirSync, rmSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { reached } from './fault_points.js';
import { announceReady, openLog } from './log.js';
import { superviseWorkerd } from './workerd_supervisor.js';

/** The time for an orderly shutdown; it can be short, because the state is on disk at any time. */
const SHUTDOWN_MS = 2_000;

/** Relative to the state folder. */
const LOG_FILE = join('logs', 'cloudflare.log');

const { state } = parseArgs({ options: { state: { type: 'string' } } }).values;
const token = process.env.CLOUDFLARE_LOCAL_DATA_PLANE_TOKEN;
if (!state || !token) {
  console.error('expected: CLOUDFLARE_LOCAL_DATA_PLANE_TOKEN=... node main.js --state DIR');
  process.exit(2);
}

const stateDir = resolve(state);
openLog(join(stateDir, LOG_FILE));
const temporary = join(stateDir, 'tmp');
rmSync(temporary, { recursive: true, force: true }); // a killed process cannot delete its temporary files
mkdirSync(temporary, { recursive: true });
process.env.TMPDIR = temporary;
process.chdir(temporary); // the paths of sockets have a length limit, so they are relative to this folder
superviseWorkerd();

enableCompileCache(join(stateDir, 'compile-cache'));
// Imported late, so that Miniflare, which is large, is loaded from the compile cache.
const { Platform } = await import('./platform.js');
const { createInternalApi } = await import('./internal_api.js');

const platform = new Platform(stateDir, temporary);

let ending = false;
function shutDown() {
  if (ending) return;
  ending = true;
  setTimeout(() => process.exit(1), SHUTDOWN_MS);
  platform.dispose().finally(() => process.exit(0));
}
process.stdin.on('close', shutDown).on('error', shutDown).resume();
process.stdout.on('error', shutDown);
process.on('SIGTERM', shutDown).on('SIGINT', shutDown);

const api = createInternalApi({ token, platform });
api.listen(0, '127.0.0.1', () => {
  announceReady(/** @type {import('node:net').AddressInfo} */ (api.address()).port);
  reached('listening');
});
