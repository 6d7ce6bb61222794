/** Builds a program for the browser: one module that contains the entry point and everything that it imports. */

import { join, parse, resolve } from 'node:path';

/**
 * @param {typeof import('esbuild').build} build
 * @param {string} file its entry point
 * @param {string} toolchain a folder whose `node_modules` has the npm packages that the program imports
 * @returns {Promise<{contents: Uint8Array, inputs: Record<string, {bytesInOutput: number}>}>} the input files, by their absolute paths
 * @throws {import('esbuild').BuildFailure}
 */
export async function browserProgram(build, file, toolchain) {
  const root = parse(file).root;
  const { outputFiles: [program], metafile: { outputs } } = await build({
    entryPoints: [file],
    absWorkingDir: root, // so that esbuild reports absolute paths
    bundle: true,
    write: false,
    metafile: true,
    outdir: join(root, 'out'),
    format: 'esm',
    target: 'es2023',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    nodePaths: [join(toolchain, 'node_modules')],
    tsconfigRaw: {}, // the tsconfig.json of the user's project must not change the build
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
