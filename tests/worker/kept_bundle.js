/** Bundles of the Worker, kept on disk for as long as what they are made of stays: many tests begin with the same one. */

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';

import { bundle } from '../../components/bundle/bundle.js';

/** @import { Bundle, Request } from '../../components/bundle/bundle.js' */

const ROOT = join(import.meta.dirname, '..', '..');
const KEPT = join(ROOT, 'node_modules', '.cache', 'worker_bundles');
const FOLDER = join(KEPT, hashOf(...sources('worker'), ...sources('components/bundle'), readFileSync(join(ROOT, 'package-lock.json'))));

/**
 * As `bundle`, of handlers in the Worker's own folder and sources in the request.
 *
 * @param {Request} request
 * @returns {Promise<Bundle>}
 */
export async function keptBundle(request) {
  const file = join(FOLDER, hashOf(JSON.stringify(request)));
  try {
    return deserialize(readFileSync(file));
  } catch {
    const made = await bundle(request);
    try {
      keep(file, serialize(made));
    } catch {
      // Sources have changed meanwhile, and another process has begun to keep their bundles: this one is in hand.
    }
    return made;
  }
}

/**
 * @param {string} file
 * @param {Uint8Array} content
 */
function keep(file, content) {
  if (mkdirSync(FOLDER, { recursive: true }) !== undefined) {
    for (const name of readdirSync(KEPT)) if (join(KEPT, name) !== FOLDER) rmSync(join(KEPT, name), { recursive: true, force: true });
  }
  const unfinished = `${file}.${process.pid}`; // other processes make the same
  writeFileSync(unfinished, content);
  renameSync(unfinished, file);
}

/**
 * @param {string} folder
 * @returns {(string | Uint8Array)[]} the names and contents of its files
 */
function sources(folder) {
  const files = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name)).sort().flatMap((file) => [file, readFileSync(file)]);
}

/** @param {...(string | Uint8Array)} parts */
function hashOf(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length} `).update(part);
  return hash.digest('hex').slice(0, 32);
}
