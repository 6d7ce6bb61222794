/** Miniflare's options for each process: the store's with its Worker, and those of Workers, with one Worker for each version and the host Worker. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { HOST_WORKER, STORE_WORKER, workerdBinding } from './bindings.js';
import { serviceName } from './desired_state.js';
import { doorName, doorSocket } from './doors.js';
import { PlatformError } from './errors.js';
import { guardedCode } from './guarded_code.js';
import { log } from './log.js';
import { kVoid } from './miniflare.js';
import { CACHE_STORAGE, SERVICE_PREFIX } from './system/miniflare_internals.js';
import { STORE_CLASSES, STORE_ENVIRONMENT, binding, ownModules } from './products.js';
import { running } from './worker_groups.js';
import { codeBinding } from './workerd_plugin.js';

/**
 * @import { Env, WorkerOptions } from './bindings.js'
 * @import { Assets, Binding, Module, ObjectClass, Version, Worker } from './desired_state.js'
 * @import { TailReport } from './system/logging.js'
 * @import { WorkerGroup } from './worker_groups.js'
 *
 * @typedef {{token: string, receive: (report: TailReport) => void, cache: string}} Host `cache` is the folder of the Cache API,
 *   which no two processes may share
 * @typedef {{sites: string, code: string}} Folders of the folders that versions serve, and of modules' contents
 */

const OWN_COMPATIBILITY_DATE = '2026-06-01';
/** The code of a Worker with assets only; nothing calls it. */
const NO_CODE = { mainModule: 'index.js', modules: { 'index.js': /** @type {const} */ ({ type: 'esm', contents: 'export default {}' }) } };
const LOOPBACK = '127.0.0.1';
/** For debuggers; workerd does not use it. */
const SOURCE_MAP = 'application/source-map';

/** Cloudflare's content types of modules, with Miniflare's types. */
const MODULE_TYPES = /** @type {const} */ ({
  'application/javascript+module': 'esm',
  'text/javascript+module': 'esm',
  'application/javascript': 'cjs',
  'text/javascript': 'cjs',
  'application/json': 'json',
  'application/wasm': 'wasm',
  'application/octet-stream': 'data',
  'text/plain': 'text',
});

/** Bindings to parts of the upload, with Miniflare's options; only the service worker syntax supports them. */
export const PARTS = { wasm_module: 'wasmBindings', data_blob: 'dataBlobBindings' };

/**
 * Returns all Workers of a group. The host Worker is the first one, which answers requests that no other Worker claims.
 *
 * @param {WorkerGroup} group
 * @param {Host} host
 * @param {Folders} folders
 * @returns {WorkerOptions[]}
 */
export function groupOptions(group, host, folders) {
  return [hostWorker(group, host), ...group.workers.flatMap((worker) => runningVersions(worker, folders))];
}

/**
 * Returns the store's Worker, which no deployment changes.
 *
 * @param {{token: string, start: (process: string) => Promise<void>}} store `start` is called for a Worker's process that is not running
 * @returns {WorkerOptions[]}
 */
export function storeOptions({ token, start }) {
  const namespaces = STORE_CLASSES.map(([name, { binding: as }]) => [as, { type: 'durable-object', worker: STORE_WORKER, exportName: name }]);
  const classes = STORE_CLASSES.map(([name, { uniqueKey, preventEviction }]) => [
    name,
    { type: 'durable-object', storage: 'sqlite', unsafeUniqueKey: uniqueKey, ...(preventEviction && { unsafePreventEviction: true }) },
  ]);
  const env = {
    ...Object.fromEntries(namespaces),
    ...STORE_ENVIRONMENT,
    PROCESSES: { type: /** @type {const} */ ('node-handler'), handler: handler('a process of Workers does not start', start) },
    DEBUG_PORT: workerdBinding({ workerdDebugPort: kVoid }, { sockets: [doorSocket(SERVICE_PREFIX + STORE_WORKER)] }),
  };
  return [ownWorker('store', STORE_WORKER, token, env, Object.fromEntries(classes))];
}

/**
 * Returns one version, for live use and for a trial.
 *
 * @param {string} name
 * @param {Version} version
 * @param {string} code the folder of modules' contents
 * @param {(wanted: Binding, version: Version) => unknown} [bind]
 * @returns {WorkerOptions}
 */
export function versionOptions(name, version, code, bind = binding) {
  const uploaded = modules(version.modules, code);
  const bound = version.bindings
    .filter(({ type }) => !(type in PARTS))
    .map((b) => [b.name, b.type === 'text_blob' ? { type: 'text', value: uploaded[String(b.part)]?.contents } : bind(b, version)]);
  return {
    ...(version.service_worker && { legacy: serviceWorker(version, uploaded) }),
    config: {
      name,
      compatibilityDate: version.compatibility_date,
      compatibilityFlags: version.compatibility_flags,
      ...(!version.service_worker && { manifest: { modulesRoot: '/', ...manifest(version, uploaded) } }),
      env: /** @type {Record<string, Env>} */ (Object.fromEntries(bound)),
      exports: Object.fromEntries((version.durable_objects ?? []).map((hosted) => [hosted.class_name, objectClass(hosted)])),
    },
    dev: { rootPath: '/', unsafeDirectSockets: [{ host: LOOPBACK, port: 0 }] },
  };
}

/**
 * Returns a script in the service worker syntax, with its bindings to parts of the upload.
 *
 * @param {Version} version
 * @param {ReturnType<typeof modules>} uploaded
 */
function serviceWorker({ main_module, bindings }, uploaded) {
  const parts = Object.entries(PARTS).map(([type, option]) => {
    const bound = bindings.filter((wanted) => wanted.type === type);
    return [option, Object.fromEntries(bound.map(({ name, part }) => [name, uploaded[String(part)]?.contents]))];
  });
  return { serviceWorkerScript: uploaded[String(main_module)]?.contents, ...Object.fromEntries(parts) };
}

/**
 * @param {Worker} worker
 * @param {Folders} folders
 */
function runningVersions(worker, { sites, code }) {
  return running(worker).map((version) => {
    const options = versionOptions(serviceName(worker.name, version.id), version, code);
    const props = { worker: worker.name, version: version.id };
    const consumers = (version.tail_consumers ?? []).map((consumer) => ({ worker: serviceName(consumer.worker, consumer.version_id) }));
    options.config.tailConsumers = [{ worker: HOST_WORKER, entrypoint: 'Tail', props }, ...consumers];
    if (version.assets) options.config.assets = assetOptions(version.assets, sites, version.main_module !== null);
    return options;
  });
}

/**
 * The folder of a namespace's files is named by its id, so that its objects outlive versions and names.
 *
 * @param {ObjectClass} hosted
 */
function objectClass({ namespace_id, use_sqlite }) {
  const storage = /** @type {'sqlite' | 'legacy-kv'} */ (use_sqlite ? 'sqlite' : 'legacy-kv');
  return { type: /** @type {const} */ ('durable-object'), storage, unsafeUniqueKey: namespace_id };
}

/**
 * @param {Assets} assets
 * @param {string} sites
 * @param {boolean} hasUserWorker
 */
function assetOptions({ site, run_worker_first, html_handling, not_found_handling, base_path }, sites, hasUserWorker) {
  const given = {
    runWorkerFirst: run_worker_first,
    htmlHandling: html_handling,
    notFoundHandling: not_found_handling,
    basePath: base_path,
  };
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null));
  return { directory: join(sites, site), hasUserWorker, ...set };
}

/**
 * @param {Version} version
 * @param {ReturnType<typeof modules>} uploaded
 */
function manifest(version, uploaded) {
  const { main_module } = version;
  return main_module === null ? NO_CODE : guardedCode({ ...version, main_module }, uploaded);
}

/** @param {Module} module */
function mediaType({ content_type }) {
  return content_type.split(';')[0]?.trim();
}

/**
 * @param {Module[]} uploaded
 * @param {string} code the folder of their contents
 */
function modules(uploaded, code) {
  const runs = uploaded.filter((module) => mediaType(module) !== SOURCE_MAP);
  return Object.fromEntries(
    runs.map((module) => {
      const { name, content_type, sha256 } = module;
      const type = MODULE_TYPES[/** @type {keyof typeof MODULE_TYPES} */ (mediaType(module))];
      if (!type) throw new PlatformError('invalid_worker', `module ${name}: unknown content type ${content_type}`);
      const bytes = readFileSync(join(code, sha256));
      return [name, { type, contents: type === 'wasm' || type === 'data' ? bytes : bytes.toString() }];
    }),
  );
}

/**
 * @param {WorkerGroup} group
 * @param {Host} host
 * @returns {WorkerOptions}
 */
function hostWorker({ services, guests }, { token, receive, cache }) {
  const env = {
    ...Object.fromEntries(services.map((name) => [`SERVICE ${name}`, workerdBinding(codeBinding(SERVICE_PREFIX + name))])),
    ...Object.assign({}, ...guests.map(({ environment }) => environment)),
    STORE: workerdBinding({ service: { name: doorName(null) } }, { services: [{ name: CACHE_STORAGE, disk: { path: cache, writable: true } }] }),
    LOG: { type: 'node-handler', handler: handler('a report of what a Worker did was lost', (text) => receive(JSON.parse(text))) },
  };
  return ownWorker('host', HOST_WORKER, token, env, {});
}

/**
 * Returns a Worker of ours.
 *
 * @param {'store' | 'host'} which
 * @param {string} name
 * @param {string} token the token that its gateway requires
 * @param {Record<string, Env>} env
 * @param {WorkerOptions['config']['exports']} exports
 * @returns {WorkerOptions}
 */
function ownWorker(which, name, token, env, exports) {
  return {
    config: {
      name,
      compatibilityDate: OWN_COMPATIBILITY_DATE,
      // For `.queue()` and `.scheduled()` on service bindings, and calls between processes; and so that D1's errors keep their name.
      compatibilityFlags: ['experimental', 'service_binding_extra_handlers', 'enhanced_error_serialization'],
      manifest: ownModules(which),
      env: { ...env, GATEWAY_TOKEN: { type: 'text', value: token } },
      exports,
    },
    dev: { rootPath: '/', cacheAPI: false, unsafeDirectSockets: [{ host: LOOPBACK, port: 0 }] },
  };
}

/**
 * Answers requests of our own Workers.
 *
 * @param {string} failure the log's text about an error
 * @param {(text: string) => void | Promise<void>} answer
 */
function handler(failure, answer) {
  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   */
  return async (request, response) => {
    try {
      await answer(Buffer.concat(await request.toArray()).toString());
    } catch (error) {
      log('warn', `${failure}: ${error}`); // for instance, workerd has ended during the request
      response.statusCode = 503;
      return response.end(String(error));
    }
    response.end();
  };
}
