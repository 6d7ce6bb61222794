/**
 * The products, as the Node process sees them: every `products/NAME/runtime/node.js`. What the system Worker does for
 * them is beside it: `calls.js` by kind and method, `worker.js` with the classes that it exports.
 */

import { existsSync, readFileSync, readdirSync } from 'node:fs';

import { PlatformError } from './errors.js';

/**
 * @import { Env } from './bindings.js'
 * @import { Binding, DesiredState } from './desired_state.js'
 * @import { ObjectFiles } from './object_files.js'
 *
 * @typedef {object} BindingKind
 * @property {(binding: any) => unknown} live a stored binding as Miniflare's options have it
 * @property {() => unknown} [trial] what stands in for it while an upload is tried: code that is being loaded may make a
 *   handle of it and more of that, and cannot call anything. Without one, the trial has the live binding.
 *
 * @typedef {object} ObjectClass a Durable Object class that the system Worker exports
 * @property {string} binding the system Worker's name for its namespace
 * @property {string} uniqueKey fixed, because the folder of the objects' files is named by it
 * @property {boolean} [preventEviction] for objects whose timers live in memory
 *
 * @typedef {object} Standing things that are told their settings whenever the runtime starts, and do nothing before that
 * @property {(state: DesiredState) => Record<string, object>} settings by id
 * @property {boolean} [leaves] they have the methods `drain`, before a reload, and `retire` and `destroy` for those that go
 *
 * @typedef {object} NodeProduct
 * @property {Record<string, BindingKind>} [bindings] by type
 * @property {Record<string, ObjectClass>} [classes] by name
 * @property {(state: DesiredState) => Record<string, Env>} [environment] more that the system Worker binds
 * @property {Record<string, Standing>} [standing] by kind
 * @property {(state: DesiredState) => unknown} [restarts] what of a state, beside Workers, needs another runtime
 * @property {(
 *   state: DesiredState, call: (kind: string, id: string, method: string, body: object) => Promise<any>, files: ObjectFiles
 * ) => Promise<void>} [sweep] deletes what was to be kept for a while only; called every few seconds
 * @property {Record<string, (files: ObjectFiles, id: string) => void>} [remove] deletes data from the disk, by kind
 * @property {Record<string, Record<string, (files: ObjectFiles, id: string) => object>>} [answers] calls that need no runtime, by
 *   kind and method
 * @property {Record<string, Record<string, (body: any, pass: () => Promise<any>) => Promise<object>>>} [relays] calls that the
 *   Node process takes part in, by kind and method; `pass` passes one on
 * @property {(call: (kind: string, id: string, method: string) => Promise<any>) => Promise<unknown>} [beforeEnd] is called
 *   before the runtime is ended in order, for what it knows and nobody else does
 */

const PACKAGE = new URL('../', import.meta.url);
const NAMES = readdirSync(new URL('products/', PACKAGE)).sort();
const SYSTEM_FOLDER = 'runtime/system';
const SYSTEM_MODULE = `${SYSTEM_FOLDER}/main.js`;

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
 * A binding to the real thing.
 *
 * @param {Binding} wanted
 */
export function binding(wanted) {
  const kind = BINDINGS[wanted.type];
  if (!kind) {
    const known = Object.keys(BINDINGS).join(', ');
    throw new PlatformError('invalid_worker', `binding ${wanted.name}: expected one of ${known}, got ${wanted.type}`);
  }
  return kind.live(wanted);
}

/** @param {Binding} wanted */
export function trialBinding(wanted) {
  return BINDINGS[wanted.type]?.trial?.() ?? binding(wanted);
}

/**
 * What the system Worker binds and exports for its products.
 *
 * @param {DesiredState} state
 */
export function systemParts(state) {
  const classes = PRODUCTS.flatMap((product) => Object.entries(product.classes ?? {}));
  return { classes, environment: Object.assign({}, ...PRODUCTS.map(({ environment }) => environment?.(state))) };
}

/**
 * The modules of the system Worker, named by their paths in this package, so that their imports are those of the files.
 * The main one names what every product brings.
 */
export function systemModules() {
  const files = [SYSTEM_FOLDER, ...NAMES.map((name) => `products/${name}/runtime`)].flatMap(filesIn);
  const calls = files.filter((path) => path.endsWith('/runtime/calls.js'));
  const workers = files.filter((path) => path.endsWith('/runtime/worker.js'));
  const main = [
    "import { gateway } from './gateway.js';",
    ...calls.map((path, index) => `import calls${index} from '../../${path}';`),
    ...workers.map((path) => `export * from '../../${path}';`),
    `export default gateway({ ${calls.map((_, index) => `...calls${index}`).join(', ')} });`,
  ];
  const esm = /** @type {const} */ ('esm');
  const modules = files
    .filter((path) => !path.endsWith('/runtime/node.js'))
    .map((path) => [path, { type: esm, contents: readFileSync(new URL(path, PACKAGE), 'utf8') }]);
  return {
    mainModule: SYSTEM_MODULE,
    modulesRoot: '/',
    modules: { ...Object.fromEntries(modules), [SYSTEM_MODULE]: { type: esm, contents: main.join('\n') } },
  };
}

/** @param {string} folder of the package; one that is not there has none */
function filesIn(folder) {
  const url = new URL(`${folder}/`, PACKAGE);
  if (!existsSync(url)) return [];
  return readdirSync(url)
    .filter((name) => name.endsWith('.js'))
    .map((name) => `${folder}/${name}`);
}
