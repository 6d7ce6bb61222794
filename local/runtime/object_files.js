/** The files in which workerd keeps Durable Objects, found from outside: `<id>.sqlite`, `-wal` and `-shm`. */

import { createHash, createHmac } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

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
export function objectIds(folder) {
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
export function removeObject(folder, id) {
  for (const suffix of ['.sqlite', '.sqlite-wal', '.sqlite-shm']) rmSync(join(folder, id + suffix), { force: true });
}

/**
 * Deletes the files of all objects of a namespace.
 *
 * @param {string} folder of the namespace
 */
export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
}
