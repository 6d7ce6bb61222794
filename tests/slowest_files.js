/** A reporter of `node --test` that tells at the end which files took longest. Others ran beside them, so each took less by itself. */

import { relative } from 'node:path';

const MOST = 15;

/**
 * @param {AsyncIterable<{type: string, data: {file?: string, duration_ms?: number}}>} events
 * @returns {AsyncGenerator<string>}
 */
export default async function* slowestFiles(events) {
  /** @type {{file: string, seconds: number}[]} */
  const files = [];
  for await (const { type, data: { file, duration_ms = 0 } } of events) {
    if (type === 'test:summary' && file !== undefined) files.push({ file: relative(process.cwd(), file), seconds: duration_ms / 1000 });
  }
  files.sort((one, other) => other.seconds - one.seconds);
  const lines = files.slice(0, MOST).map(({ file, seconds }) => `${seconds.toFixed(1).padStart(7)} s ${file}`);
  const all = files.reduce((sum, { seconds }) => sum + seconds, 0);
  yield ['', `the longest of ${files.length} files, which took ${all.toFixed(0)} s one after another:`, ...lines, ''].join('\n');
}
