/** Finds the machine's chromium. Run by itself, it says when there is none, which is to say that the page is not tested. */

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Where there is one without windows, it does the same with a third of the work.
const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const MAC_PATHS = ['Chromium', 'Google Chrome'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`);

export const MISSING = `The page was NOT tested: there is no chromium here. Install it (Debian, Ubuntu: apt-get install chromium),
or set CHROMIUM=/path/to/chromium.`;

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function findChromium() {
  const { CHROMIUM, PATH = '' } = process.env;
  if (CHROMIUM) return CHROMIUM;
  const onPath = PATH.split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return [...onPath, ...MAC_PATHS].find(isExecutable) ?? null;
}

/** Path of the browser; null where there is none. */
export const chromium = findChromium();

/** Why tests of the page are skipped; false: they are not. In CI they fail instead. */
export const skip = chromium === null && process.env['CI'] !== 'true' && MISSING;

if (process.argv[1] === fileURLToPath(import.meta.url) && !chromium) {
  console.error(`\n${MISSING}`);
  process.exitCode = skip ? 0 : 1;
}
