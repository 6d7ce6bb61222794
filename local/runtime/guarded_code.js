/** Wraps a version's code in modules that apply limits of Cloudflare which workerd does not have to its classes. */

import { readFileSync } from 'node:fs';

/** @import { Version } from './desired_state.js' */

const PACKAGE = new URL('../', import.meta.url);
/** The folder of these modules in the Worker: no upload of the user's has paths that begin like this. */
const FOLDER = 'cloudflare-limits/';
const STORAGE_LIMITS = 'products/durable_objects/runtime/storage_limits.js';
const STEP_LIMITS = 'products/workflows/runtime/step_limits.js';
const MODULES = [STORAGE_LIMITS, STEP_LIMITS, 'runtime/system/value_sizes.js'];

/**
 * @template {Record<string, {type: string}>} Modules
 * @param {Version & {main_module: string}} version
 * @param {Modules} modules modules in Miniflare's form
 * @returns {{mainModule: string, modules: Modules}} the same modules if the version runs no such class
 */
export function guardedCode({ main_module, durable_objects = [], workflow_classes = [] }, modules) {
  const wrapped = [
    ...durable_objects.map(({ class_name, use_sqlite }) => ({ name: class_name, by: 'withStorageLimits', settings: [use_sqlite] })),
    ...workflow_classes.map((name) => ({ name, by: 'withStepLimits', settings: [] })),
  ];
  if (wrapped.length === 0 || modules[main_module]?.type !== 'esm') return { mainModule: main_module, modules };
  const user = JSON.stringify(`../${main_module}`);
  const lines = [
    `import { withStorageLimits } from './${STORAGE_LIMITS}';`,
    `import { withStepLimits } from './${STEP_LIMITS}';`,
    `import * as user from ${user};`,
    `export * from ${user};`,
    'export default user.default;',
    ...wrapped.map(limitedExport),
  ];
  const added = Object.fromEntries(MODULES.map((name) => [FOLDER + name, esm(readFileSync(new URL(name, PACKAGE), 'utf8'))]));
  const mainModule = `${FOLDER}main.js`;
  return { mainModule, modules: { [mainModule]: esm(lines.join('\n')), ...added, ...modules } };
}

/**
 * A class that the code does not export stays undefined: workerd reports that. Names are quoted, because they may be any text.
 *
 * @param {{name: string, by: string, settings: boolean[]}} wanted
 * @param {number} index
 */
function limitedExport({ name, by, settings }, index) {
  const original = `user[${JSON.stringify(name)}]`;
  const call = `${by}(${[original, ...settings].join(', ')})`;
  return `const limited${index} = ${original} && ${call}; export { limited${index} as ${JSON.stringify(name)} };`;
}

/** @param {string} contents */
function esm(contents) {
  return { type: /** @type {const} */ ('esm'), contents };
}
