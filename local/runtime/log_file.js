/** The instance's log: one JSON object on each line. The control plane appends to the same file, and renames it when it has grown large. */

import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** Readable by its owner only: Workers may print secrets. */
const PRIVATE_FILE = 0o600;

export class LogFile {
  #path;
  #file = -1;
  #inode = -1;

  /** @param {string} path the file; its folder is created */
  constructor(path) {
    mkdirSync(dirname(path), { recursive: true });
    this.#path = path;
  }

  /**
   * Appends entries. If the disk is full they are dropped, because what they report must go on.
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
      // the disk is full, or the folder is gone
    }
  }

  /** Opens the file again if the open one was renamed. */
  #followMove() {
    if (statSync(this.#path, { throwIfNoEntry: false })?.ino === this.#inode) return;
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
    this.#file = openSync(this.#path, 'a', PRIVATE_FILE);
    this.#inode = fstatSync(this.#file).ino;
  }

  /** @param {number} written how many bytes of the line were written */
  #cutTornLine(written) {
    const { size } = fstatSync(this.#file);
    ftruncateSync(this.#file, size - written);
  }
}
