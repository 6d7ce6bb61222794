/**
 * Builds the Worker: one module that contains the parts a deployment uses, its handlers, and the npm packages that they import.
 *
 * `worker/index.js` is the entry point of every combination. It imports two virtual modules: `task-runner:parts` names the store, the engine and the
 * handlers, and `task-runner:classes` exports the classes that Cloudflare must find.
 */

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { gzipSync } from 'node:zlib';

import { browserProgram } from './browser_program.js';

/** A store or an engine. The counts are numbers of shards: first the current number, then former ones. @typedef {{name: string, shardCounts: number[]}} Part */

/**
 * @typedef {object} Request
 * @property {string} workerFolder
 * @property {string} toolchain a folder whose `node_modules` has esbuild and the npm packages that the Worker imports
 * @property {Part[]} stores the store of new tasks, then former ones
 * @property {string[]} engines the engine of new tasks, then former ones
 * @property {string[]} handlerFolders where two folders have a handler of the same name, the later folder wins
 * @property {boolean} [nodejs] whether handlers can import modules of Node.js (the compatibility flag nodejs_compat)
 * @property {string} [entry] source of an entry point that replaces `index.js`
 * @property {Record<string, string>} [extraHandlers] sources of additional handlers, by file name
 */

/** How many bytes of each file are in a module, by the file's path as esbuild writes it. @typedef {Record<string, {bytesInOutput: number}>} Inputs */

/** A module to upload. @typedef {{name: string, contentType: string, content: Uint8Array}} Module */

/**
 * @typedef {object} Bundle
 * @property {Module[]} modules the main module, `index.js`, comes first
 * @property {string[]} handlers the names of the handlers
 * @property {Record<string, {bytes: number, sha256: string}>} sources the input files: how many bytes of each are in the module, and its hash
 * @property {number} compressedBytes the size of all modules after compression, as Cloudflare counts it
 * @property {string[]} remarks remarks to show to the user who deploys it
 */

/** The Worker cannot be built; the message is written for the user who deploys it. */
export class BundleError extends Error {}

export const HANDLER_ENDINGS = ['.js', '.mjs', '.ts', '.mts'];

/** The name of the module that exports `PermanentError` and `RetryLater`. Handlers import it by this name from any folder. */
const HANDLER_MODULE = 'task-runner';

const HANDLER_NAME = /^[a-z][a-z0-9_-]{0,63}$/;
const MIGRATION_NAME = /^[0-9]+_.+\.sql$/;

/** Files that may be in a folder of handlers and are not handlers. */
const COMPANIONS = /^(\..*|_.*|.*\.(test|spec)\.[a-z]+|.*\.d\.[cm]?ts|package(-lock)?\.json|tsconfig(\..*)?\.json|node_modules|.*\.md|LICENSE.*)$/;

/** The content type with which a module that is not JavaScript is uploaded
 * (https://developers.cloudflare.com/workers/configuration/multipart-upload-metadata/). */
const CONTENT_TYPES = /** @type {Record<string, string>} */ ({
  '.js': 'application/javascript+module', '.map': 'application/source-map', '.wasm': 'application/wasm', '.bin': 'application/octet-stream',
});

/** An import with this ending gives the text of the file whose name lacks the ending: `page.css.txt` gives the text of `page.css`. For a `.tsx` file
 * it gives the program built for the browser. */
const TEXT_ENDING = '.txt';

const STORES = /** @type {Record<string, {module: string, className: string}>} */ ({
  'd1': { module: './stores/d1.js', className: 'D1Store' },
  'kv': { module: './stores/kv.js', className: 'KvStore' },
  'durable-object': { module: './stores/durable_object.js', className: 'DurableObjectStore' },
});

/** The function that makes the class of a store with several shards. @type {Record<string, {module: string, className: string}>} */
const SHARDED_STORES = {
  'd1': { module: './stores/sharded_d1.js', className: 'shardedD1' },
  'durable-object': { module: './stores/durable_object.js', className: 'durableObjects' },
};

const ENGINES = /** @type {Record<string, {module: string, className: string}>} */ ({
  queue: { module: './engines/queue.js', className: 'QueueEngine' },
  workflow: { module: './engines/workflow.js', className: 'WorkflowEngine' },
});

/** Stores that need the sweeper. A Durable Object sweeps itself. */
const SWEPT_STORES = ['d1', 'kv'];

/**
 * @param {Request} request
 * @returns {Promise<Bundle>}
 * @throws {BundleError}
 */
export async function bundle(request) {
  const { workerFolder, toolchain, nodejs = false, entry } = request;
  const handlers = findHandlers(request);
  const { build } = loadEsbuild(toolchain);
  const exported = await exportsOf(build, handlers, request);
  /** @type {Inputs} */
  const ofBrowser = {};
  const hasSchemas = handlers.some(({ source }) => /\bexport const payload\b/.test(source ?? '')) || [...exported].some(mayHaveSchema);
  const result = await attempt(() => build({
    ...(entry === undefined
      ? { entryPoints: { index: join(workerFolder, 'index.js') } }
      : { stdin: { contents: entry, resolveDir: workerFolder, sourcefile: 'entry.js' }, entryNames: 'index' }),
    absWorkingDir: workerFolder,
    bundle: true,
    write: false,
    metafile: true,
    outdir: join(workerFolder, 'out'),
    format: 'esm',
    target: 'es2024',
    platform: 'browser',
    mainFields: ['module', 'browser', 'main'],
    conditions: ['workerd', 'worker', 'browser', 'module'],
    external: ['cloudflare:*'],
    alias: { [HANDLER_MODULE]: join(workerFolder, 'handler.js') },
    loader: { '.sql': 'text', '.html': 'text', '.wasm': 'copy', '.bin': 'copy' },
    assetNames: '[name]-[hash]',
    nodePaths: [join(toolchain, 'node_modules')],
    // Names of files differ between machines. With this option esbuild writes no file names into the code.
    minifyWhitespace: true,
    keepNames: true,
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    logLevel: 'silent',
    plugins: [partsPlugin(request, handlers, hasSchemas), textPlugin(toolchain, ofBrowser), nodePlugin(nodejs)],
  }), request);
  requireDefaultExports(exported, request);
  const named = (/** @type {string} */ path) => stableName(fileOf(path, workerFolder), request);
  const { inputs } = only(Object.values(result.metafile.outputs).filter(({ entryPoint }) => entryPoint !== undefined));
  const modules = result.outputFiles.map(({ path, contents }) => ({
    name: basename(path), contentType: CONTENT_TYPES[extname(path)] ?? 'text/plain',
    content: extname(path) === '.map' ? withStableSources(contents, (source) => stableName(fileOf(source, join(workerFolder, 'out')), request)) : contents,
  })).sort((one, other) => Number(other.name === 'index.js') - Number(one.name === 'index.js') || (one.name < other.name ? -1 : 1));
  const used = Object.keys(result.metafile.inputs).map((path) => fileOf(path, workerFolder));
  return {
    modules,
    handlers: handlers.map(({ name }) => name),
    sources: sourcesOf({ ...inputs, ...ofBrowser }, workerFolder, named),
    compressedBytes: sum(modules.filter(({ name }) => extname(name) !== '.map').map(({ content }) => gzipSync(content).byteLength)),
    remarks: request.handlerFolders.flatMap((folder) => strangers(folder, used)),
  };
}

/**
 * @param {Inputs} inputs
 * @param {string} workerFolder
 * @param {(path: string) => string} named
 * @returns {Bundle['sources']}
 */
function sourcesOf(inputs, workerFolder, named) {
  const files = Object.entries(inputs).map(([path, { bytesInOutput }]) => ({ path, file: fileOf(path, workerFolder), bytes: bytesInOutput }));
  const found = files.filter(({ file, bytes }) => bytes > 0 && existsSync(file))
    .map(({ path, file, bytes }) => /** @type {const} */ ([named(path), { bytes, sha256: sha256(readFileSync(file)) }]));
  return Object.fromEntries(found.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** @param {number[]} numbers */
function sum(numbers) {
  return numbers.reduce((total, each) => total + each, 0);
}

/**
 * @param {string} toolchain
 * @returns {typeof import('esbuild')}
 */
function loadEsbuild(toolchain) {
  return createRequire(join(toolchain, 'package.json'))('esbuild');
}

/**
 * @template Result
 * @param {() => Promise<Result>} work
 * @param {Request} request
 * @returns {Promise<Result>}
 */
async function attempt(work, request) {
  try {
    return await work();
  } catch (error) {
    const { errors } = /** @type {Partial<import('esbuild').BuildFailure>} */ (error);
    if (!errors) throw error;
    throw new BundleError(errors.map((each) => describe(each, request)).join('\n'));
  }
}

/**
 * @param {import('esbuild').Message} message
 * @param {Request} request
 */
function describe({ text, location, detail }, request) {
  if (detail instanceof BundleError) return detail.message;
  if (!location) return text;
  const file = fileOf(location.file, request.workerFolder);
  const where = `${stableName(file, request)}:${location.line}:${location.column + 1}`;
  const [, wanted] = /^Could not resolve "([^"./][^"]*)"$/.exec(text) ?? [];
  if (wanted === undefined) return `${where}: ${text}`;
  const name = wanted.split('/').slice(0, wanted.startsWith('@') ? 2 : 1).join('/');
  return `${where}: expected the npm package ${name} to be installed: run npm install ${name} in ${dirname(file)}`;
}

/**
 * @typedef {{name: string, file: string, source?: string}} HandlerFile
 */

/**
 * @param {Request} request
 * @returns {HandlerFile[]} the handlers, sorted by name
 * @throws {BundleError} a handler's name is not allowed, or its file cannot be a handler
 */
function findHandlers({ handlerFolders, extraHandlers = {} }) {
  /** @type {Map<string, HandlerFile>} */
  const found = new Map();
  for (const folder of handlerFolders) {
    const files = filesOf(folder).filter(isHandlerFile);
    const bad = files.filter((file) => !HANDLER_NAME.test(handlerName(file)));
    if (bad.length > 0) {
      throw new BundleError('expected a handler\'s name to be at most 64 lower-case letters, digits, _ or -, with a letter first, '
        + `got ${bad.map((file) => join(folder, file)).join(', ')}: rename it, or begin its name with _ if it is no handler`);
    }
    const twice = files.filter((file) => files.some((other) => other !== file && handlerName(other) === handlerName(file)));
    if (twice.length > 0) throw new BundleError(`expected one file a handler, got ${twice.map((file) => join(folder, file)).join(' and ')}`);
    for (const file of files) found.set(handlerName(file), { name: handlerName(file), file: join(folder, file) });
  }
  for (const [file, source] of Object.entries(extraHandlers)) {
    found.set(handlerName(file), { name: handlerName(file), file: join(handlerFolders[0] ?? '.', file), source });
  }
  return [...found.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/**
 * @param {typeof import('esbuild').build} build
 * @param {HandlerFile[]} handlers
 * @param {Request} request
 * @returns {Promise<Map<string, string[]>>} the names that the file of each handler exports
 */
async function exportsOf(build, handlers, request) {
  const files = handlers.filter(({ source }) => source === undefined).map(({ file }) => file);
  const { metafile } = await attempt(() => build({
    entryPoints: files, absWorkingDir: request.workerFolder, bundle: false, write: false, metafile: true, outdir: join(request.workerFolder, 'out'),
    outbase: '/', format: 'esm', logLevel: 'silent',
  }), request);
  return new Map(Object.values(metafile.outputs).flatMap(({ entryPoint, exports }) => (
    entryPoint === undefined ? [] : [[fileOf(entryPoint, request.workerFolder), exports]]
  )));
}

/**
 * @param {Map<string, string[]>} exported
 * @param {Request} request
 * @throws {BundleError} a file has no default export, so that it is not a handler
 */
function requireDefaultExports(exported, request) {
  const bad = [...exported].filter(([, names]) => !names.includes('default')).map(([file, names]) => (
    `${stableName(file, request)}: expected a default export, got ${names.join(', ') || 'none'}: a file that is no handler begins with _`
  ));
  if (bad.length > 0) throw new BundleError(bad.join('\n'));
}

/**
 * @param {[string, string[]]} handler the handler's file, and the names that the file exports itself
 * @returns {boolean} whether it may export a schema of its payload, directly or by `export *`; that is as far as can be told without running it
 */
function mayHaveSchema([file, names]) {
  return names.includes('payload') || /\bexport\s*\*|\bexports\b/.test(readFileSync(file, 'utf8'));
}

/**
 * @param {string} folder
 * @returns {string[]} the names of the folder's files and of its links to files; broken links are included, and the code that reads them reports the
 *   error
 */
function filesOf(folder) {
  return readdirSync(folder).filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isFile() ?? true);
}

/** @param {string} file */
function isHandlerFile(file) {
  return HANDLER_ENDINGS.includes(extname(file)) && !COMPANIONS.test(file);
}

/** @param {string} file */
function handlerName(file) {
  return basename(file, extname(file));
}

/**
 * @param {string} folder
 * @param {string[]} used files that are in the Worker
 * @returns {string[]} a remark on each file that nothing uses
 */
function strangers(folder, used) {
  return filesOf(folder)
    .filter((name) => !isHandlerFile(name) && !COMPANIONS.test(name) && !used.includes(join(folder, name)))
    .map((name) => `${join(folder, name)} is no handler and no handler uses it: a handler's file ends in ${HANDLER_ENDINGS.join(', ')}`);
}

/**
 * @param {Request} request
 * @param {HandlerFile[]} handlers
 * @param {boolean} hasSchemas whether at least one handler exports a schema of its payload
 * @returns {import('esbuild').Plugin}
 */
function partsPlugin(request, handlers, hasSchemas) {
  return {
    name: 'parts',
    setup(build) {
      build.onResolve({ filter: /^task-runner:(parts|classes)$/ }, ({ path }) => ({ path, namespace: 'parts' }));
      build.onLoad({ filter: /./, namespace: 'parts' }, ({ path }) => ({
        contents: path === 'task-runner:parts' ? partsModule(request, handlers, hasSchemas) : classesModule(request), resolveDir: request.workerFolder,
      }));
      const sources = new Map(handlers.flatMap(({ file, source }) => (source === undefined ? [] : [[file, source]])));
      build.onResolve({ filter: /./ }, ({ path }) => (sources.has(path) ? { path, namespace: 'extra' } : undefined));
      build.onLoad({ filter: /./, namespace: 'extra' }, ({ path }) => ({
        contents: sources.get(path) ?? '', loader: extname(path).endsWith('ts') ? 'ts' : 'js', resolveDir: dirname(path),
      }));
    },
  };
}

/**
 * @param {Request} request
 * @param {HandlerFile[]} handlers
 * @param {boolean} hasSchemas
 * @returns {string} the source of `task-runner:parts`
 */
function partsModule({ stores, engines }, handlers, hasSchemas) {
  const sharded = (/** @type {Part} */ { name, shardCounts }) => name in SHARDED_STORES && Math.max(...shardCounts) > 1;
  const imports = stores.filter((part) => !sharded(part)).map(({ name }) => importOf(STORES, name));
  imports.push(...stores.filter(sharded).map(({ name }) => importOf(SHARDED_STORES, name)));
  imports.push("import { telling } from './stores/changes.js';");
  if (stores.length > 1) imports.push("import { layered } from './stores/layered.js';");
  const classOf = (/** @type {Part} */ part) => (sharded(part) ? `${SHARDED_STORES[part.name]?.className}([${part.shardCounts}])` : STORES[part.name]?.className);
  const [present, ...formers] = stores;
  const store = classOf(/** @type {Part} */ (present));
  const former = formers.map((part) => `'${part.name}': ${classOf(part)}`);
  const engine = engines[0] ?? '';
  imports.push(...engines.map((name) => importOf(ENGINES, name)));
  return [
    ...imports,
    ...handlers.map(({ file }, index) => `import * as handler${index} from ${JSON.stringify(file)};`),
    `export const Store = telling(${formers.length > 0 ? `layered(${store}, { ${former.join(', ')} })` : store});`,
    `export { ${ENGINES[engine]?.className} as Engine };`,
    engines.includes('queue') ? 'export { QueueEngine as Consumer };' : 'export const Consumer = undefined;',
    stores.some(({ name }) => SWEPT_STORES.includes(name)) ? "export { sweep } from './sweeper.js';" : "export { oversee as sweep } from './sweeper.js';",
    hasSchemas ? "export { Validator } from '@cfworker/json-schema';" : 'export const Validator = undefined;',
    `export const handlers = { ${handlers.map(({ name }, index) => `'${name}': handler${index}`).join(', ')} };`,
  ].join('\n');
}

/**
 * @param {Record<string, {module: string, className: string}>} kinds
 * @param {string} name
 */
function importOf(kinds, name) {
  const kind = kinds[name];
  if (!kind) throw new BundleError(`expected one of ${Object.keys(kinds).join(', ')}, got ${name}`);
  return `import { ${kind.className} } from '${kind.module}';`;
}

/**
 * @param {Request} request
 * @returns {string} the source of `task-runner:classes`
 */
function classesModule({ stores, engines, workerFolder }) {
  const lines = ["import { Engine, handlers, Store, Validator } from 'task-runner:parts';"];
  if (stores.some(({ name }) => name === 'durable-object')) {
    const names = migrationNames(join(workerFolder, 'migrations'));
    lines.push(
      "import { taskObject } from './stores/durable_object.js';",
      ...names.map((name, index) => `import migration${index} from './migrations/${name}';`),
      `export const TaskObject = taskObject([${names.map((_, index) => `migration${index}`)}], (env, store) => new Engine(env, store, handlers), { handlers, Validator, storeOf: (env) => new Store(env) });`,
    );
  }
  if (engines.includes('workflow')) {
    lines.push("import { taskWorkflow } from './engines/task_workflow.js';", 'export const TaskWorkflow = taskWorkflow(Store, handlers, Validator);');
  }
  return lines.join('\n');
}

/**
 * @param {string} folder
 * @returns {string[]} the names in the order in which migrations are applied
 */
function migrationNames(folder) {
  const names = readdirSync(folder).filter((name) => name.endsWith('.sql')).sort();
  const number = (/** @type {string} */ name) => name.split('_')[0];
  const bad = names.filter((name) => !MIGRATION_NAME.test(name) || names.some((other) => other !== name && number(other) === number(name)));
  if (bad.length === 0) return names;
  throw new BundleError(`expected each of worker/migrations to begin with a number of its own and _, as 0001_tasks.sql does, got ${bad.join(', ')}`);
}

/**
 * @param {string} toolchain
 * @param {Inputs} ofBrowser is called with the input files of the browser's programs
 * @returns {import('esbuild').Plugin}
 */
function textPlugin(toolchain, ofBrowser) {
  return {
    name: 'text',
    setup(build) {
      build.onResolve({ filter: /^\..*\.txt$/ }, ({ path, resolveDir }) => {
        const file = join(resolveDir, path);
        const named = file.slice(0, -TEXT_ENDING.length);
        return existsSync(file) || !existsSync(named) ? undefined : { path: named, namespace: 'text' };
      });
      build.onLoad({ filter: /\.tsx$/, namespace: 'text' }, async ({ path }) => {
        const { contents, inputs } = await browserProgram(build.esbuild.build, path, toolchain);
        Object.assign(ofBrowser, inputs);
        return { contents, loader: 'text' };
      });
      build.onLoad({ filter: /./, namespace: 'text' }, ({ path }) => ({ contents: readFileSync(path), loader: 'text' }));
    },
  };
}

/**
 * @param {boolean} isThere whether the runtime has the modules of Node.js
 * @returns {import('esbuild').Plugin}
 */
function nodePlugin(isThere) {
  return {
    name: 'node',
    setup(build) {
      build.onResolve({ filter: /^(node:)?[a-z_/0-9]+$/ }, async ({ path, ...rest }) => {
        if (!isBuiltin(path) || rest.pluginData?.seen) return undefined;
        const name = path.startsWith('node:') ? path : `node:${path}`;
        if (isThere) return { path: name, external: true };
        if (name !== path) {
          const own = await build.resolve(path, { ...rest, pluginData: { seen: true } }); // an npm package may have the same name
          if (own.errors.length === 0) return own;
        }
        return { errors: [{ text: `expected nodejs_compat among compatibility_flags, because this imports ${name}` }] };
      });
    },
  };
}

/**
 * @param {string} path the path as esbuild writes it, with its namespace
 * @param {string} folder the folder to which the path is relative
 * @returns {string} the file's absolute path; for a virtual module its name
 */
function fileOf(path, folder) {
  const [, name = path] = /\b(?:text|extra|parts):(.*)$/.exec(path) ?? [];
  return name.startsWith('task-runner:') ? name : resolve(folder, name);
}

/**
 * @param {string} file
 * @param {Request} request
 * @returns {string} a name of the file that is the same on every machine
 */
function stableName(file, { workerFolder, handlerFolders }) {
  const packages = `${sep}node_modules${sep}`;
  if (file.includes(packages)) return posix(`node_modules/${file.slice(file.lastIndexOf(packages) + packages.length)}`);
  const folders = [
    /** @type {const} */ (['worker', workerFolder]), ...handlerFolders.map((folder) => /** @type {const} */ (['handlers', folder])),
  ];
  const found = folders.find(([, folder]) => file.startsWith(folder + sep));
  if (found) return posix(join(found[0], relative(found[1], file)));
  if (!isAbsolute(file)) return file;
  const own = handlerFolders.at(-1);
  return posix(own === undefined ? basename(file) : join('handlers', relative(own, file)));
}

/** @param {string} path */
function posix(path) {
  return path.split(sep).join('/');
}

/**
 * @param {Uint8Array} contents the contents of a source map
 * @param {(source: string) => string} named
 */
function withStableSources(contents, named) {
  const map = JSON.parse(new TextDecoder().decode(contents));
  map.sources = map.sources.map(named);
  return new TextEncoder().encode(JSON.stringify(map));
}

/** @param {Uint8Array} content */
function sha256(content) {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * @template Item
 * @param {Item[]} items
 */
function only(items) {
  const [item] = items;
  if (items.length !== 1 || item === undefined) throw new TypeError(`expected one, got ${items.length}`);
  return item;
}
