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
    await page.locator('#failures tbody tr').waitFor();
    await page.getByText('Live').waitFor();
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

  test('asks every 5 s, and not at all while it is hidden or paused', async () => {
    const { page, polls } = await openWithClock();
    await page.clock.runFor(5_000);
    await waitFor(() => polls() === 2);
    await hide(page, true);
    await page.clock.runFor(60_000);
    assert.equal(polls(), 2);
    await hide(page, false);
    await page.clock.runFor(100);
    await waitFor(() => polls() === 3);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('status').getByText('Paused').waitFor();
    await page.clock.runFor(60_000);
    assert.equal(polls(), 3);
  });

  test('waits for as long as a refusal says, and longer each time', async () => {
    const { page, polls } = await openWithClock();
    api.refusal = { status: 429, body: { error: 'too many', code: 'rate_limited' }, headers: { 'retry-after': '40' } };
    await page.clock.runFor(5_000);
    await page.getByText('Next attempt in 40 s.').waitFor();
    await page.clock.runFor(39_000);
    assert.equal(polls(), 2);
    api.refusal = { status: 503, body: { error: 'the task store is not available; try again', code: 'store_unavailable' } };
    await page.clock.runFor(2_000);
    await page.getByText('Next attempt in 20 s.').waitFor();
    api.refusal = null;
    await page.clock.runFor(20_000);
    await page.getByText('Live').waitFor();
    assert.equal(polls(), 4);
  });

  test('asks no more with a token that is refused', async () => {
    const { page, polls } = await openWithClock();
    api.refusal = { status: 401, body: { error: 'expected an API token', code: 'unauthorized' } };
    await page.clock.runFor(5_000);
    await page.getByText('The API refuses the token').waitFor();
    await page.clock.runFor(600_000);
    assert.equal(polls(), 2);
  });

  test('leaves focus and address where the reader had them', async () => {
    const first = api.add({});
    const { page, polls } = await openWithClock();
    const link = page.getByRole('link', { name: first.taskId });
    await link.focus();
    api.tasks.unshift({ ...first, taskId: '01a2044f-6000-7c53-a1d6-newer' });
    await page.clock.runFor(5_000);
    await page.getByText('newer').waitFor();
    assert.ok(await link.evaluate((element) => element.matches(':focus')));
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').getByText('completed').waitFor();
    assert.ok(page.url().endsWith(`#task/${first.taskId}`));
    await page.getByRole('button', { name: 'Close' }).click();
    assert.ok(await link.evaluate((element) => element.matches(':focus')));
    assert.equal(page.url(), `${url}/`);
    assert.equal(polls(), 2);
  });

  test('opens the task of its address, and says when that is not there', async () => {
    const { page } = await open(browser, `${url}/#task/gone`);
    await page.getByRole('dialog').getByText('There is no such task, or no more.').waitFor();
    assert.equal(await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).isVisible(), false);
    await page.keyboard.press('Escape');
    await page.getByText('Live').waitFor();
  });

  test('tells in the dialog what became of what was asked for there', async () => {
    const task = api.add({ status: 'processing', finishedAt: null, progress: { percent: 40, note: 'half way' } });
    const { page } = await open(browser, `${url}/#task/${task.taskId}`);
    const dialog = page.getByRole('dialog');
    await dialog.getByText('40 % half way').waitFor();
    await dialog.getByRole('button', { name: 'Cancel task' }).dblclick();
    await dialog.getByText('is cancelled').waitFor();
    await dialog.getByRole('button', { name: 'Retry' }).waitFor();
    assert.deepEqual(api.requests.filter((request) => !request.startsWith('GET')), [`DELETE /task/${task.taskId}`]);
    task.status = 'completed'; // behind the page's back
    await dialog.getByRole('button', { name: 'Retry' }).click();
    await dialog.getByText('The API answered 409: the task is completed.').waitFor();
  });

  test('older pages stay as they are until the newest are asked for', async () => {
    for (let each = 0; each < 50; each++) api.add({});
    const { page } = await openWithClock();
    const rows = page.locator('#tasks tbody tr');
    for (const count of [20, 40, 50]) {
      await waitFor(async () => await rows.count() === count);
      if (count < 50) await page.getByRole('button', { name: 'Load more' }).click();
    }
    assert.equal(await page.getByRole('button', { name: 'Load more' }).isVisible(), false);
    await page.getByText('Not live: older tasks').waitFor();
    await page.clock.runFor(5_000);
    assert.equal(await rows.count(), 50);
    await page.getByRole('button', { name: 'Back to the newest' }).click();
    await waitFor(async () => await rows.count() === 20);
  });

  test('lists only the tasks of the status whose number is pressed', async () => {
    api.add({});
    const cancelled = api.add({ status: 'cancelled' });
    const { page } = await open(browser, url);
    const tile = page.getByRole('button', { name: 'cancelled' });
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 2);
    await tile.click();
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 1);
    assert.equal(await page.locator('#tasks tbody a').textContent(), cancelled.taskId);
    assert.equal(await tile.getAttribute('aria-pressed'), 'true');
    await tile.click();
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 2);
  });

  /** Opens the page where time passes only when a test says so. */
  async function openWithClock() {
    const { page } = await open(browser, 'about:blank');
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 1_000);
    await page.goto(url);
    await page.clock.runFor(100);
    await page.getByText('Live').waitFor();
    return { page, polls: () => api.requests.filter((request) => request === 'GET /stats').length };
  }

  for (const [name, options] of /** @type {const} */ ([
    ['in the dark', { colorScheme: 'dark' }], ['on a phone', { viewport: { width: 360, height: 740 } }],
  ])) {
    test(`can be read ${name}`, async () => {
      api.add({ status: 'failed', error: ERROR });
      api.add({ status: 'cancelled' });
      const { page } = await open(browser, url, options);
      await page.getByText('Live').waitFor();
      assert.deepEqual(await accessibilityProblems(page), []);
      assert.ok(await fitsAcross(page));
    });
  }

  test('fits across when there is nothing to be done about any task', async () => {
    api.add({ status: 'completed' });
    const { page } = await open(browser, url, { viewport: { width: 1000, height: 740 } });
    await page.getByText('Live').waitFor();
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 1);
    assert.ok(await fitsAcross(page));
  });
});

/**
 * @param {import('playwright-core').Page} page
 * @returns {Promise<boolean>} whether nothing has to be scrolled sideways
 */
async function fitsAcross(page) {
  return await page.evaluate('document.documentElement.scrollWidth <= innerWidth');
}

/**
 * @param {import('playwright-core').Page} page
 * @param {boolean} hidden as it is in a tab that is not in front
 */
async function hide(page, hidden) {
  await page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })`);
  await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
}

/** @param {() => boolean | Promise<boolean>} condition */
async function waitFor(condition) {
  for (const deadline = Date.now() + 10_000; !await condition();) {
    assert.ok(Date.now() < deadline, 'it did not come to that within 10 s');
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
