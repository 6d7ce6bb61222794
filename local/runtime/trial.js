/** A trial run of an upload in a workerd of its own: does it start, how long does that take, what does it export? */

import { readFileSync } from 'node:fs';

import { Miniflare, NoOpLog } from 'miniflare';

import { TRIAL_CLASS, TRIAL_WORKER } from './bindings.js';
import { PlatformError } from './errors.js';
import { trialBinding } from './products.js';
import { PARTS, versionOptions } from './worker_options.js';
import { cleaned, invalidWorker } from './workerd_errors.js';

/**
 * @import { Version } from './desired_state.js'
 *
 * @typedef {{startup_time_ms: number, handlers: string[], named_handlers: {name: string, handlers: string[]}[], workflow_classes: string[]}} Trial
 */

/** Cloudflare allows 1 s of CPU time; this is time by the clock, on a machine that may be busy. */
const STARTUP_LIMIT_MS = 5_000;
const STARTUP_TOO_LONG = 'Script startup exceeded CPU time limit.';
const MAIN_MODULE = '__trial.js';
const MAIN_SOURCE = readFileSync(new URL('./trial_worker/trial.js', import.meta.url), 'utf8');

/**
 * Throws an `invalid_worker` error, with workerd's own message, for an upload that does not start.
 *
 * @param {Version} version
 * @returns {Promise<Trial>}
 */
export async function tryVersion(version) {
  const mainModule = version.main_module;
  if (mainModule === null || !version.modules.some(({ name }) => name === mainModule)) {
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
    const url = await miniflare.unsafeGetDirectURL(TRIAL_WORKER);
    url.searchParams.set('main_module', mainModule);
    if (version.service_worker) url.searchParams.set('globals', JSON.stringify(parts(version)));
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

/**
 * The modules that a script in the service worker syntax is to find as globals, by their names there.
 *
 * @param {Version} version
 */
function parts({ bindings }) {
  return Object.fromEntries(bindings.filter(({ type }) => type in PARTS).map(({ name, part }) => [name, part]));
}

/** @param {Version} version */
function trialWorker(version) {
  // A script in the service worker syntax is tried as a CommonJS module, with globals as it will find them.
  const options = versionOptions(TRIAL_WORKER, { ...version, service_worker: false }, trialBinding);
  const { manifest } = options.config;
  if (!manifest) throw new TypeError('expected a manifest');
  manifest.mainModule = MAIN_MODULE;
  manifest.modules[MAIN_MODULE] = { type: 'esm', contents: MAIN_SOURCE };
  options.config.exports = { [TRIAL_CLASS]: { type: 'durable-object', storage: 'sqlite' } };
  return options;
}
