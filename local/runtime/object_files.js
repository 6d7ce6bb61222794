/** The files in which workerd keeps Durable Objects, found from outside: `<id>.sqlite`, `-wal` and `-shm`. */

import { createHash, createHmac } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ID_HALF_BYTES = 16;

/**
 * The id of a named object, as `idFromName` computes it.
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
 * The ids of all objects of a namespace that have a file, in order.
 *
 * @param {string} folder of the namespace
 */
function objectIds(folder) {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.sqlite') && !name.startsWith('metadata.'));
  return names.map((name) => name.replace('.sqlite', '')).sort();
}

/**
 * Deletes the files of one object.
 *
 * @param {string} folder of its namespace
 * @param {string} id
 */
function removeObject(folder, id) {
  for (const suffix of ['.sqlite', '.sqlite-wal', '.sqlite-shm']) rmSync(join(folder, id + suffix), { force: true });
}

/**
 * Deletes the files of all objects of a namespace.
 *
 * @param {string} folder of the namespace
 */
function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
}

/** Data under one folder, for products: each says where Miniflare keeps its own. */
export class ObjectFiles {
  #root;

  /** @param {string} root */
  constructor(root) {
    this.#root = root;
  }

  /**
   * Moves a folder that an earlier release kept elsewhere.
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
   * The ids of all objects that have a file.
   *
   * @param {string} folder of their namespace
   */
  ids(folder) {
    return objectIds(join(this.#root, folder));
  }

  /**
   * Deletes a named object.
   *
   * @param {string} folder of its namespace
   * @param {string} namespace the namespace's unique key
   * @param {string} name
   */
  removeNamed(folder, namespace, name) {
    removeObject(join(this.#root, folder), objectId(namespace, name));
  }

  /** @param {string} folder with all that is in it */
  removeFolder(folder) {
    removeFolder(join(this.#root, folder));
  }
}
