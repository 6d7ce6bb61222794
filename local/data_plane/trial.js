/** A trial run of an upload in a workerd of its own: does it start, how long does that take, what does it export? */

import { readFileSync } from 'node:fs';

import { Miniflare, NoOpLog } from 'miniflare';

import { PlatformError } from './errors.js';
import { versionOptions } from './worker_options.js';
import { cleaned, invalidWorker } from './workerd_errors.js';

/**
 * @import { Version } from './desired_state.js'
 *
 * @typedef {{startup_time_ms: number, handlers: string[], named_handlers: {name: string, handlers: string[]}[], workflow_classes: string[]}} Trial
 */

/** Cloudflare allows 1 s of CPU time; this is time by the clock, on a machine that may be busy. */
const STARTUP_LIMIT_MS = 5_000;
const STARTUP_TOO_LONG = 'Script startup exceeded CPU time limit.';
const NAME = 'trial';
const MAIN_MODULE = '__trial.js';
const MAIN_SOURCE = readFileSync(new URL('./workers/trial/trial.js', import.meta.url), 'utf8');

/**
 * Throws an `invalid_worker` error, with workerd's own message, for an upload that does not start.
 *
 * @param {Version} version
 * @returns {Promise<Trial>}
 */
export async function tryVersion(version) {
  if (!version.modules.some(({ name }) => name === version.main_module)) {
    throw new PlatformError('invalid_worker', `No such module "${version.main_module}".`);
  }
  const miniflare = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    cf: false,
    enableDevRegistry: false,
    logRequests: false,
    log: new NoOpLog(),
    handleStructuredLogs: () => {},
    workers: [trialWorker(version)],
  });
  try {
    const url = await miniflare.unsafeGetDirectURL(NAME);
    url.searchParams.set('main_module', version.main_module);
    const response = await fetch(url, { signal: AbortSignal.timeout(STARTUP_LIMIT_MS) });
    if (response.ok) return /** @type {any} */ (await response.json());
    throw new PlatformError('invalid_worker', cleaned(`Uncaught ${await response.text()}`));
  } catch (error) {
    if (error instanceof DOMException) throw new PlatformError('invalid_worker', STARTUP_TOO_LONG);
    throw invalidWorker(error);
  } finally {
    await miniflare.dispose().catch(() => {}); // rejects again when the start failed
  }
}

/** @param {Version} version */
function trialWorker(version) {
  const options = versionOptions(NAME, version);
  const { manifest, env = {} } = options.config;
  if (!manifest) throw new TypeError('expected a manifest');
  manifest.mainModule = MAIN_MODULE;
  manifest.modules[MAIN_MODULE] = { type: 'esm', contents: MAIN_SOURCE };
  // Only values: no Worker can use a database or a queue while it starts.
  const values = Object.entries(env).filter(([, binding]) => binding.type === 'text' || binding.type === 'json');
  options.config.env = Object.fromEntries(values);
  return options;
}
