/** Where the reader steers: actions, pauses, schedules, dead letters, settings, and submitting. */

import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';

import { skip } from './chromium.js';
import { assertLooksUsable, ERROR, focused, PageUnderTest, waitFor } from './page_under_test.js';
import { MARKUP } from './stand_in_api.js';

/** @import { Action, DeadLetter, Schedule } from '../../worker/page/answers.d.ts' */

const NOW = '2026-11-30T09:00:00.000Z';

/** @param {Partial<Action>} action @returns {Action} */
const actionOf = (action) => ({
  id: crypto.randomUUID(), action: 'retry', dryRun: false, state: 'completed', matched: 12, done: 10, skipped: 2, createdAt: NOW, finishedAt: NOW,
  filter: { status: 'failed', handler: 'resize', tags: null, createdAfter: null, createdBefore: NOW, ids: null }, ...action,
});

/** @param {Partial<Schedule>} schedule @returns {Schedule & Record<string, unknown>} */
const scheduleOf = (schedule) => ({
  name: 'report', owner: 'api', cron: '0 6 * * 1', timezone: 'Europe/Berlin', everySeconds: null, overlap: 'skip', missed: 'last', paused: false, handler: 'resize', tags: { customer: 'acme' }, priority: 'low',
  delaySeconds: 0, ttlSeconds: null, maxRetries: null, group: null, callbackUrl: null,
  nextRuns: [NOW, '2026-12-07T05:00:00.000Z'], lastRuns: [{ taskId: '01a2044f-5f0e-7c53-a1d6-ffffffffffff', scheduledAt: NOW }], ...schedule,
});

describe('actions', { skip }, () => {
  const tested = new PageUnderTest();
  const posted = () => tested.api.requests.filter((request) => request.startsWith('POST /actions')).map((request) => JSON.parse(request.slice('POST /actions '.length)));

  test('are counted before they are done, and mean what was counted', async () => {
    tested.api.looksOfAction = 2;
    const page = await tested.open('#actions?status=failed');
    const main = page.locator('main');
    await main.getByLabel('Handler').fill('resize');
    await waitFor(() => page.url().endsWith('#actions?action=retry&status=failed&handler=resize'));
    await main.getByLabel('Tags').fill('customer:acme region:eu');
    await main.getByRole('button', { name: 'Count them' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('Counting: 1 so far.').waitFor();
    await page.locator('#count').getByText('3 tasks would be retried.').waitFor();
    assert.deepEqual(posted(), [{ action: 'retry', filter: { status: 'failed', handler: 'resize', tags: { customer: 'acme', region: 'eu' } }, dryRun: true }]);
    await main.getByRole('button', { name: 'Retry 3 tasks' }).click();
    await page.getByText('3 tasks will be retried: action').waitFor();
    const [counted] = tested.api.actions.filter(({ dryRun }) => dryRun);
    assert.deepEqual(posted()[1], { action: 'retry', filter: { status: 'failed', handler: 'resize', createdBefore: counted?.createdAt, tags: { customer: 'acme', region: 'eu' } } });
    assert.equal(await main.getByRole('button', { name: 'Retry 3 tasks' }).count(), 0);
    await waitFor(async () => await page.getByRole('article').getByText('completed').count() === 2);
    await page.reload();
    assert.equal(await main.getByLabel('Handler').inputValue(), 'resize');
  });

  test('cannot be done to what was not counted', async () => {
    const page = await tested.open('#actions?status=completed');
    const main = page.locator('main');
    assert.equal(await main.getByRole('combobox', { name: 'Action', exact: true }).inputValue(), 'delete');
    await main.getByRole('button', { name: 'Count them' }).click();
    await main.getByRole('button', { name: 'Delete 3 tasks' }).waitFor();
    await main.getByLabel('Handler').fill('other');
    assert.equal(await main.getByRole('button', { name: 'Delete 3 tasks' }).count(), 0);
    await main.getByRole('combobox', { name: 'Action', exact: true }).selectOption('cancel');
    assert.deepEqual(await main.getByLabel('Status').locator('option').allTextContents(), ['pending or processing', 'pending', 'processing']);
  });

  test('say why the API takes none', async () => {
    const page = await tested.open('#actions');
    tested.api.refusal = { status: 400, body: { error: 'expected filter to be one with some of status', code: 'invalid_parameter' } };
    await page.getByRole('button', { name: 'Count them' }).click();
    await page.locator('#notice').getByText('The API answered 400: expected filter').waitFor();
  });

  test('are to the tasks that were chosen', async () => {
    const ids = [tested.api.add({}).taskId, tested.api.add({}).taskId];
    const page = await tested.open(`#actions?action=delete&ids=${ids.join(',')}`);
    await page.getByText('Of 2 tasks that were chosen.').waitFor();
    await page.getByRole('button', { name: 'Count them' }).click();
    await waitFor(() => posted().length === 1);
    assert.deepEqual(posted(), [{ action: 'delete', filter: { ids }, dryRun: true }]);
    await page.getByRole('button', { name: 'Of all' }).click();
    await waitFor(() => page.url().endsWith('#actions?action=delete'));
  });

  test('can be followed, and stopped', async () => {
    tested.api.looksOfAction = 1_000;
    const action = actionOf({ state: 'running', finishedAt: null });
    tested.api.actions.push(action);
    const page = await tested.open('#actions');
    const card = page.getByRole('article', { name: `Action ${action.id}` });
    await card.getByText('running').waitFor();
    action.done = 77;
    await card.getByText('77').waitFor();
    await card.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('what it has done to 77 tasks stays done.').waitFor();
    await card.getByText('stopped').waitFor();
    assert.ok(tested.api.requests.includes(`DELETE /actions/${action.id}`));
  });

  test('can be used by everybody', async () => {
    tested.api.looksOfAction = 1_000;
    tested.api.actions.push(actionOf({ state: 'running', finishedAt: null }), actionOf({ action: 'delete', dryRun: true, filter: { status: null, handler: MARKUP, tags: { customer: 'acme' }, createdAfter: NOW, createdBefore: null, ids: ['01a2044f-5f0e-7c53-a1d6-ffffffffffff'] } }));
    await tested.assertUsable('#actions?ids=a', (page) => page.getByText(`of ${MARKUP}, with customer:acme`).waitFor());
  });
});

describe('pauses', { skip }, () => {
  const tested = new PageUnderTest();

  test('are of a handler or of all, and are taken back', async () => {
    const page = await tested.open('#pauses');
    await page.getByText('Nothing is paused.').waitFor();
    await page.locator('main').getByRole('combobox', { name: 'Handler' }).fill('resize');
    await page.getByRole('button', { name: 'Pause resize' }).click();
    await page.getByText('Handler resize is paused.').waitFor();
    await page.locator('main').getByRole('combobox', { name: 'Handler' }).fill('');
    await page.getByRole('button', { name: 'Pause all handlers' }).click();
    await page.getByText('All handlers are paused.').waitFor();
    await page.getByRole('button', { name: 'Resume handler resize' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('Handler resize is resumed.').waitFor();
    await waitFor(async () => await focused(page) === 'Paused now');
    await page.getByRole('button', { name: 'Resume all handlers' }).click();
    await page.getByText('Nothing is paused.').waitFor();
    assert.deepEqual(tested.api.requests.filter((request) => request.startsWith('POST')), [
      'POST /handlers/resize/pause', 'POST /pause', 'POST /handlers/resize/resume', 'POST /resume',
    ]);
    await page.locator('main').getByRole('combobox', { name: 'Handler' }).fill('nope');
    await page.getByRole('button', { name: 'Pause nope' }).click();
    await page.locator('#notice').getByText('unknown handler "nope"').waitFor();
  });

  test('can be used by everybody', async () => {
    tested.api.pauses = [{ handler: MARKUP, since: NOW }, { handler: null, since: NOW }];
    await tested.assertUsable('#pauses', (page) => page.getByText(`handler ${MARKUP}`).waitFor());
  });
});

describe('schedules', { skip }, () => {
  const tested = new PageUnderTest();

  test('are listed, paused and resumed', async () => {
    tested.api.schedules = { schedules: [scheduleOf({}), scheduleOf({ name: 'poll', cron: null, everySeconds: 900, owner: 'stack', lastRuns: [] })], refused: [] };
    const page = await tested.open('#schedules');
    const report = page.getByRole('region', { name: 'report' });
    const text = await report.innerText();
    for (const expected of ['0 6 * * 1 in Europe/Berlin', 'resize', 'a run is left out', 'by the API', 'low', 'customer:acme']) assert.ok(text.includes(expected), `${expected} in ${text}`);
    assert.equal(await report.getByRole('link', { name: '01a2044f-5f0e-7c53-a1d6-ffffffffffff' }).count(), 1);
    await page.getByRole('region', { name: 'poll' }).getByText('every 15 min').waitFor();
    await report.getByRole('button', { name: 'Pause schedule report' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('Schedule report is paused.').waitFor();
    await report.getByRole('button', { name: 'Resume schedule report' }).click();
    await page.getByText('Schedule report is resumed.').waitFor();
    assert.deepEqual(tested.api.requests.filter((request) => request.startsWith('POST')), ['POST /schedules/report/pause', 'POST /schedules/report/resume']);
  });

  test('can be used by everybody', async () => {
    tested.api.schedules = { schedules: [scheduleOf({ paused: true, handler: MARKUP, nextRuns: [] })], refused: [{ name: MARKUP, error: MARKUP }] };
    await tested.assertUsable('#schedules', (page) => page.getByRole('heading', { name: 'report' }).waitFor());
  });

  test('where there are none, it is said how to make one', async () => {
    const page = await tested.open('#schedules');
    await page.getByText('python -m ops schedules put').waitFor();
  });
});

/** @param {number} number @param {Partial<DeadLetter>} [letter] @returns {DeadLetter} */
const letterOf = (number, letter = {}) => ({
  letterId: `letter-${number}`, state: 'failed', attempts: 0, sentAt: NOW, contentType: 'json', taskId: `01a2044f-5f0e-7c53-a1d6-00000000000${number}`, run: 1,
  task: { status: 'failed', run: 1, handler: 'resize', error: ERROR }, body: null, ...letter,
});

describe('dead letters', { skip }, () => {
  const tested = new PageUnderTest();
  const posted = () => tested.api.requests.filter((request) => request.startsWith('POST'));
  beforeEach(() => { tested.api.stats = { deadLetters: { count: 4, oldestAgeSeconds: 3_600 } }; });

  test('are chosen and redriven, by keyboard too, and the answer says what was left', async () => {
    tested.api.letters = [letterOf(1), letterOf(2), letterOf(3, { state: 'stale', task: { status: 'completed', run: 2, handler: 'resize', error: null } }), letterOf(4)];
    const page = await tested.open('#dead-letters');
    const letters = page.getByRole('region', { name: /^Letters/ });
    await letters.getByText('RangeError: <img').first().waitFor();
    assert.equal(await letters.locator('tbody tr').count(), 4);
    assert.equal(await letters.getByRole('button', { name: /^Redrive \d/ }).count(), 0, 'nothing is chosen yet');
    await letters.getByRole('checkbox', { name: 'Choose letter letter-1' }).focus();
    await page.keyboard.press('Space');
    await letters.getByRole('checkbox', { name: 'Choose letter letter-3' }).check();
    assert.equal(await letters.getByRole('checkbox', { name: 'Choose all letters' }).evaluate((box) => /** @type {any} */ (box).indeterminate), true);
    await letters.getByRole('button', { name: 'Redrive 2 letters' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('#notice').getByText('1 task will run again. Left: 1 stale.').waitFor();
    await waitFor(async () => await letters.locator('tbody tr').count() === 3);
    await letters.getByRole('checkbox', { name: 'Choose all letters' }).check();
    await letters.getByRole('button', { name: 'Redrive 3 letters' }).waitFor();
    await letters.getByRole('checkbox', { name: 'Choose all letters' }).uncheck();
    await letters.getByRole('button', { name: 'Redrive all that failed' }).click();
    await page.locator('#notice').getByText('2 tasks will run again.').waitFor();
    assert.deepEqual(posted(), ['POST /dead-letters/redrive {"ids":["letter-1","letter-3"]}', 'POST /dead-letters/redrive {"all":true}']);
    assert.deepEqual(tested.complaints, []);
  });

  test('are purged when the reader has said so twice', async () => {
    tested.api.letters = [letterOf(1), letterOf(2, { state: 'gone', task: null }), letterOf(3, { state: 'malformed', taskId: null, run: null, task: null, body: MARKUP }), letterOf(4)];
    const page = await tested.open('#dead-letters');
    const letters = page.getByRole('region', { name: /^Letters/ });
    await letters.getByRole('checkbox', { name: 'Choose letter letter-3' }).check();
    await letters.getByRole('button', { name: 'Purge 1 letter' }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete 1 letter for good?' });
    await dialog.getByRole('button', { name: 'Keep it' }).click();
    assert.deepEqual(posted(), []);
    await letters.getByRole('button', { name: 'Purge 1 letter' }).click();
    await dialog.getByRole('button', { name: 'Purge 1 letter' }).click();
    await page.locator('#notice').getByText('1 letter is deleted.').waitFor();
    await letters.getByRole('button', { name: 'Purge all stale' }).click();
    await page.getByRole('dialog', { name: /stale or gone/ }).getByRole('button', { name: 'Purge all stale' }).click();
    await waitFor(async () => await letters.locator('tbody tr').count() === 2);
    await letters.getByRole('button', { name: 'Purge all', exact: true }).click();
    await page.getByRole('dialog', { name: 'Delete all letters for good, about 2?' }).getByRole('button', { name: 'Purge all' }).click();
    await page.getByText('Cloudflare shows no dead letters.').waitFor();
    assert.deepEqual(posted(), ['POST /dead-letters/purge {"ids":["letter-3"]}', 'POST /dead-letters/purge {"stale":true}', 'POST /dead-letters/purge {"all":true}']);
  });

  test('can be used by everybody, and acted on by those who may', async () => {
    tested.api.letters = [
      letterOf(1), letterOf(2, { state: 'stale' }), letterOf(3, { state: 'unfinished', task: { status: 'processing', run: 1, handler: 'resize', error: null } }),
      letterOf(4, { state: 'gone', task: null }), letterOf(5, { state: 'malformed', taskId: null, run: null, task: null, body: MARKUP }),
    ];
    await tested.assertUsable('#dead-letters', (page) => page.getByText(MARKUP).first().waitFor());
    tested.api.role = 'read';
    const page = await tested.open('#dead-letters');
    await page.getByText(MARKUP).first().waitFor();
    assert.equal(await page.getByRole('checkbox').count(), 0);
  });

  test('that Cloudflare does not show now leave the rest of the view as it is', async () => {
    tested.api.letters = [];
    tested.api.lettersRefusal = { status: 502, body: { error: 'Cloudflare does not take the token of the setting dead_letter_api_token', code: 'dead_letter_token_refused' } };
    const page = await tested.open('#dead-letters');
    await page.getByRole('alert').getByText('The API answered 502: Cloudflare does not take the token').waitFor();
    await page.getByText('Failed tasks, which dead letters stand for').waitFor();
  });

  test('are counted; what to type is said, and the failed tasks can be retried', async () => {
    tested.api.stats = { deadLetters: { count: 7, oldestAgeSeconds: 3_600 } };
    const task = tested.api.add({ status: 'failed', error: ERROR });
    tested.api.add({});
    const page = await tested.open('#dead-letters');
    const text = await page.locator('main').innerText();
    for (const expected of ['7', '1 h old', 'python -m ops dlq list', 'cannot read its dead-letter queue', 'dead_letter_api_token']) assert.ok(text.includes(expected), `${expected} in ${text}`);
    assert.equal(await page.locator('main tbody tr').count(), 1);
    await page.getByRole('button', { name: `Retry ${task.taskId}` }).click();
    await page.getByText(`Task ${task.taskId} is pending again.`).waitFor();
    task.status = 'failed';
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByRole('link', { name: 'Retry all…' }).click();
    await waitFor(() => page.url().endsWith('#actions?action=retry&status=failed'));
    tested.api.requests.length = 0;
    await tested.assertUsable('#dead-letters', (shown) => shown.getByText('1 h old').waitFor());
  });

  test('of an engine that has none', async () => {
    tested.api.stats = { deadLetters: null };
    const page = await tested.open('#dead-letters');
    await page.getByText('There is none with workflows').waitFor();
  });
});

describe('settings', { skip }, () => {
  const tested = new PageUnderTest();

  test('are what the API tells of the deployment', async () => {
    tested.api.stats = {
      databases: [{ name: 'DB', bytes: 5_000_000, limitBytes: 10_000_000, used: 0.5 }], objects: [{ name: 'tasks-0', version: 'v-0' }],
      former: [{ store: 'kv', counts: { pending: 1, processing: 0, completed: 2, failed: 0, cancelled: 0 }, complete: true }],
      sweeper: { expired: 5, resent: 4, returned: 3, failed: 2 },
    };
    const page = await tested.open('#settings');
    const text = await page.locator('main').innerText();
    for (const expected of ['v-1', 'operate: you may do everything', '5 MB of 10 MB (50%)', 'tasks-0', 'v-0', 'kv', '3 tasks', 'deleted 5 expired tasks', 'resize', 'takes no parameters', 'where to']) {
      assert.ok(text.includes(expected), `${expected} in ${text}`);
    }
    await tested.assertUsable('#settings', (shown) => shown.getByText('where to').waitFor());
  });
});

describe('submitting', { skip }, () => {
  const tested = new PageUnderTest();
  const submitted = () => tested.api.requests.filter((request) => request.startsWith('POST /tasks')).map((request) => JSON.parse(request.slice('POST /tasks '.length)).tasks);

  test('is done from any view, by keyboard, and the answer is where the form is', async () => {
    for (const view of ['', '#tasks', '#schedules', '#task/x']) {
      const page = await tested.open(view);
      await page.getByRole('button', { name: 'Submit a task' }).focus();
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog', { name: 'Submit a task' });
      await dialog.getByLabel('Payload').fill('mine');
      await dialog.getByLabel('Payload').press('Tab');
      await dialog.getByRole('button', { name: 'Submit' }).press('Enter');
      const answer = dialog.getByRole('status').getByText('is submitted.');
      await answer.waitFor();
      assert.ok(await answer.evaluate((element) => { const { top, bottom } = element.getBoundingClientRect(); return top >= 0 && bottom <= /** @type {any} */ (globalThis).innerHeight; }));
      await dialog.getByRole('link').click();
      await page.getByRole('heading', { name: 'Task 01a20450-0000-7c53-a1d6-000000000001', level: 2 }).waitFor();
      assert.equal(await dialog.isVisible(), false);
      tested.api.tasks = [];
    }
    assert.deepEqual(submitted()[0], [{ handler: 'default', payload: 'mine' }]);
  });

  test('sends what is filled in, with the parameters that the handler takes, in the body', async () => {
    const page = await tested.open();
    await page.getByRole('button', { name: 'Submit a task' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Handler').fill('http');
    await dialog.getByLabel('url where to').fill('https://example.com/?secret');
    await dialog.getByLabel('Delay in seconds').fill('5');
    await dialog.getByLabel('Retries').fill('0');
    await dialog.getByLabel('Idempotency key').fill('order-7');
    await dialog.getByLabel('Group').fill('customer-7');
    await dialog.getByLabel('Tags').fill(' customer:acme  region:eu ');
    await dialog.getByLabel('Priority').selectOption('high');
    await dialog.getByRole('button', { name: 'Submit' }).click();
    await dialog.getByText('is submitted.').waitFor();
    assert.deepEqual(submitted(), [[{
      handler: 'http', payload: '{}', delaySeconds: 5, maxRetries: 0, idempotencyKey: 'order-7', group: 'customer-7', priority: 'high', tags: { customer: 'acme', region: 'eu' }, parameters: { url: 'https://example.com/?secret' },
    }]]);
    await dialog.getByLabel('Handler').fill('nope');
    await dialog.getByRole('button', { name: 'Submit' }).click();
    await dialog.getByRole('status').getByText('The API answered 400: unknown handler "nope".').waitFor();
    await page.keyboard.press('Escape');
    assert.equal(await focused(page), 'Submit a task');
  });

  test('can be used by everybody', async () => {
    const page = await tested.open();
    await page.getByRole('button', { name: 'Submit a task' }).click();
    await assertLooksUsable(page);
  });
});
