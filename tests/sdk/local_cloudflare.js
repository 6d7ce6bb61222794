/** A local Cloudflare of its own for a test, and the official client of it. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import Cloudflare from 'cloudflare';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export class LocalCloudflare {
  #stateDir = mkdtempSync(join(tmpdir(), 'cloudflare-sdk-test-'));

  constructor() {
    this.#command('start', '--port', '0');
    const variables = JSON.parse(this.#command('env', '--format', 'json'));
    /** @type {string} */
    this.accountId = variables.CLOUDFLARE_ACCOUNT_ID;
    /** @type {string} */
    this.baseURL = variables.CLOUDFLARE_BASE_URL;
    /** @type {string} */
    this.apiToken = variables.CLOUDFLARE_API_TOKEN;
  }

  /** @param {string} apiToken */
  client(apiToken = this.apiToken) {
    return new Cloudflare({ apiToken, baseURL: this.baseURL, maxRetries: 0 });
  }

  stop() {
    this.#command('stop');
    rmSync(this.#stateDir, { recursive: true });
  }

  /**
   * @param {string} name
   * @param {string[]} options
   */
  #command(name, ...options) {
    const words = ['-m', 'local', name, '--state', this.#stateDir, ...options];
    return execFileSync('python', words, { cwd: ROOT, encoding: 'utf8' });
  }
}
