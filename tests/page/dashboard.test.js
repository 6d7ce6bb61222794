/** The dashboard in a real browser, with answers that the tests choose. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, afterEach, describe, test } from 'node:test';

import { accessibilityProblems, open, startBrowser } from './browser.js';
import { skip } from './chromium.js';
import { quietMinutes, StandInApi } from './stand_in_api.js';

const ERROR = { name: 'RangeError', message: '<img src=x onerror=alert(1)> cannot do that' };

describe('the dashboard', { skip }, () => {
  /** @type {import('playwright-core').Browser} */
  let browser;
  /** @type {StandInApi} */
  let api;
  /** @type {string} */
  let url;
  before(async () => { browser = await startBrowser(); });
  after(() => browser.close());
  beforeEach(async () => {
    api = new StandInApi();
    url = await api.start();
  });
  afterEach(async () => {
    for (const context of browser.contexts()) await context.close();
    api.stop();
  });

  test('of a task runner that has no tasks', async () => {
    const { page, complaints } = await open(browser, url);
    await page.getByText('Live').waitFor();
    assert.equal(await page.locator('#tiles .pending b').textContent(), '0');
    assert.equal(await page.locator('#failures').isVisible(), false);
    assert.equal(await page.locator('#dead-letters').isVisible(), true);
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(complaints, []);
  });

  test('shows what there is, and nothing of a task is taken for markup', async () => {
    for (let each = 0; each < 30; each++) api.add({});
    api.add({ status: 'failed', error: ERROR, handler: 'resize', attempts: 6 });
    api.add({ status: 'processing', progress: { percent: 40, note: 'half way' }, finishedAt: null });
    api.stats = {
      queue: { backlog: 1_234, oldestAgeSeconds: 90 }, deadLetters: { count: 7, oldestAgeSeconds: 3_600 },
      recent: { minutes: 15, perMinute: quietMinutes(Date.now(), 12), latencyMs: { samples: 9, p50: 20, p95: 80, p99: 400 } },
    };
    const { page, complaints } = await open(browser, url);
    await page.getByText('1,234').waitFor();
    const text = await page.locator('body').innerText();
    for (const expected of ['In the queue', 'oldest 1.5 min', 'Dead letters', 'python -m ops dlq list', 'RangeError: <img src=x', '80 ms']) {
      assert.ok(text.includes(expected), `${expected} in ${text}`);
    }
    assert.equal(await page.locator('#throughput svg').getAttribute('aria-label'), 'The last 15 minutes: 180 submitted, 180 completed, 0 failed, 0 cancelled');
    assert.equal(await page.locator('body img').count(), 0);
    await page.getByRole('button', { name: 'Load more' }).click();
    await page.getByText('half way').waitFor();
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(complaints, []);
  });

  test('retries what failed and cancels what has not ended, by keyboard too', async () => {
    const failed = api.add({ status: 'failed', error: ERROR });
    const pending = api.add({ status: 'pending', startedAt: null, finishedAt: null });
    const { page } = await open(browser, url);
    const retry = page.locator('#failures').getByRole('button', { name: 'Retry' });
    await retry.focus();
    await page.keyboard.press('Enter');
    await waitFor(() => api.requests.includes(`POST /task/${failed.taskId}/retry`));
    await page.locator('#tasks').getByRole('row', { name: pending.taskId }).getByRole('button', { name: 'Cancel' }).click();
    await waitFor(() => api.requests.includes(`DELETE /task/${pending.taskId}`));
    await page.locator('#tiles .cancelled b').getByText('1').waitFor();
  });

  test('shows a task whole', async () => {
    const task = api.add({ result: { size: 7 } });
    const { page } = await open(browser, url);
    await page.getByRole('link', { name: task.taskId }).first().click();
    await page.getByRole('dialog').getByText('"size": 7').waitFor();
    assert.deepEqual(await accessibilityProblems(page), []);
    await page.keyboard.press('Escape');
    assert.equal(await page.getByRole('dialog').isVisible(), false);
  });

  test('filters, and submits', async () => {
    api.add({ handler: 'resize' });
    const { page } = await open(browser, url);
    await page.locator('#filter').getByLabel('Status').selectOption('failed');
    await waitFor(() => api.requests.some((request) => request.startsWith('GET /tasks?') && request.includes('status=failed')));
    await page.getByText('Submit a task').click();
    await page.locator('#submit').getByLabel('Payload').fill('mine');
    await page.getByRole('button', { name: 'Submit' }).click();
    await waitFor(() => api.requests.some((request) => request.startsWith('POST /task?') && request.endsWith(' mine')));
  });

  test('hides the queue of an engine that has none', async () => {
    api.stats = { queue: null, deadLetters: null };
    const { page } = await open(browser, url);
    await page.getByText('Live').waitFor();
    assert.equal(await page.locator('#queue').isVisible(), false);
    assert.equal(await page.locator('#dead-letters').isVisible(), false);
  });

  for (const [status, code, words] of /** @type {const} */ ([
    [401, 'unauthorized', 'The API refuses the token'],
    [429, 'rate_limited', 'The API takes no more requests with this token for now'],
    [503, 'store_unavailable', 'the task store is not available'],
  ])) {
    test(`says so when the API answers ${status}`, async () => {
      api.refusal = { status, body: { error: 'the task store is not available; try again', code }, headers: { 'retry-after': '1' } };
      const { page } = await open(browser, url);
      await page.getByText(words).first().waitFor();
    });
  }

  test('says so when the API cannot be reached, and goes on once it can', async () => {
    const { page } = await open(browser, url);
    await page.getByText('Live').waitFor();
    await page.route('**/stats', (route) => route.abort());
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('Live').waitFor({ state: 'detached' });
    await page.unroute('**/stats');
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('Live').waitFor();
  });

  for (const [name, options] of /** @type {const} */ ([
    ['in the dark', { colorScheme: 'dark' }], ['on a phone', { viewport: { width: 360, height: 740 } }],
  ])) {
    test(`can be read ${name}`, async () => {
      api.add({ status: 'failed', error: ERROR });
      api.add({ status: 'cancelled' });
      const { page } = await open(browser, url, options);
      await page.getByText('Live').waitFor();
      assert.deepEqual(await accessibilityProblems(page), []);
      assert.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'nothing has to be scrolled sideways');
    });
  }
});

/** @param {() => boolean} condition */
async function waitFor(condition) {
  for (const deadline = Date.now() + 10_000; !condition();) {
    assert.ok(Date.now() < deadline, 'it did not come to that within 10 s');
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
