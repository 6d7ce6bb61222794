/** How the page asks: how often, what it makes of refusals, and whose buttons it shows. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { accessibilityProblems, open } from './browser.js';
import { skip } from './chromium.js';
import { focused, live, PageUnderTest, waitFor } from './page_under_test.js';

describe('the page', { skip }, () => {
  const tested = new PageUnderTest();

  for (const [status, code, words] of /** @type {const} */ ([
    [401, 'unauthorized', 'The API refuses the token'],
    [429, 'rate_limited', 'The API takes no more requests with this token for now'],
    [503, 'store_unavailable', 'the task store is not available'],
  ])) {
    test(`says so when the API answers ${status}`, async () => {
      tested.api.refusal = { status, body: { error: 'the task store is not available; try again', code }, headers: { 'retry-after': '1' } };
      const { page } = await open(tested.browser, tested.url);
      await page.getByText(words).first().waitFor();
    });
  }

  test('says so when the API cannot be reached, and goes on once it can', async () => {
    const page = await tested.open();
    await page.route('**/stats', (route) => route.abort());
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('The API cannot be reached.').waitFor();
    await page.unroute('**/stats');
    await page.getByRole('button', { name: 'Refresh' }).click();
    await live(page);
  });

  test('asks every 5 s, and not at all while it is hidden or held', async () => {
    const { page, polls } = await tested.openWithClock();
    await page.clock.runFor(5_000);
    await waitFor(() => polls() === 2);
    await live(page);
    await hide(page, true);
    await page.clock.runFor(60_000);
    assert.equal(polls(), 2);
    await hide(page, false);
    await page.clock.runFor(100);
    await waitFor(() => polls() === 3);
    await page.getByRole('button', { name: 'Hold updates' }).click();
    await page.locator('#connection').getByText('Held').waitFor();
    await page.clock.runFor(60_000);
    assert.equal(polls(), 3);
    await page.getByRole('button', { name: 'Hold updates' }).click();
    await page.clock.runFor(100);
    await waitFor(() => polls() === 4);
  });

  test('asks no sooner than the statistics are fresh', async () => {
    tested.api.stats = { freshUntil: new Date(Date.now() + 900_000).toISOString(), generatedAt: new Date().toISOString() };
    for (const view of ['', '#tasks', '#dead-letters']) {
      const before = tested.api.requests.length;
      const { page } = await tested.openWithClock(view);
      const asked = tested.api.requests.length;
      assert.ok(asked > before);
      await page.clock.runFor(800_000);
      assert.equal(tested.api.requests.length, asked, view);
    }
  });

  test('asks slowly for a list that looks at many tasks, and for what seldom changes', async () => {
    for (const view of ['#tasks?status=completed', '#tasks?handler=resize', '#tasks?status=failed&error=x', '#schedules', '#pauses', '#actions', '#settings']) {
      const { page } = await tested.openWithClock(view);
      const asked = tested.api.requests.length;
      await page.clock.runFor(58_000);
      assert.equal(tested.api.requests.length, asked, view);
      await page.clock.runFor(3_000);
      await waitFor(() => tested.api.requests.length > asked);
    }
  });

  test('waits for as long as a refusal says, and longer each time', async () => {
    const { page, polls } = await tested.openWithClock();
    tested.api.refusal = { status: 429, body: { error: 'too many', code: 'rate_limited' }, headers: { 'retry-after': '40' } };
    await page.clock.runFor(5_000);
    await page.getByText('Next attempt in 40 s.').waitFor();
    await page.clock.runFor(39_000);
    assert.equal(polls(), 2);
    tested.api.refusal = { status: 503, body: { error: 'the task store is not available; try again', code: 'store_unavailable' } };
    await page.clock.runFor(2_000);
    await page.getByText('Next attempt in 20 s.').waitFor();
    tested.api.refusal = null;
    await page.clock.runFor(20_000);
    await live(page);
    assert.equal(polls(), 4);
  });

  test('asks no more with a token that is refused', async () => {
    const { page, polls } = await tested.openWithClock();
    tested.api.refusal = { status: 401, body: { error: 'expected an API token', code: 'unauthorized' } };
    await page.clock.runFor(5_000);
    await page.getByText('The API refuses the token').waitFor();
    await page.clock.runFor(600_000);
    assert.equal(polls(), 2);
  });

  test('is gone about by keyboard: each view has a way to it, and gets the focus', async () => {
    const page = await tested.open();
    for (const name of ['Tasks', 'Actions', 'Schedules', 'Pauses', 'Dead letters', 'Settings', 'Overview']) {
      const link = page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name, exact: true });
      await link.focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name, exact: true, level: 2 }).waitFor();
      await waitFor(async () => await focused(page) === name);
      assert.equal(await page.title(), `${name} · Task runner`);
      assert.equal(await link.getAttribute('aria-current'), 'page');
    }
    await page.goBack();
    await page.getByRole('heading', { name: 'Settings', level: 2 }).waitFor();
    await page.keyboard.press('Home');
    await page.locator('.skip').focus();
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'Settings');
    assert.ok(page.url().endsWith('#settings'));
  });

  test('shows the overview where the address names no view that there is', async () => {
    const page = await tested.open('#nonsense/%E0%A4%A/?%');
    await page.getByRole('heading', { name: 'Overview', level: 2 }).waitFor();
  });

  test('shows buttons that act to the role operate alone, as soon as the API tells', async () => {
    tested.api.role = 'read';
    const page = await tested.open();
    assert.equal(await page.getByRole('button', { name: 'Submit a task' }).count(), 0);
    await page.getByText('you may look, not act').waitFor();
    tested.api.role = 'operate';
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByRole('button', { name: 'Submit a task' }).waitFor();
    assert.deepEqual(await accessibilityProblems(page), []);
  });
});

/**
 * @param {import('playwright-core').Page} page
 * @param {boolean} hidden as it is in a tab that is not in front
 */
async function hide(page, hidden) {
  await page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })`);
  await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
}
