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
    const row = await submit('default', 'work');
    await row.getByText('completed').waitFor();
    await row.getByRole('link').click();
    await page.getByRole('dialog').getByText('"bytes": 4').waitFor();
    await page.keyboard.press('Escape');
  });

  test('shows a task that fails, and retries it', async () => {
    await submit('gate', 'shut', 'max_retries=0');
    const failure = page.locator('#failures tbody tr');
    await failure.getByText('RangeError: the gate is shut').waitFor();
    await failure.getByRole('button', { name: 'Retry' }).click();
    await failure.getByText('1 of 1, run 2').waitFor();
    assert.equal(await page.locator('#tiles .failed b').textContent(), '1');
  });

  test('shows the progress of a task that runs, and cancels it', async () => {
    const row = await submit('gate', 'wait');
    await row.getByText('at the gate').waitFor();
    assert.equal(await row.getByRole('progressbar').getAttribute('value'), '40');
    await row.getByRole('button', { name: 'Cancel' }).click();
    await row.getByText('cancelled').waitFor();
  });

  test('shows the queue and the dead letters where there are any', async () => {
    for (const tile of ['#queue', '#dead-letters']) assert.equal(await page.locator(tile).isVisible(), engine === 'queue');
    if (engine === 'queue') await page.getByText('python -m ops dlq list').waitFor();
    assert.match(String(await page.locator('#throughput svg').getAttribute('aria-label')), /[1-9] submitted, [1-9]/);
  });

  test('keeps its policy, and is accessible', async () => {
    assert.deepEqual(await accessibilityProblems(page), []);
    assert.deepEqual(complaints, []);
  });

  /**
   * @param {string} handler
   * @param {string} payload
   * @param {string} [parameters] a query
   * @returns {Promise<import('playwright-core').Locator>} the task's row
   */
  async function submit(handler, payload, parameters = '') {
    const form = page.locator('#submit');
    if (!await form.isVisible()) await page.getByText('Submit a task').click();
    await form.getByLabel('Handler').fill(handler);
    await form.getByLabel('Its parameters').fill(parameters);
    await form.getByLabel('Payload').fill(payload);
    const answer = page.waitForResponse((response) => response.request().method() === 'POST');
    await form.getByRole('button', { name: 'Submit' }).click();
    const { taskId } = await (await answer).json();
    return page.locator(`#tasks tr[data-task-id="${taskId}"]`);
  }
});
