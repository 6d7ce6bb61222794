/** Converts messages of workerd and Miniflare for users. */

import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

import { PlatformError } from './errors.js';
import { MiniflareCoreError } from './miniflare.js';
import { OWN_PARTS, RUNTIME_ENDED, SERVICE_PREFIX } from './system/miniflare_internals.js';
import { MARK } from './system/logging.js';

/** Lines that workerd writes about itself, not for a Worker. */
const RUNTIME_LINE = /^(workerd|kj|capnp)\/\S+:\d+:/;

/** The scheme of module paths, and the folders of this program, its packages and temporary files. */
const MACHINE_PATHS = new RegExp(
  ['file:///', ...[fileURLToPath(new URL('../../', import.meta.url)), `${tmpdir()}/`].map((path) => RegExp.escape(path))].join('|'),
  'g',
);

/**
 * Returns the error of a configuration that does not run. If workerd ended without a message, something else ended it, and nothing is wrong with the
 * Worker.
 *
 * @param {unknown} error what Miniflare threw
 */
export function refusedWorker(error) {
  const isRefusal = error instanceof PlatformError || spokenLines(error).length > 0;
  if (isRefusal || (error instanceof MiniflareCoreError && error.code !== RUNTIME_ENDED)) return invalidWorker(error);
  return new PlatformError('internal', `the Workers runtime ended while it started: ${messageOf(error)}`);
}

/**
 * Returns the error of a refused configuration, with workerd's own message.
 *
 * @param {unknown} error what Miniflare threw
 */
export function invalidWorker(error) {
  if (error instanceof PlatformError) return error;
  const spoken = spokenLines(error);
  return new PlatformError('invalid_worker', cleaned(spoken.length > 0 ? spoken.join('\n') : messageOf(error)));
}

/**
 * Returns a message without colours, and without paths of this computer and names of Miniflare: it has the Worker's own name, and the names of files
 * in the upload.
 *
 * @param {string} message
 */
export function cleaned(message) {
  return stripVTControlCharacters(message)
    .split('\n')
    .filter((line) => !OWN_PARTS.test(line))
    .join('\n')
    .replace(new RegExp(`^service ${SERVICE_PREFIX}\\S+: `, 'gm'), '')
    .replaceAll(new RegExp(`${SERVICE_PREFIX}([^\\s"'/]+)(?:/[0-9a-f-]{36})?`, 'g'), '$1')
    .replaceAll(MACHINE_PATHS, '')
    .trim();
}

/**
 * Returns the part of workerd's output that belongs into the log. Console output of Workers comes through the tail Worker, which knows the Worker.
 *
 * @param {string} message
 * @returns {string | null}
 */
export function runtimeLine(message) {
  if (message.startsWith(MARK)) return message.slice(MARK.length);
  return RUNTIME_LINE.test(message) ? message : null;
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Returns what workerd said before it ended.
 *
 * @param {unknown} error
 */
function spokenLines(error) {
  return messageOf(error).split('\n').flatMap(spokenByRuntime);
}

/**
 * Returns the message in a line of workerd's structured log.
 *
 * @param {string} line
 * @returns {string[]} undefined for any other line
 */
function spokenByRuntime(line) {
  try {
    const { level, message } = JSON.parse(line);
    return level === 'error' ? [message] : [];
  } catch {
    return [];
  }
}
