/** The files in which workerd stores Durable Objects: `<id>.sqlite`, `-wal` and `-shm`. */

import { createHash, createHmac } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ID_HALF_BYTES = 16;

/**
 * Returns the id of a named object, computed like `idFromName`.
 *
 * @param {string} namespace the namespace's unique key
 * @param {string} name
 */
export function objectId(namespace, name) {
  const key = createHash('sha256').update(namespace).digest();
  /** @param {string | Buffer} data */
  const half = (data) => createHmac('sha256', key).update(data).digest().subarray(0, ID_HALF_BYTES);
  const first = half(name);
  return Buffer.concat([first, half(first)]).toString('hex');
}

/**
 * Returns the ids of all objects of a namespace that have a file, sorted.
 *
 * @param {string} folder the folder of the namespace
 */
function objectIds(folder) {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.sqlite') && !name.startsWith('metadata.'));
  return names.map((name) => name.replace('.sqlite', '')).sort();
}

/**
 * Deletes the files of one object.
 *
 * @param {string} folder the folder of its namespace
 * @param {string} id
 */
function removeObject(folder, id) {
  for (const suffix of ['.sqlite', '.sqlite-wal', '.sqlite-shm']) rmSync(join(folder, id + suffix), { force: true });
}

/**
 * Deletes the files of all objects of a namespace.
 *
 * @param {string} folder the folder of the namespace
 */
function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
}

/** The data of products in one folder; each product says where Miniflare stores its files. */
export class ObjectFiles {
  #root;

  /** @param {string} root */
  constructor(root) {
    this.#root = root;
  }

  /**
   * Moves a folder from where an earlier release had it.
   *
   * @param {string} from
   * @param {string} to
   */
  moveFolder(from, to) {
    const [before, now] = [join(this.#root, from), join(this.#root, to)];
    if (!existsSync(before) || existsSync(now)) return;
    mkdirSync(dirname(now), { recursive: true });
    renameSync(before, now);
  }

  /**
   * Returns the ids of all objects that have a file.
   *
   * @param {string} folder the folder of their namespace
   */
  ids(folder) {
    return objectIds(join(this.#root, folder));
  }

  /**
   * Deletes a named object.
   *
   * @param {string} folder the folder of its namespace
   * @param {string} namespace the namespace's unique key
   * @param {string} name
   */
  removeNamed(folder, namespace, name) {
    removeObject(join(this.#root, folder), objectId(namespace, name));
  }

  /** @param {string} folder the folder, which is deleted with its contents */
  removeFolder(folder) {
    removeFolder(join(this.#root, folder));
  }
}
