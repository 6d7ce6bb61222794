/** Builds a program of the browser's: one module of it and all that it imports. */

import { join, parse, resolve } from 'node:path';

/**
 * @param {typeof import('esbuild').build} build
 * @param {string} file its entry point
 * @param {string} toolchain a folder that has `node_modules` with what it takes from npm
 * @returns {Promise<{contents: Uint8Array, inputs: Record<string, {bytesInOutput: number}>}>} the inputs by their absolute paths
 * @throws {import('esbuild').BuildFailure}
 */
export async function browserProgram(build, file, toolchain) {
  const root = parse(file).root;
  const { outputFiles: [program], metafile: { outputs } } = await build({
    entryPoints: [file],
    absWorkingDir: root, // so that paths are whole
    bundle: true,
    write: false,
    metafile: true,
    outdir: join(root, 'out'),
    format: 'esm',
    target: 'es2023',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    nodePaths: [join(toolchain, 'node_modules')],
    tsconfigRaw: {}, // those of whoever deploys are not for it
    minify: true,
    legalComments: 'none',
    logLevel: 'silent',
  });
  const [output] = Object.values(outputs);
  if (!program || !output) throw new TypeError('expected a program, got none');
  return {
    contents: program.contents,
    inputs: Object.fromEntries(Object.entries(output.inputs).map(([path, input]) => [resolve(root, path), input])),
  };
}
