/** A trial run of an upload in a separate workerd: whether it starts, how long that takes, and what it exports. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { TRIAL_CLASS, TRIAL_WORKER } from './bindings.js';
import { PlatformError } from './errors.js';
import { Miniflare, NoOpLog } from './miniflare.js';
import { trialBinding } from './products.js';
import { PARTS, versionOptions } from './worker_options.js';
import { cleaned, invalidWorker } from './workerd_errors.js';

/**
 * @import { Version } from './desired_state.js'
 *
 * @typedef {{startup_time_ms: number, handlers: string[], named_handlers: {name: string, handlers: string[]}[], workflow_classes: string[]}} Trial
 */

/** Cloudflare allows 1 s of CPU time; this is wall-clock time, on a computer that may be busy. */
const STARTUP_LIMIT_MS = 5_000;
const STARTUP_TOO_LONG = 'Script startup exceeded CPU time limit.';
const MAIN_MODULE = '__trial.js';
const MAIN_SOURCE = readFileSync(new URL('./trial_worker/trial.js', import.meta.url), 'utf8');

/** How many uploads' results are kept. */
const REMEMBERED = 500;

/** Trials of uploads. An upload that is equal to an earlier one is not tried again. */
export class Trials {
  #code;
  /** @type {Map<string, Promise<Trial>>} the latest last */
  #passed = new Map();

  /** @param {string} code the folder of modules' contents */
  constructor(code) {
    this.#code = code;
  }

  /**
   * Throws an `invalid_worker` error, with workerd's own message, for an upload that does not start. A failed upload is tried each time: the reason
   * may be a value that the comparison ignores.
   *
   * @param {Version} version
   * @returns {Promise<Trial>}
   */
  async of(version) {
    const key = likeness(version);
    const trial = this.#passed.get(key) ?? tryVersion(version, this.#code);
    this.#passed.delete(key);
    this.#passed.set(key, trial);
    for (const oldest of this.#passed.keys()) if (this.#passed.size > REMEMBERED) this.#passed.delete(oldest);
    try {
      return await trial;
    } catch (error) {
      if (this.#passed.get(key) === trial) this.#passed.delete(key);
      throw error;
    }
  }
}

/**
 * Returns everything on which the result of a trial depends, except the values of variables.
 *
 * @param {Version} version
 */
function likeness({ main_module, service_worker, compatibility_date, compatibility_flags, modules, bindings }) {
  const shapes = bindings.map(({ type, name, part }) => [type, name, part]);
  const text = JSON.stringify([main_module, service_worker, compatibility_date, compatibility_flags, modules, shapes]);
  return createHash('sha256').update(text).digest('hex');
}

/**
 * @param {Version} version
 * @param {string} code
 * @returns {Promise<Trial>}
 */
async function tryVersion(version, code) {
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
    workers: [trialWorker(version, code)],
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
    await miniflare.dispose().catch(() => {}); // rejects again if the start failed
  }
}

/**
 * Returns the modules that a script in the service worker syntax finds as globals, by their names there.
 *
 * @param {Version} version
 */
function parts({ bindings }) {
  return Object.fromEntries(bindings.filter(({ type }) => type in PARTS).map(({ name, part }) => [name, part]));
}

/**
 * @param {Version} version
 * @param {string} code
 */
function trialWorker(version, code) {
  // A script in the service worker syntax is tried as a CommonJS module, with its globals.
  const options = versionOptions(TRIAL_WORKER, { ...version, service_worker: false }, code, trialBinding);
  const { manifest } = options.config;
  if (!manifest) throw new TypeError('expected a manifest');
  manifest.mainModule = MAIN_MODULE;
  manifest.modules[MAIN_MODULE] = { type: 'esm', contents: MAIN_SOURCE };
  options.config.exports = { [TRIAL_CLASS]: { type: 'durable-object', storage: 'sqlite' } };
  return options;
}
