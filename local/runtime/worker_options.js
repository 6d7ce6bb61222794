/** From the desired state to Miniflare's options: one Miniflare Worker a deployed version, and the system Worker. */

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { serviceName, targets } from './desired_state.js';
import { PlatformError } from './errors.js';
import { log } from './log.js';
import { PLUGIN_NAME, codeBinding } from './workerd_plugin.js';

/**
 * @import { MiniflareOptions } from 'miniflare'
 * @import { Assets, Binding, DesiredState, Module, ObjectClass, Version, Worker, Workflow } from './desired_state.js'
 * @import { TailReport } from './system/logging.js'
 *
 * @typedef {MiniflareOptions['workers'][number]} WorkerOptions
 * @typedef {NonNullable<WorkerOptions['config']['env']>[string]} Env
 */

/** No Worker's name can hold a colon. */
export const SYSTEM_WORKER = 'local:system';
/** The package's folder; the system Worker's modules are named by their paths in it, so that their imports are those of the files. */
const PACKAGE = new URL('../', import.meta.url);
const SYSTEM_MODULE = 'runtime/system/system.js';
const SYSTEM_COMPATIBILITY_DATE = '2026-06-01';
/** Fixed, because the folders of the objects' files are named by them. */
export const QUEUE_NAMESPACE = 'local-queues';
export const KV_NAMESPACE = 'local-kv';
export const WORKFLOW_NAMESPACE = 'local-workflows';
/** Miniflare starts its D1 and R2 services only when some Worker binds one; these are never opened. */
const UNUSED_DATABASE = '00000000-0000-0000-0000-000000000000';
const UNUSED_BUCKET = 'unused';
/** What runs where a Worker is assets alone; nothing calls it. */
const NO_CODE = { mainModule: 'index.js', modules: { 'index.js': /** @type {const} */ ({ type: 'esm', contents: 'export default {}' }) } };
const LOOPBACK = '127.0.0.1';
/** For whoever debugs a Worker; workerd has no use for it. */
const SOURCE_MAP = 'application/source-map';
const PLUGIN = { name: PLUGIN_NAME, package: fileURLToPath(new URL('./workerd_plugin.js', import.meta.url)) };

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

/** @type {Record<string, (binding: any) => unknown>} */
const BINDINGS = {
  plain_text: ({ text }) => ({ type: 'text', value: text }),
  secret_text: ({ text }) => ({ type: 'text', value: text }),
  json: ({ json }) => ({ type: 'json', value: json }),
  assets: () => ({ type: 'assets' }),
  d1: ({ id }) => ({ type: 'd1', id }),
  durable_object_namespace: ({ worker, version_id, class_name }) =>
    ({ type: 'durable-object', worker: serviceName(worker, version_id), exportName: class_name }),
  service: ({ worker, version_id, entrypoint }) =>
    ({ type: 'worker', worker: serviceName(worker, version_id), ...(entrypoint && { exportName: entrypoint }) }),
  analytics_engine: () => workerdBinding({ analyticsEngine: systemEntrypoint('AnalyticsDataset', {}) }),
  r2_bucket: ({ bucket_id }) => ({ type: 'r2', name: bucket_id }),
  ratelimit: ({ namespace_id, simple }) => ({ type: 'rate-limit', namespace: namespace_id, simple }),
  kv_namespace: ({ namespace_id }) => workerdBinding({ kvNamespace: systemEntrypoint('KvBinding', { namespaceId: namespace_id }) }),
  workflow: ({ workflow_name }) => workflowBinding(systemEntrypoint('WorkflowBinding', { workflowName: workflow_name })),
  queue: ({ queue_id, delivery_delay = null }) =>
    workerdBinding({ queue: systemEntrypoint('QueueProducer', { queueId: queue_id, deliveryDelay: delivery_delay }) }),
};

/**
 * All Workers of a state; the system Worker is the first, which answers what no other Worker claims.
 *
 * @param {DesiredState} state
 * @param {{token: string, receive: (report: TailReport) => void}} system
 * @param {string} sites the folder of the folders that versions serve
 * @returns {WorkerOptions[]}
 */
export function workerOptions(state, system, sites) {
  return [systemWorker(state, system), ...state.workers.flatMap((worker) => deployedVersions(worker, sites))];
}

/**
 * One version, as it runs live and in a trial.
 *
 * @param {string} name
 * @param {Version} version
 * @param {(wanted: Binding) => unknown} [bind]
 * @returns {WorkerOptions}
 */
export function versionOptions(name, version, bind = binding) {
  const uploaded = modules(version.modules);
  const bound = version.bindings
    .filter(({ type }) => !(type in PARTS))
    .map((b) => [b.name, b.type === 'text_blob' ? { type: 'text', value: uploaded[String(b.part)]?.contents } : bind(b)]);
  return {
    ...(version.service_worker && { legacy: serviceWorker(version, uploaded) }),
    config: {
      name,
      compatibilityDate: version.compatibility_date,
      compatibilityFlags: version.compatibility_flags,
      ...(!version.service_worker && { manifest: { modulesRoot: '/', ...code(version, uploaded) } }),
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
 * @param {string} sites
 */
function deployedVersions(worker, sites) {
  return worker.versions.map((version) => {
    const options = versionOptions(serviceName(worker.name, version.id), version);
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
 * A binding to the real thing.
 *
 * @param {Binding} wanted
 */
export function binding(wanted) {
  const convert = BINDINGS[wanted.type];
  if (!convert) {
    const known = Object.keys(BINDINGS).join(', ');
    throw new PlatformError('invalid_worker', `binding ${wanted.name}: expected one of ${known}, got ${wanted.type}`);
  }
  return convert(wanted);
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
function code({ main_module }, uploaded) {
  return main_module === null ? NO_CODE : { mainModule: main_module, modules: uploaded };
}

/** @param {Module} module */
function mediaType({ content_type }) {
  return content_type.split(';')[0]?.trim();
}

/** @param {Module[]} uploaded */
function modules(uploaded) {
  const code = uploaded.filter((module) => mediaType(module) !== SOURCE_MAP);
  return Object.fromEntries(
    code.map((module) => {
      const { name, content_type, content_base64 } = module;
      const type = MODULE_TYPES[/** @type {keyof typeof MODULE_TYPES} */ (mediaType(module))];
      if (!type) throw new PlatformError('invalid_worker', `module ${name}: unknown content type ${content_type}`);
      const bytes = Buffer.from(content_base64, 'base64');
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
  const services = state.workers.flatMap((worker) => targets(worker).map(({ service }) => service));
  return {
    config: {
      name: SYSTEM_WORKER,
      compatibilityDate: SYSTEM_COMPATIBILITY_DATE,
      // For `.queue()` and `.scheduled()` on service bindings.
      compatibilityFlags: ['experimental', 'service_binding_extra_handlers'],
      manifest: { mainModule: SYSTEM_MODULE, modulesRoot: '/', modules: systemModules() },
      env: {
        ...Object.fromEntries(services.map((name) => [`SERVICE ${name}`, workerdBinding(codeBinding(`core:user:${name}`))])),
        KV_NAMESPACES: { type: 'durable-object', worker: SYSTEM_WORKER, exportName: 'KvObject' },
        QUEUES: { type: 'durable-object', worker: SYSTEM_WORKER, exportName: 'QueueObject' },
        UNUSED_DATABASE: { type: 'd1', id: UNUSED_DATABASE },
        D1_DATABASES: workerdBinding({
          durableObjectNamespace: { className: 'D1DatabaseObject', serviceName: 'd1:db' },
        }),
        UNUSED_BUCKET: { type: 'r2', name: UNUSED_BUCKET },
        R2_BUCKETS: workerdBinding({
          durableObjectNamespace: { className: 'R2BucketObject', serviceName: 'r2:bucket' },
        }),
        ...Object.fromEntries(state.workflows.flatMap(workflowBindings)),
        WORKFLOW_IDS: { type: 'json', value: Object.fromEntries(state.workflows.map(({ id, name }) => [name, id])) },
        WORKFLOWS: { type: 'durable-object', worker: SYSTEM_WORKER, exportName: 'WorkflowObject' },
        GATEWAY_TOKEN: { type: 'text', value: token },
        LOG: { type: 'node-handler', handler: reportHandler(receive) },
      },
      exports: {
        KvObject: { type: 'durable-object', storage: 'sqlite', unsafeUniqueKey: KV_NAMESPACE },
        QueueObject: {
          type: 'durable-object',
          storage: 'sqlite',
          unsafeUniqueKey: QUEUE_NAMESPACE,
          // A queue's timers live in the object's memory.
          unsafePreventEviction: true,
        },
        WorkflowObject: {
          type: 'durable-object',
          storage: 'sqlite',
          unsafeUniqueKey: WORKFLOW_NAMESPACE,
          // It awaits the end of each instance.
          unsafePreventEviction: true,
        },
      },
    },
    dev: { rootPath: '/', unsafeDirectSockets: [{ host: LOOPBACK, port: 0 }] },
  };
}

/**
 * A service of the system Worker, as workerd.capnp's `ServiceDesignator`.
 *
 * @param {string} entrypoint
 * @param {object} props what it finds in `ctx.props`
 */
function systemEntrypoint(entrypoint, props) {
  return { name: `core:user:${SYSTEM_WORKER}`, entrypoint, props: { json: JSON.stringify(props) } };
}

/**
 * What the system Worker needs of a workflow: Miniflare's engine, which comes with a binding, and the engine's objects.
 * A workflow without code has an engine as well, so that its instances can be read.
 *
 * @param {Workflow} workflow
 * @returns {[string, Env][]}
 */
function workflowBindings({ id, script_name, class_name, worker_version_id, step_limit }) {
  const code =
    worker_version_id === null
      ? { worker: SYSTEM_WORKER, exportName: 'WorkflowBinding' } // never run
      : { worker: serviceName(script_name, worker_version_id), exportName: class_name };
  const limits = step_limit === null ? {} : { unsafeConfig: { limits: { steps: step_limit } } };
  return [
    [`WORKFLOW ${id}`, { type: 'workflow', name: id, ...code, ...limits }],
    [`ENGINES ${id}`, workerdBinding({ durableObjectNamespace: { className: 'Engine', serviceName: `workflows:${id}` } })],
  ];
}

/**
 * A workflow's binding, which Miniflare wraps around a service.
 *
 * @param {object} service
 */
export function workflowBinding(service) {
  const moduleName = 'workflows:local-wrapped-binding'; // Miniflare's
  return workerdBinding({ wrapped: { moduleName, innerBindings: [{ name: 'binding', service }] } });
}

/** @param {object} options one of `Worker.Binding` in workerd.capnp */
export function workerdBinding(options) {
  return /** @type {Env} */ ({ type: 'unsafe:workerd', dev: { plugin: PLUGIN, options } });
}

function systemModules() {
  const folders = ['runtime/system', ...readdirSync(new URL('products/', PACKAGE)).map((product) => `products/${product}/runtime`)];
  return Object.fromEntries(
    folders.flatMap(modulesIn).map((name) => [
      name,
      { type: /** @type {const} */ ('esm'), contents: readFileSync(new URL(name, PACKAGE), 'utf8') },
    ]),
  );
}

/** @param {string} folder of the package; one that is not there has none */
function modulesIn(folder) {
  const url = new URL(`${folder}/`, PACKAGE);
  if (!existsSync(url)) return [];
  return readdirSync(url)
    .filter((name) => name.endsWith('.js'))
    .map((name) => `${folder}/${name}`);
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
