/** A trial run of an upload in a workerd of its own: does it start, how long does that take, what does it export? */

import { readFileSync } from 'node:fs';

import { Miniflare, NoOpLog } from 'miniflare';

import { PlatformError } from './errors.js';
import { PARTS, binding, versionOptions, workerdBinding, workflowBinding } from './worker_options.js';
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
const MAIN_SOURCE = readFileSync(new URL('./trial_worker/trial.js', import.meta.url), 'utf8');

/** The trial Worker itself, as workerd.capnp's `ServiceDesignator`. */
const ITSELF = { name: `core:user:${NAME}` };
const OBJECT_CLASS = 'StandIn';
/**
 * Bindings whose other end is the trial Worker instead of the real thing. Code that is being loaded may make a handle of
 * them and more of that; it cannot call anything.
 *
 * @type {Record<string, () => unknown>}
 */
const STAND_INS = {
  assets: () => ({ type: 'worker', worker: NAME }),
  d1: () => ({ type: 'd1', id: NAME }),
  durable_object_namespace: () => ({ type: 'durable-object', worker: NAME, exportName: OBJECT_CLASS }),
  service: () => ({ type: 'worker', worker: NAME }),
  kv_namespace: () => workerdBinding({ kvNamespace: ITSELF }),
  queue: () => workerdBinding({ queue: ITSELF }),
  analytics_engine: () => workerdBinding({ analyticsEngine: ITSELF }),
  r2_bucket: () => workerdBinding({ r2Bucket: ITSELF }),
  workflow: () => workflowBinding(ITSELF),
};

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
    const url = await miniflare.unsafeGetDirectURL(NAME);
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
  const options = versionOptions(NAME, { ...version, service_worker: false }, (wanted) => STAND_INS[wanted.type]?.() ?? binding(wanted));
  const { manifest } = options.config;
  if (!manifest) throw new TypeError('expected a manifest');
  manifest.mainModule = MAIN_MODULE;
  manifest.modules[MAIN_MODULE] = { type: 'esm', contents: MAIN_SOURCE };
  options.config.exports = { [OBJECT_CLASS]: { type: 'durable-object', storage: 'sqlite' } };
  return options;
}
