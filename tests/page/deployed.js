/** The dashboard of a deployed stack, used as an operator does: `URL=… TOKEN=… ENGINE=… node --test tests/page/deployed.js`.
 * The stack has the handler `gate`, which test_page.py knows. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { accessibilityProblems, open, startBrowser } from './browser.js';
import { skip } from './chromium.js';

const { URL: address = '', TOKEN: token = '', ENGINE: engine = '' } = process.env;

describe('the dashboard of a deployed stack', { skip }, () => {
  /** @type {import('playwright-core').Browser} */
  let browser;
  /** @type {import('playwright-core').Page} */
  let page;
  /** @type {string[]} */
  let complaints;
  before(async () => {
    browser = await startBrowser();
    ({ page, complaints } = await open(browser, address, { httpCredentials: { username: 'operator', password: token } }));
    page.setDefaultTimeout(60_000);
  });
  after(() => browser.close());

  test('is not shown to those who have no token', async () => {
    for (const Authorization of ['', `Basic ${btoa(`operator:${token}x`)}`]) {
      const reply = await fetch(address, { headers: { Accept: 'text/html', Authorization } });
      assert.equal(reply.status, 401);
      assert.match(String(reply.headers.get('WWW-Authenticate')), /^Basic /);
    }
  });

  test('shows a task that completes, with its result', async () => {
    await submit('default', 'work');
    await page.locator('main').getByText('completed').first().waitFor();
    await page.getByText('"bytes": 4').waitFor();
  });

  test('shows a task that fails, with its attempts, and retries it', async () => {
    await submit('gate', 'shut', '0');
    await page.getByRole('article', { name: 'Attempt 1 of run 1' }).getByText('RangeError: the gate is shut').waitFor();
    await page.getByText('Show them').click();
    await page.getByRole('region', { name: 'Payload', exact: true }).getByText('shut').waitFor();
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByRole('article', { name: 'Attempt 1 of run 2' }).getByText('RangeError: the gate is shut').waitFor();
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.locator('#failures').getByText('the gate is shut').waitFor();
  });

  test('shows the progress of a task that runs, and cancels it', async () => {
    await submit('gate', 'wait');
    await page.getByText('at the gate').waitFor();
    assert.equal(await page.getByRole('progressbar').getAttribute('value'), '40');
    await page.getByRole('button', { name: 'Cancel task' }).click();
    await page.locator('main h3').getByText('cancelled').waitFor();
  });

  test('shows the queue and the dead letters where there are any', async () => {
    await page.getByRole('link', { name: 'Overview' }).click();
    await page.locator('#tiles').getByText('pending').waitFor();
    for (const tile of ['#queue', '#dead-letters']) assert.equal(await page.locator(tile).count(), engine === 'queue' ? 1 : 0);
    assert.match(String(await page.locator('#throughput svg').getAttribute('aria-label')), /[1-9] submitted, [1-9]/);
    await page.getByRole('link', { name: 'Dead letters', exact: true }).click();
    if (engine !== 'queue') return page.getByText('There is none with workflows').waitFor();
    const letters = page.getByRole('region', { name: /^Letters/ });
    await letters.getByText('the gate is shut').first().waitFor();
    await letters.getByRole('button', { name: 'Redrive all that failed' }).click();
    await page.locator('#notice').getByText('1 task will run again.').waitFor();
    return undefined;
  });

  test('keeps its policy, and is accessible', async () => {
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(complaints, []);
  });

  /**
   * Leaves the page at the task.
   *
   * @param {string} handler
   * @param {string} payload
   * @param {string} [retries]
   */
  async function submit(handler, payload, retries = '') {
    await page.getByRole('button', { name: 'Submit a task' }).click();
    const form = page.getByRole('dialog', { name: 'Submit a task' });
    await form.getByLabel('Handler').fill(handler);
    await form.getByLabel('Retries').fill(retries);
    await form.getByLabel('Payload').fill(payload);
    await form.getByRole('button', { name: 'Submit' }).click();
    await form.getByRole('status').getByRole('link').click();
  }
});
