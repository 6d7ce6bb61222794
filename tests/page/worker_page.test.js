/** The dashboard as the Worker itself serves it, in a real browser that signs in with a token. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { apiTokens } from '../worker/api_under_test.js';
import { startWorker } from '../worker/worker_under_test.js';
import { accessibilityProblems, open, startBrowser } from './browser.js';
import { skip } from './chromium.js';
import { live, waitFor } from './page_under_test.js';

const TOKEN = 'a-token-that-opens-nothing-but-this-test';
const READER = 'a-token-that-may-look-at-this-test-alone';
const MARKUP = '<img src=x onerror=alert(1)>';
const HANDLER = `export default function fail(payload, { log }) {
  log.warn('about to fail', { html: '${MARKUP}' });
  throw new RangeError('no such picture ${MARKUP}', { cause: new TypeError('the disk') });
}`;

describe('the page of a Worker with tokens', { skip }, () => {
  /** @type {import('../worker/worker_under_test.js').WorkerUnderTest} */
  let worker;
  /** @type {import('playwright-core').Browser} */
  let browser;
  let url = '';
  const headers = { Authorization: `Bearer ${TOKEN}` };
  before(async () => {
    worker = await startWorker({ handlers: { default: HANDLER }, settings: { API_TOKENS: apiTokens({ me: TOKEN, watcher: [READER, 'read'] }) } });
    browser = await startBrowser();
    url = String(await worker.miniflare.ready);
  });
  after(async () => {
    await browser.close();
    await worker.stop();
  });

  /** @param {string} body */
  async function submitAndFail(body) {
    const submitted = await worker.fetch('/task?maxRetries=0', { method: 'POST', body, headers });
    const { taskId } = /** @type {{taskId: string}} */ (await submitted.json());
    await worker.deliver({ body: { taskId } });
    return taskId;
  }

  /** @param {string} taskId @returns {Promise<any>} */
  const task = async (taskId) => (await worker.fetch(`/task/${taskId}`, { headers })).json();

  /** @param {string} hash */
  async function signIn(hash, password = TOKEN) {
    const { page, complaints } = await open(browser, `${url}${hash}`, { httpCredentials: { username: 'operator', password } });
    await live(page);
    return { page, complaints };
  }

  test('shows a task that failed with its whole story, and retries it', async () => {
    assert.equal((await worker.fetch('/')).status, 401);
    const taskId = await submitAndFail(`{"html": "${MARKUP}"}`);
    const { page, complaints } = await signIn('');
    await page.locator('#failures').getByRole('link', { name: 'RangeError' }).click();
    await page.locator('#tasks').getByRole('link', { name: taskId }).click();
    for (const text of ['RangeError: no such picture <img', 'TypeError: the disk', 'about to fail', `{"html":"${MARKUP}"}`, 'at fail']) await page.getByText(text).first().waitFor();
    await page.getByText('Show them').click();
    await page.locator('pre[aria-label="Payload"]').getByText(MARKUP).waitFor();
    assert.equal(await page.locator('body img').count(), 0);
    assert.deepEqual(await accessibilityProblems(page), []);
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download the payload' }).click();
    assert.equal((await download).suggestedFilename(), taskId);
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByText(`Task ${taskId} is pending again.`).waitFor();
    const { run, status } = await task(taskId);
    assert.deepEqual([run, status], [2, 'pending']);
    assert.deepEqual(complaints, []);
  });

  test('counts and retries many, pauses, and submits', async () => {
    const ids = [await submitAndFail('one'), await submitAndFail('two')];
    const { page, complaints } = await signIn(`#actions?status=failed&ids=${ids.join(',')}`);
    await page.getByRole('button', { name: 'Count them' }).click();
    await page.getByRole('button', { name: 'Retry 2 tasks' }).click();
    await page.getByText('2 tasks will be retried').waitFor();
    await waitFor(async () => (await Promise.all(ids.map(task))).every(({ run }) => run === 2));

    await page.getByRole('link', { name: 'Pauses' }).click();
    await page.getByRole('button', { name: 'Pause all handlers' }).click();
    await page.getByRole('button', { name: 'Resume all handlers' }).click();
    await page.getByText('Nothing is paused.').waitFor();

    const put = await worker.fetch('/schedules/report', { method: 'PUT', headers, body: JSON.stringify({ cron: '0 6 * * 1', timezone: 'Europe/Berlin' }) });
    assert.equal(put.status, 200);
    await page.getByRole('link', { name: 'Schedules' }).click();
    await page.getByRole('button', { name: 'Pause schedule report' }).click();
    await page.getByText('Schedule report is paused.').waitFor();

    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByText('operate: you may do everything').waitFor();
    await page.getByRole('button', { name: 'Submit a task' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Submit' }).click();
    await page.getByRole('dialog').getByText('is submitted.').waitFor();
    assert.deepEqual(complaints, []);
  });

  test('shows everything to a token that may look, and no button that acts', async () => {
    const taskId = await submitAndFail('secret');
    for (const view of ['', '#tasks', `#task/${taskId}`, '#actions', '#schedules', '#pauses', '#dead-letters', '#settings']) {
      const { page, complaints } = await signIn(view, READER);
      await page.getByText('you may look, not act').waitFor();
      const labels = await page.getByRole('button').allTextContents();
      assert.deepEqual(labels.filter((label) => !['Refresh', 'Hold updates', 'Filter'].includes(label)), [], view);
      assert.deepEqual(complaints, []);
    }
  });
});
