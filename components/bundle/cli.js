/** Reads a request to build a Worker as JSON from standard input. Writes the bundle, or the error, as JSON to standard output. */

import { bundle, BundleError } from './bundle.js';

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
process.stdout.write(JSON.stringify(await answer(JSON.parse(Buffer.concat(chunks).toString('utf8')))));

/** @param {import('./bundle.js').Request} request */
async function answer(request) {
  try {
    const { modules, ...rest } = await bundle(request);
    return { modules: modules.map(({ content, ...module }) => ({ ...module, content: Buffer.from(content).toString('base64') })), ...rest };
  } catch (error) {
    if (error instanceof BundleError) return { error: error.message };
    throw error;
  }
}
