/** From the desired state to Miniflare's options: one Miniflare Worker a deployed version, and the system Worker. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { SYSTEM_WORKER, workerdBinding } from './bindings.js';
import { serviceName, targets } from './desired_state.js';
import { PlatformError } from './errors.js';
import { guardedCode } from './guarded_code.js';
import { log } from './log.js';
import { binding, systemModules, systemParts } from './products.js';
import { codeBinding } from './workerd_plugin.js';

/**
 * @import { Env, WorkerOptions } from './bindings.js'
 * @import { Assets, Binding, DesiredState, Module, ObjectClass, Version, Worker } from './desired_state.js'
 * @import { TailReport } from './system/logging.js'
 *
 * @typedef {{sites: string, code: string}} Folders of the folders that versions serve, and of modules' contents
 */

const SYSTEM_COMPATIBILITY_DATE = '2026-06-01';
/** What runs where a Worker is assets alone; nothing calls it. */
const NO_CODE = { mainModule: 'index.js', modules: { 'index.js': /** @type {const} */ ({ type: 'esm', contents: 'export default {}' }) } };
const LOOPBACK = '127.0.0.1';
/** For whoever debugs a Worker; workerd has no use for it. */
const SOURCE_MAP = 'application/source-map';

/** Cloudflare's content types of modules, as Miniflare's types. */
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

/** Bindings to parts of the upload, as Miniflare's options; only the service worker syntax has them. */
export const PARTS = { wasm_module: 'wasmBindings', data_blob: 'dataBlobBindings' };

/**
 * All Workers of a state; the system Worker is the first, which answers what no other Worker claims.
 *
 * @param {DesiredState} state
 * @param {{token: string, receive: (report: TailReport) => void}} system
 * @param {Folders} folders
 * @returns {WorkerOptions[]}
 */
export function workerOptions(state, system, folders) {
  return [systemWorker(state, system), ...state.workers.flatMap((worker) => deployedVersions(worker, folders))];
}

/**
 * One version, as it runs live and in a trial.
 *
 * @param {string} name
 * @param {Version} version
 * @param {string} code the folder of modules' contents
 * @param {(wanted: Binding) => unknown} [bind]
 * @returns {WorkerOptions}
 */
export function versionOptions(name, version, code, bind = binding) {
  const uploaded = modules(version.modules, code);
  const bound = version.bindings
    .filter(({ type }) => !(type in PARTS))
    .map((b) => [b.name, b.type === 'text_blob' ? { type: 'text', value: uploaded[String(b.part)]?.contents } : bind(b)]);
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
 * A script in the service worker syntax, and its bindings to parts of the upload.
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
function deployedVersions(worker, { sites, code }) {
  return [...worker.versions, ...(worker.previews ?? [])].map((version) => {
    const options = versionOptions(serviceName(worker.name, version.id), version, code);
    const props = { worker: worker.name, version: version.id };
    const consumers = (version.tail_consumers ?? []).map((consumer) => ({ worker: serviceName(consumer.worker, consumer.version_id) }));
    options.config.tailConsumers = [{ worker: SYSTEM_WORKER, entrypoint: 'Tail', props }, ...consumers];
    if (version.assets) options.config.assets = assetOptions(version.assets, sites, version.main_module !== null);
    return options;
  });
}

/**
 * A namespace's files are named by its id, so that its objects outlive versions and names.
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
 * @param {DesiredState} state
 * @param {{token: string, receive: (report: TailReport) => void}} system
 * @returns {WorkerOptions}
 */
function systemWorker(state, { token, receive }) {
  const { classes, environment } = systemParts(state);
  const services = state.workers.flatMap((worker) => targets(worker).map(({ service }) => service));
  return {
    config: {
      name: SYSTEM_WORKER,
      compatibilityDate: SYSTEM_COMPATIBILITY_DATE,
      // For `.queue()` and `.scheduled()` on service bindings; and so that D1's errors keep their name.
      compatibilityFlags: ['experimental', 'service_binding_extra_handlers', 'enhanced_error_serialization'],
      manifest: systemModules(),
      env: {
        ...Object.fromEntries(services.map((name) => [`SERVICE ${name}`, workerdBinding(codeBinding(`core:user:${name}`))])),
        ...Object.fromEntries(
          classes.map(([name, { binding: as }]) => [as, { type: 'durable-object', worker: SYSTEM_WORKER, exportName: name }]),
        ),
        ...environment,
        GATEWAY_TOKEN: { type: 'text', value: token },
        LOG: { type: 'node-handler', handler: reportHandler(receive) },
      },
      exports: Object.fromEntries(
        classes.map(([name, { uniqueKey, preventEviction }]) => [
          name,
          { type: 'durable-object', storage: 'sqlite', unsafeUniqueKey: uniqueKey, ...(preventEviction && { unsafePreventEviction: true }) },
        ]),
      ),
    },
    dev: { rootPath: '/', unsafeDirectSockets: [{ host: LOOPBACK, port: 0 }] },
  };
}

/** @param {(report: TailReport) => void} receive */
function reportHandler(receive) {
  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   */
  return async (request, response) => {
    try {
      const body = await request.toArray();
      receive(JSON.parse(Buffer.concat(body).toString()));
    } catch (error) {
      log('warn', `a report of what a Worker did was lost: ${error}`); // workerd ended in the middle of it
    }
    response.end();
  };
}
