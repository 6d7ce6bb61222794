/** The dashboard as the Worker itself serves it, in a real browser that signs in with a token. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { apiTokens } from '../worker/api_under_test.js';
import { startWorker } from '../worker/worker_under_test.js';
import { accessibilityProblems, open, startBrowser } from './browser.js';
import { skip } from './chromium.js';

const TOKEN = 'a-token-that-opens-nothing-but-this-test';
const HANDLER = `export default function fail() { throw new RangeError('no such picture'); }`;

describe('the page of a Worker with tokens', { skip }, () => {
  test('shows a task that failed, and retries it', async () => {
    const worker = await startWorker({ handlers: { default: HANDLER }, settings: { API_TOKENS: apiTokens({ me: TOKEN }) } });
    const browser = await startBrowser();
    try {
      const url = String(await worker.miniflare.ready);
      const headers = { Authorization: `Bearer ${TOKEN}` };
      const submitted = await worker.fetch('/task?max_retries=0', { method: 'POST', body: 'work', headers });
      const { taskId } = /** @type {{taskId: string}} */ (await submitted.json());
      await worker.deliver({ body: { taskId } });

      assert.equal((await worker.fetch('/')).status, 401);
      const { page, complaints } = await open(browser, url, { httpCredentials: { username: 'operator', password: TOKEN } });
      await page.getByText('Live').waitFor();
      await page.locator('#failures').getByText('RangeError: no such picture').waitFor();
      assert.deepEqual(await accessibilityProblems(page), []);
      await page.locator('#failures').getByRole('button', { name: 'Retry' }).click();
      await page.locator('#tasks tbody .pending').waitFor();
      const task = /** @type {{run: number, status: string}} */ (await (await worker.fetch(`/task/${taskId}`, { headers })).json());
      assert.deepEqual([task.run, task.status], [2, 'pending']);
      assert.deepEqual(complaints, []);
    } finally {
      await browser.close();
      await worker.stop();
    }
  });
});
