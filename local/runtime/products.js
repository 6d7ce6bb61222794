/**
 * The products in the Node process: every `products/NAME/runtime/node.js`. The same folder has code for our own Workers. `calls.js` has methods by
 * kind, and `worker.js` entrypoints and classes, of the store's Worker; `host_calls.js` and `host.js` have those of the host Worker, which is in each
 * process of Workers.
 */

import { existsSync, readFileSync, readdirSync } from 'node:fs';

import { PlatformError } from './errors.js';

/**
 * @import { Env } from './bindings.js'
 * @import { Binding, DesiredState, Version } from './desired_state.js'
 * @import { ObjectFiles } from './object_files.js'
 *
 * @typedef {object} BindingKind
 * @property {(binding: any, version: Version) => unknown} live a stored binding in Miniflare's form
 * @property {(binding: any) => unknown} [trial] its replacement while an upload is tried: code that is being loaded may create handles of it, and
 *   cannot call anything. Without a replacement, the trial has the live binding.
 *
 * @typedef {object} ObjectClass a Durable Object class that the store's Worker exports
 * @property {string} binding the store's name for its namespace
 * @property {string} uniqueKey fixed, because the folder of the objects' files is named by it
 * @property {boolean} [preventEviction] for objects whose timers are in memory
 *
 * @typedef {object} Standing things that are told their settings whenever the runtime starts, and do nothing before that
 * @property {(state: DesiredState) => Record<string, object>} settings the settings by id
 * @property {boolean} [leaves] they have the methods `retire` and `destroy` for removed objects
 * @property {boolean} [inWorkers] they are in each process of Workers, not in the store
 *
 * @typedef {object} Guest something of a product that runs in the process of a Worker, because it calls that Worker's code;
 *   it has files of its own, which only one process may have open. Its kind stands in the store, with the method `drain`,
 *   which waits until nothing of it is in the middle of something
 * @property {string} kind
 * @property {string} id
 * @property {string | null} worker null: it has no code now
 * @property {string} folder the folder of its files, relative to that of all resources
 * @property {Record<string, Env>} environment further bindings of the host Worker for it
 *
 * @typedef {object} NodeProduct
 * @property {Record<string, BindingKind>} [bindings] by type
 * @property {Record<string, ObjectClass>} [classes] by name
 * @property {Record<string, string>} [movedFolders] the present folders of objects' files, by their folders in earlier releases
 * @property {Record<string, Env>} [environment] further bindings of the store's Worker
 * @property {Record<string, Standing>} [standing] by kind
 * @property {(state: DesiredState) => Guest[]} [guests]
 * @property {( state: DesiredState, call: (kind: string, id: string, method: string, body: object) => Promise<any>, files: ObjectFiles ) =>
 *   Promise<void>} [sweep] deletes data whose retention is over; called every few seconds
 * @property {Record<string, (files: ObjectFiles, id: string) => void>} [remove] deletes data from the disk, by kind
 * @property {Record<string, Record<string, (files: ObjectFiles, id: string) => object>>} [answers] calls that need no runtime, by kind and method
 * @property {Record<string, Record<string, (body: any, pass: () => Promise<any>) => Promise<object>>>} [relays] calls in which the Node process takes
 *   part, by kind and method; `pass` passes a call on
 */

const PACKAGE = new URL('../', import.meta.url);
const NAMES = readdirSync(new URL('products/', PACKAGE)).sort();
const SYSTEM_FOLDER = 'runtime/system';
const MAIN_MODULE = `${SYSTEM_FOLDER}/main.js`;
/** The files with methods and exports of our own Workers, of the runtime itself and of products. */
const FILES = {
  store: { calls: ['store_methods.js', 'runtime/calls.js'], exports: ['object_binding.js', 'runtime/worker.js'] },
  host: { calls: ['host_methods.js', 'runtime/host_calls.js'], exports: ['dispatcher.js', 'store_calls.js', 'runtime/host.js'] },
};

/** @type {NodeProduct[]} */
export const PRODUCTS = await Promise.all(
  NAMES.map((name) => new URL(`products/${name}/runtime/node.js`, PACKAGE))
    .filter((url) => existsSync(url))
    .map(async (url) => (await import(url.href)).default),
);

/** @type {Record<string, BindingKind>} */
export const BINDINGS = Object.assign({}, ...PRODUCTS.map(({ bindings }) => bindings));

/** @type {Record<string, Standing>} */
export const STANDING = Object.assign({}, ...PRODUCTS.map(({ standing }) => standing));

/**
 * A binding to the real resource.
 *
 * @param {Binding} wanted
 * @param {Version} version the version that has it
 */
export function binding(wanted, version) {
  const kind = BINDINGS[wanted.type];
  if (!kind) {
    const known = Object.keys(BINDINGS).join(', ');
    throw new PlatformError('invalid_worker', `binding ${wanted.name}: expected one of ${known}, got ${wanted.type}`);
  }
  return kind.live(wanted, version);
}

/**
 * @param {Binding} wanted
 * @param {Version} version
 */
export function trialBinding(wanted, version) {
  return BINDINGS[wanted.type]?.trial?.(wanted) ?? binding(wanted, version);
}

/** What the store's Worker exports and binds for its products. */
export const STORE_CLASSES = PRODUCTS.flatMap((product) => Object.entries(product.classes ?? {}));
/** @type {Record<string, Env>} */
export const STORE_ENVIRONMENT = Object.assign({}, ...PRODUCTS.map(({ environment }) => environment));

/** Folders of objects' files: where an earlier release had each, and where it is now. */
export const MOVED_FOLDERS = PRODUCTS.flatMap((product) => Object.entries(product.movedFolders ?? {}));

/** @param {DesiredState} state */
export function guests(state) {
  return PRODUCTS.flatMap((product) => product.guests?.(state) ?? []);
}

/**
 * Returns the modules of one of our Workers, named by their paths in this package, so that their imports are valid there. The main module imports
 * what every product adds.
 *
 * @param {'store' | 'host'} which
 */
export function ownModules(which) {
  const files = [SYSTEM_FOLDER, ...NAMES.map((name) => `products/${name}/runtime`)].flatMap(filesIn);
  const { calls, exports } = FILES[which];
  /** @param {string[]} names */
  const named = (names) => files.filter((path) => names.some((name) => path.endsWith(`/${name}`)));
  const main = mainModule(named(calls), named(exports));
  const esm = /** @type {const} */ ('esm');
  const modules = files
    .filter((path) => !path.endsWith('/runtime/node.js'))
    .map((path) => [path, { type: esm, contents: readFileSync(new URL(path, PACKAGE), 'utf8') }]);
  return {
    mainModule: MAIN_MODULE,
    modulesRoot: '/',
    modules: { ...Object.fromEntries(modules), [MAIN_MODULE]: { type: esm, contents: main } },
  };
}

/**
 * @param {string[]} calls the paths of modules
 * @param {string[]} exports
 */
function mainModule(calls, exports) {
  const lines = [
    "import { gateway } from './gateway.js';",
    "import { doorTo } from './door.js';",
    ...calls.map((path, index) => `import calls${index} from '../../${path}';`),
    ...exports.map((path, index) => `import * as exports${index} from '../../${path}';`),
    ...exports.map((path) => `export * from '../../${path}';`),
    `export const Door = doorTo({ ${exports.map((_, index) => `...exports${index}`).join(', ')} });`,
    `export default gateway({ ${calls.map((_, index) => `...calls${index}`).join(', ')} });`,
  ];
  return lines.join('\n');
}

/** @param {string} folder a folder of the package; a missing one has no files */
function filesIn(folder) {
  const url = new URL(`${folder}/`, PACKAGE);
  if (!existsSync(url)) return [];
  return readdirSync(url)
    .filter((name) => name.endsWith('.js'))
    .map((name) => `${folder}/${name}`);
}
