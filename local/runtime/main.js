/**
 * The data plane: `node main.js --state DIR`, with CLOUDFLARE_LOCAL_DATA_PLANE_TOKEN in the environment. It lives as long as
 * its stdin stays open, so it cannot outlive the process that holds the other end.
 */

import { mkdirSync, rmSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { reached } from './fault_points.js';
import { announceReady, openLog } from './log.js';
import { superviseWorkerd } from './workerd_supervisor.js';

/** Time for an orderly end; state is on disk at any time, so it need not be long. */
const SHUTDOWN_MS = 2_000;

/** In the state folder. */
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
rmSync(temporary, { recursive: true, force: true }); // a killed process cannot clean up after itself
mkdirSync(temporary, { recursive: true });
process.env.TMPDIR = temporary;
process.chdir(temporary); // sockets of processes have paths in it: a whole path may be too long for one
superviseWorkerd();

enableCompileCache(join(stateDir, 'compile-cache'));
// Loaded late, so that Miniflare, which is large, comes out of the cache.
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
