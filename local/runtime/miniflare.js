/** Loads Miniflare as a CommonJS module: to import it as an ES module, Node.js would search for its exports and its format, which takes almost as long
 * as running it. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {import('miniflare').LogLevel} LogLevel
 * @typedef {import('miniflare').Miniflare} Miniflare
 */

/** @type {typeof import('miniflare')} */
const miniflare = createRequire(import.meta.url)(fileURLToPath(import.meta.resolve('miniflare')));

export const { kVoid, Log, LogLevel, Miniflare, MiniflareCoreError, NoOpLog } = miniflare;
