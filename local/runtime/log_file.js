/**
 * The instance's log: a JSON object a line, appended to the file that the control plane appends to as well, and which it
 * moves away when it has grown large.
 */

import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Readable by its owner alone: Workers print secrets. */
const PRIVATE_FILE = 0o600;

export class LogFile {
  #path;
  #file = -1;
  #inode = -1;

  /** @param {string} path of the file; its folder is made */
  constructor(path) {
    mkdirSync(dirname(path), { recursive: true });
    this.#path = path;
  }

  /**
   * Appends entries. Ones that find no room on the disk are dropped: what they tell of must go on.
   *
   * @param {object[]} entries
   */
  append(entries) {
    const lines = Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    try {
      this.#followMove();
      const written = writeSync(this.#file, lines);
      if (written !== lines.length) this.#cutTornLine(written);
    } catch {
      // no room at all, or no folder any more
    }
  }

  /** Opens the file of this name anew when the open one was moved away. */
  #followMove() {
    if (statSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode) return;
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
    this.#file = openSync(this.#path, 'a', PRIVATE_FILE);
    this.#inode = fstatSync(this.#file).ino;
  }

  /** @param {number} written bytes of it */
  #cutTornLine(written) {
    const { size } = fstatSync(this.#file);
    ftruncateSync(this.#file, size - written);
  }
}
