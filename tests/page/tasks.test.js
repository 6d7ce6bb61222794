/** The overview, the list of tasks and a task. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { skip } from './chromium.js';
import { ERROR, fitsAcross, focused, live, PageUnderTest, waitFor } from './page_under_test.js';
import { historyOf, MARKUP, quietMinutes } from './stand_in_api.js';

const queued = (/** @type {number} */ backlog) => ({ backlog, oldestAgeSeconds: null });

const TIMES = { startedAt: '2026-11-30T09:00:00.000Z', endedAt: '2026-11-30T09:00:02.500Z' };

describe('the overview', { skip }, () => {
  const tested = new PageUnderTest();

  test('of a task runner that has no tasks', async () => {
    const page = await tested.open();
    assert.equal(await page.locator('#tiles').getByRole('link', { name: 'pending' }).locator('b').textContent(), '0');
    assert.equal(await page.locator('#failures').count(), 0);
    assert.equal(await page.locator('#dead-letters').isVisible(), true);
    await tested.assertUsable('', live);
  });

  test('shows what there is, and nothing of a task is taken for markup', async () => {
    for (let each = 0; each < 3; each++) tested.api.add({ status: 'failed', error: ERROR, handler: 'resize' });
    tested.api.add({ status: 'failed', error: { name: 'TypeError', message: 'no' }, handler: MARKUP });
    tested.api.pauses = [{ handler: null, since: new Date().toISOString() }, { handler: 'resize', since: new Date().toISOString() }];
    tested.api.stats = {
      queue: { backlog: 1_234, oldestAgeSeconds: 90, priorities: { high: queued(4), normal: queued(1_200), low: queued(30) } }, firing: ['backlog_age_seconds'], deadLetters: { count: 7, oldestAgeSeconds: 3_600 },
      recent: { minutes: 15, perMinute: quietMinutes(Date.now(), 12), latencyMs: { samples: 9, p50: 20, p95: 80, p99: 400 } },
      databases: [{ name: 'DB', bytes: 9_000_000_000, limitBytes: 10_000_000_000, used: 0.9 }],
    };
    tested.api.metrics = [
      'ephemera_submitted_tasks_total{shard="DB",handler="resize"} 5', 'ephemera_submitted_tasks_total{shard="DB_1",handler="resize"} 6',
      'ephemera_ended_tasks_total{shard="DB",handler="resize",status="failed"} 3', 'ephemera_task_latency_seconds_sum{shard="DB",handler="resize",status="completed"} 6',
      'ephemera_task_latency_seconds_count{shard="DB",handler="resize",status="completed"} 4', 'ephemera_submitted_tasks_total{shard="DB",handler="_other"} 1', '# EOF',
    ].join('\n');
    const page = await tested.open();
    const text = await page.locator('body').innerText();
    for (const expected of ['1,234', 'oldest 1.5 min', 'high 4, normal 1,200, low 30', 'The alert backlog_age_seconds fires.', 'RangeError', MARKUP, '80 ms', 'DB is nearly full', 'all handlers', 'handler resize']) {
      assert.ok(text.includes(expected), `${expected} in ${text}`);
    }
    assert.equal(await page.locator('#throughput svg').getAttribute('aria-label'), 'The last 15 minutes: 180 submitted, 180 completed, 0 failed, 0 cancelled');
    assert.deepEqual(await cells(page, '#failures tbody tr').then((rows) => rows.map(([, handler, tasks]) => [handler, tasks])), [['resize', '3'], [MARKUP, '1']]);
    assert.deepEqual(await cells(page, '#totals tbody tr'), [['resize', '11', '0', '3', '0', '1.5 s'], ['others', '1', '0', '0', '0', '–']]);
    await page.locator('#failures').getByRole('link', { name: 'RangeError' }).click();
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 3);
    assert.ok(page.url().endsWith('#tasks?status=failed&handler=resize&error=RangeError'));
    await tested.assertUsable('', (shown) => shown.locator('#totals').waitFor());
  });

  test('shows an hour, a day or a week where that is chosen, by keyboard too; the choice is in the address', async () => {
    const page = await tested.open();
    const choice = page.getByRole('navigation', { name: 'How far back' });
    assert.equal(await choice.getByRole('link', { name: '15 minutes' }).getAttribute('aria-current'), 'true');
    assert.equal(await page.locator('#latency').count(), 0);
    for (const [range, heading, count] of /** @type {const} */ ([['hour', 'tasks in 5 min, the last hour', 12], ['day', 'tasks in 30 min, the last day', 48], ['week', 'tasks in 3 h, the last week', 56]])) {
      tested.api.history = historyOf(range, (index) => (index < 6 ? { complete: false } : {
        submitted: index, completed: index - 1, failed: index % 2, cancelled: 1,
        ...(index % 5 && { latencyMs: { samples: index - 1, p50: 20 * index, p95: 1_000 * index, p99: 90_000 } }),
      }));
      await choice.getByRole('link', { name: range }).focus();
      await page.keyboard.press('Enter');
      await page.getByText(heading).waitFor();
      assert.ok(await choice.getByRole('link', { name: range }).evaluate((element) => element.matches(':focus')), 'the focus went away');
      assert.ok(page.url().endsWith(`#overview?range=${range}`));
      assert.equal(tested.api.requests.findLast((request) => request.startsWith('GET /stats')), `GET /stats?range=${range}`);
      const sum = (/** @type {'submitted' | 'completed'} */ deed) => tested.api.history?.buckets.reduce((total, bucket) => total + bucket[deed], 0);
      assert.match(String(await page.locator('#throughput svg').getAttribute('aria-label')), new RegExp(`^The last ${range}: ${sum('submitted')} submitted, ${sum('completed')} completed, `));
      assert.match(String(await page.locator('#latency svg').getAttribute('aria-label')), new RegExp(`^Latency in the last ${range}: 95 of 100 within `));
      assert.equal(await page.locator('#throughput rect.uncounted').count(), 6);
      assert.equal(await page.locator('#throughput rect.completed').count(), count);
      const told = tested.api.history.buckets.filter(({ latencyMs }) => latencyMs).length;
      assert.equal(await page.locator('#latency .p95 circle').count(), told);
      assert.ok(await page.locator('#latency .p95 polyline').count() < told, 'there is a gap where nothing completed');
      await page.getByText(`The last ${range} as a table`).focus();
      await page.keyboard.press('Enter');
      const rows = page.getByRole('table', { name: `Throughput and latency of the last ${range}` }).locator('tbody tr');
      assert.equal(await rows.count(), count);
      const cell = (/** @type {number} */ row, /** @type {number} */ column) => rows.nth(row).locator('td').nth(column).textContent();
      assert.equal(await cell(1, 0), String(tested.api.history.buckets[count - 2]?.submitted));
      assert.match(String(await rows.last().getByRole('rowheader').textContent()), /not all is counted$/);
      await page.getByText(`The last ${range} as a table`).press('Enter');
    }
    await page.reload();
    await page.getByText('the last week').first().waitFor();
    tested.api.history = null;
    await page.goBack();
    await page.getByText('the last day').first().waitFor();
    await page.getByRole('navigation', { name: 'How far back' }).getByRole('link', { name: '15 minutes' }).click();
    await page.getByText('tasks in 1 min, the last 15 minutes').waitFor();
    await tested.assertUsable('#overview?range=week', (shown) => shown.locator('#latency svg').waitFor());
  });

  test('shows the last minutes where the address names no time that there is, and a time in which nothing was done', async () => {
    const page = await tested.open('#overview?range=century');
    await page.getByText('the last 15 minutes').first().waitFor();
    assert.deepEqual(tested.api.requests.filter((request) => request.includes('range')), []);
    await page.goto(`${tested.url}/#overview?range=day`);
    await page.getByText('No task has been completed in that time.').waitFor();
    await tested.assertUsable('#overview?range=day', (shown) => shown.locator('#latency svg').waitFor());
  });

  test('hides the queue of an engine that has none', async () => {
    tested.api.stats = { queue: null, deadLetters: null };
    const page = await tested.open();
    for (const tile of ['#queue', '#dead-letters']) assert.equal(await page.locator(tile).count(), 0);
  });

  test('asks for failures, pauses and totals once a minute, or when the reader wants them', async () => {
    tested.api.add({ status: 'failed', error: ERROR });
    const { page, polls } = await tested.openWithClock();
    const asked = () => ['GET /tasks?', 'GET /pauses', 'GET /metrics'].map((start) => tested.api.requests.filter((request) => request.startsWith(start)).length);
    // The page takes up its next poll some time after an answer: until then the clock may run in vain.
    const nextPoll = (/** @type {number} */ expected) => waitFor(async () => {
      await page.clock.runFor(1_000);
      return polls() >= expected;
    });
    for (const expected of [2, 3, 4]) {
      await nextPoll(expected);
    }
    assert.deepEqual(asked(), [1, 1, 1]);
    tested.api.add({ status: 'failed', error: ERROR });
    await nextPoll(5);
    await page.getByText('2 tasks failed.').waitFor();
    assert.deepEqual(asked(), [1, 1, 1]);
    await page.getByRole('button', { name: 'Refresh' }).click();
    await waitFor(() => asked().every((count) => count === 2));
    for (let each = 0; each < 12; each++) {
      await nextPoll(polls() + 1);
    }
    await waitFor(() => asked().every((count) => count === 3));
  });
});

describe('the list of tasks', { skip }, () => {
  const tested = new PageUnderTest();

  test('retries what failed and cancels what has not ended, by keyboard too', async () => {
    const failed = tested.api.add({ status: 'failed', error: ERROR });
    const pending = tested.api.add({ status: 'pending', startedAt: null, finishedAt: null });
    const page = await tested.open('#tasks');
    await page.getByRole('button', { name: `Retry ${failed.taskId}` }).focus();
    await page.keyboard.press('Enter');
    await page.getByText(`Task ${failed.taskId} is pending again.`).waitFor();
    await waitFor(async () => await focused(page) === failed.taskId); // its button is another one now
    await page.getByRole('row', { name: pending.taskId }).getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('row', { name: pending.taskId }).getByText('cancelled').waitFor();
    assert.deepEqual(tested.api.requests.filter((request) => !request.startsWith('GET')), [`POST /task/${failed.taskId}/retry`, `DELETE /task/${pending.taskId}`]);
    const notice = page.locator('#notice');
    await notice.getByText(`Task ${pending.taskId} is cancelled.`).waitFor();
    assert.ok(await notice.evaluate((element) => element.getBoundingClientRect().bottom <= /** @type {any} */ (globalThis).innerHeight), 'the answer is where nobody sees it');
  });

  test('says what the API refuses to do', async () => {
    const task = tested.api.add({ status: 'failed', error: ERROR });
    const page = await tested.open('#tasks');
    task.status = 'completed'; // behind the page's back
    await page.getByRole('button', { name: 'Retry' }).dblclick();
    await page.locator('#notice').getByText('The API answered 409: the task is completed.').waitFor();
    assert.equal(tested.api.requests.filter((request) => request.startsWith('POST')).length, 1);
  });

  test('has its filters in the address, so that a reload shows the same', async () => {
    const wanted = tested.api.add({ status: 'failed', handler: 'resize', error: ERROR, group: 'customer-7', tags: { customer: 'acme', region: 'eu' } });
    tested.api.add({ status: 'failed', handler: 'resize', error: { name: 'TypeError', message: 'no' }, tags: { region: 'us' } });
    tested.api.add({ handler: 'default' });
    const page = await tested.open('#tasks');
    const rows = page.locator('#tasks tbody tr');
    await waitFor(async () => await rows.count() === 3);
    const form = page.getByRole('search');
    for (const [label, text, count] of /** @type {const} */ ([['Handler', 'resize', 2], ['Error has', 'onerror=alert', 1], ['Group', 'customer-7', 1], ['Tags', 'region:eu customer:acme', 1], ['Id begins with', '01a2', 1]])) {
      await form.getByLabel(label).fill(text);
      await form.getByLabel(label).press('Enter');
      await waitFor(async () => await rows.count() === count);
      assert.ok(await form.getByLabel(label).evaluate((element) => element.matches(':focus')));
    }
    await form.getByLabel('Submitted from').fill('2026-01-01T00:00:00');
    await form.getByLabel('Submitted before').fill('2030-01-01T00:00:00');
    await form.getByRole('button', { name: 'Filter' }).click();
    await waitFor(() => page.url().includes('createdBefore=20'));
    assert.equal(new URLSearchParams(page.url().split('?')[1]).get('createdAfter'), new Date(2026, 0, 1).toISOString());
    await page.getByRole('navigation', { name: 'Statuses' }).getByRole('link', { name: 'failed' }).click();
    await waitFor(() => page.url().includes('status=failed'));
    await page.reload();
    await waitFor(async () => await rows.count() === 1);
    assert.equal(await rows.getByRole('rowheader').textContent(), wanted.taskId);
    assert.equal(await form.getByLabel('Error has').inputValue(), 'onerror=alert');
    assert.equal(await form.getByLabel('Submitted from').inputValue(), '2026-01-01T00:00');
    assert.equal(await page.getByRole('navigation', { name: 'Statuses' }).getByRole('link', { name: 'failed' }).getAttribute('aria-current'), 'true');
    const asked = new URLSearchParams(tested.api.requests.findLast((request) => request.startsWith('GET /tasks?'))?.split('?')[1]);
    assert.deepEqual([...asked.keys()].sort(), ['createdAfter', 'createdBefore', 'error', 'group', 'handler', 'id', 'limit', 'status', 'tag', 'tag']);
    await page.getByRole('link', { name: 'Clear' }).click();
    await waitFor(async () => await rows.count() === 3);
    assert.equal(await form.getByLabel('Handler').inputValue(), '');
    await page.goBack();
    await waitFor(async () => await rows.count() === 1);
    assert.equal(await form.getByLabel('Handler').inputValue(), 'resize');
  });

  test('keeps what is typed when an answer comes meanwhile, and tells of a filter that is none', async () => {
    const { page } = await tested.openWithClock('#tasks');
    await page.getByLabel('Error has').pressSequentially('half a wo');
    tested.api.add({});
    await page.clock.runFor(5_000);
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 1);
    assert.equal(await page.getByLabel('Error has').inputValue(), 'half a wo');
    tested.api.refusal = { status: 400, body: { error: 'expected handler to be the name of a handler, got "A"', code: 'invalid_parameter' } };
    await page.route('**/stats', (route) => route.fulfill({ json: { freshUntil: new Date().toISOString(), generatedAt: new Date().toISOString(), counts: { pending: 0, processing: 0, completed: 0, failed: 0, cancelled: 0 } } }));
    await page.evaluate("location.hash = '#tasks?handler=A'");
    await page.clock.runFor(100);
    await page.getByRole('alert').getByText('expected handler to be the name of a handler').waitFor();
  });

  test('has pages that neither skip nor repeat a task, whatever is submitted meanwhile; each has an address', async () => {
    const ids = Array.from({ length: 120 }, () => tested.api.add({}).taskId);
    const page = await tested.open('#tasks');
    const rows = page.locator('#tasks tbody tr');
    /** @type {string[]} */
    const seen = [];
    for (const count of [50, 50, 20]) {
      await waitFor(async () => await rows.count() === count && !seen.includes(await rows.getByRole('rowheader').first().textContent() ?? ''));
      seen.push(...await page.locator('#tasks tbody th').allTextContents());
      const [newest] = tested.api.tasks;
      tested.api.tasks.unshift({ .../** @type {any} */ (newest), taskId: `01a20450-0000-7c53-a1d6-${String(seen.length).padStart(12, '0')}` });
      if (count === 50) await page.getByRole('link', { name: 'Older tasks' }).click();
      if (seen.length === 100) await page.reload();
    }
    assert.deepEqual(seen, ids);
    assert.equal(await page.getByRole('link', { name: 'Older tasks' }).count(), 0);
    await page.goBack();
    await waitFor(async () => (await page.locator('#tasks tbody th').allTextContents())[0] === ids[50]);
    await page.getByRole('link', { name: 'Back to the newest' }).click();
    await waitFor(async () => (await page.locator('#tasks tbody th').allTextContents())[0] === tested.api.tasks[0]?.taskId);
  });

  test('leaves the focus where the reader had it', async () => {
    const first = tested.api.add({});
    const { page } = await tested.openWithClock('#tasks');
    const link = page.getByRole('link', { name: first.taskId });
    await link.focus();
    tested.api.tasks.unshift({ ...first, taskId: '01a20450-0000-7c53-a1d6-00000000000a' });
    await page.clock.runFor(5_000);
    await page.getByText('00000000000a').waitFor();
    assert.ok(await link.evaluate((element) => element.matches(':focus')));
    tested.api.tasks.pop();
    await page.clock.runFor(5_000);
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 1);
    assert.equal(await focused(page), 'The newest first');
  });

  test('lists only the tasks of the status whose number is chosen', async () => {
    tested.api.add({});
    const cancelled = tested.api.add({ status: 'cancelled' });
    const page = await tested.open();
    await page.locator('#tiles').getByRole('link', { name: 'cancelled' }).click();
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 1);
    assert.equal(await page.locator('#tasks tbody a').textContent(), cancelled.taskId);
    await page.getByRole('navigation', { name: 'Statuses' }).getByRole('link', { name: 'all' }).click();
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 2);
  });

  test('hands its filter on to an action, or the ids of what it shows', async () => {
    tested.api.add({ status: 'failed', error: ERROR, handler: 'resize' });
    const page = await tested.open('#tasks?status=failed&handler=resize');
    await page.getByRole('link', { name: 'Act on all that fit…' }).click();
    assert.equal(await page.locator('main').getByLabel('Handler').inputValue(), 'resize');
    assert.equal(await page.getByRole('combobox', { name: 'Action', exact: true }).inputValue(), 'retry');
    await page.goto(`${tested.url}/#tasks?tag=region:eu`);
    await page.getByText('There are no such tasks.').waitFor();
    await page.goto(`${tested.url}/#tasks?error=onerror`);
    await page.getByRole('link', { name: 'Act on the 1 that are shown…' }).click();
    await page.getByText('Of 1 task that was chosen.').waitFor();
  });

  test('can be used by everybody', async () => {
    tested.api.add({ status: 'failed', error: ERROR, handler: MARKUP });
    tested.api.add({ status: 'processing', progress: { percent: 40, note: MARKUP }, finishedAt: null });
    tested.api.add({ status: 'pending', nextAttemptAt: new Date(Date.now() + 600_000).toISOString(), waitingFor: 'group', group: 'g' });
    for (let each = 0; each < 60; each++) tested.api.add({ status: 'completed' });
    await tested.assertUsable('#tasks', (page) => page.getByText(`RangeError: ${MARKUP}`).waitFor());
    const page = await tested.open('#tasks', { viewport: { width: 1000, height: 740 } });
    assert.ok(await fitsAcross(page));
  });
});

describe('a task', { skip }, () => {
  const tested = new PageUnderTest();

  /** One that has everything. */
  function whole() {
    const [parent, callback, other, step] = [tested.api.add({}), tested.api.add({ status: 'failed' }), tested.api.add({}), tested.api.add({})];
    const task = tested.api.add({
      status: 'failed', handler: 'resize', attempts: 2, run: 2, crashes: 1, error: ERROR, group: MARKUP, priority: 'high', tags: { customer: '<img/src=x/onerror=alert(1)>' }, parent: parent.taskId,
      callback: { taskId: callback.taskId, url: 'https://example.com', on: ['failed'], status: 'failed' },
      after: { taskIds: [other.taskId, step.taskId], startWhen: 'ended', waitsFor: [] },
      steps: [{ name: MARKUP, kind: 'step', status: 'failed', attempts: 2, error: ERROR, startedAt: TIMES.startedAt, finishedAt: TIMES.endedAt, dueAt: null }],
    });
    const failure = { ...ERROR, stack: `at ${MARKUP} (index.js:12:9)`, cause: { name: 'TypeError', message: `caused by ${MARKUP}`, stack: null, cause: null } };
    tested.api.attempts[task.taskId] = [
      { run: 1, attempt: 1, outcome: 'crashed', startedAt: TIMES.startedAt, endedAt: null, error: null, log: [], logDropped: 0 },
      {
        run: 2, attempt: 2, outcome: 'failed', ...TIMES, error: failure, logDropped: 12,
        log: [{ at: '2026-11-30T09:00:01.250Z', level: 'warn', message: `logged ${MARKUP}`, fields: `{"size":"${MARKUP}"}` }],
      },
    ];
    tested.api.payloads[task.taskId] = `{"html": "${MARKUP}", "size": 7}`;
    tested.api.parameters[task.taskId] = { url: `https://example.com/${MARKUP}` };
    return { task, parent, callback };
  }

  test('is shown whole, and nothing of it is taken for markup', async () => {
    const { task, parent, callback } = whole();
    const page = await tested.open(`#task/${task.taskId}`);
    const text = await page.locator('main').innerText();
    for (const expected of [
      'failed', `RangeError: ${MARKUP}`, '2 of 6, run 2', 'high', 'customer:<img/src=x/onerror=alert(1)>', 'once all have ended', 'to https://example.com on failed', '2 attempts', 'Attempt 2 of run 2', 'took 2.5 s', 'crashed',
      `at ${MARKUP} (index.js:12:9)`, `TypeError: caused by ${MARKUP}`, `logged ${MARKUP}`, `{"size":"${MARKUP}"}`, '09:00:01.250', '12 lines before these are not kept', '1 step',
    ]) assert.ok(text.includes(expected), `${expected} in ${text}`);
    assert.ok(!tested.api.requests.some((request) => /payload|parameters/.test(request)), 'secrets are asked for before the reader wants them');
    await page.getByText('Show them').focus();
    await page.keyboard.press('Enter');
    const payload = page.locator('pre[aria-label="Payload"]');
    await payload.getByText('"size": 7').waitFor();
    assert.equal(await payload.textContent(), JSON.stringify({ html: MARKUP, size: 7 }, null, 2));
    await page.getByText(`https://example.com/${MARKUP}`).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Download the payload' }).getAttribute('href'), `/task/${task.taskId}/payload`);
    for (const related of [parent, callback]) assert.equal(await page.locator('dl').getByRole('link', { name: related.taskId }).count(), 1);
    await page.getByRole('link', { name: '2 tasks' }).click();
    await page.getByText('2 of 2 have ended').waitFor();
    await tested.assertUsable(`#task/${task.taskId}`, (shown) => shown.getByText('Attempt 2 of run 2').waitFor());
  });

  test('shows its result, whatever JSON that is', async () => {
    const deep = '['.repeat(20_000) + ']'.repeat(20_000);
    for (const [result, expected] of /** @type {const} */ ([
      [{ size: 7 }, '{\n  "size": 7\n}'], [null, 'null'], [MARKUP, JSON.stringify(MARKUP)], ['\u202e\u0000\ud800', null], ['x'.repeat(30_000), null],
    ])) {
      const task = tested.api.add({ result });
      const page = await tested.open(`#task/${task.taskId}`);
      const shown = String(await page.getByLabel('Result').last().textContent());
      if (expected !== null) assert.equal(shown, expected);
      if (String(result).length > 20_000) {
        await page.getByRole('button', { name: 'Show all 30002 characters' }).click();
        await waitFor(async () => String(await page.getByLabel('Result').last().textContent()).length === 30_002);
      }
    }
    const task = tested.api.add({});
    const page = await tested.open();
    await page.route(`**/task/${task.taskId}`, (route) => route.fulfill({ contentType: 'application/json', body: JSON.stringify({ ...task, result: 0 }).replace('"result":0', `"result":${deep}`) }));
    await page.goto(`${tested.url}/#task/${task.taskId}`);
    await page.getByText('nested too deeply').waitFor();
  });

  test('shows a payload that is no JSON, no text, or not there', async () => {
    for (const [payload, expected] of /** @type {const} */ ([
      ['plain & <b>bold</b>', 'plain & <b>bold</b>'], [new Uint8Array([0, 255, 16]), '3 bytes that are no text:\n00 ff 10'],
      [new Uint8Array(2_000).fill(255), null], [null, 'The API answered 410: the payload is not kept.'],
    ])) {
      const { taskId } = tested.api.add({});
      tested.api.payloads[taskId] = payload;
      const page = await tested.open(`#task/${taskId}`);
      await page.getByText('Show them').click();
      const shown = page.locator('pre[aria-label="Payload"]');
      await shown.waitFor();
      if (expected === null) assert.ok(String(await shown.textContent()).endsWith('… 976 bytes more'));
      else assert.equal(await shown.textContent(), expected);
    }
  });

  test('shows its children when the reader asks for them, by keyboard too', async () => {
    const { task, callback } = whole();
    for (let each = 0; each < 25; each++) tested.api.add({ parent: task.taskId, handler: MARKUP });
    const page = await tested.open(`#task/${task.taskId}`);
    const asked = () => tested.api.requests.filter((request) => request.includes('parent='));
    await page.getByText('Show what it has submitted').focus();
    assert.deepEqual(asked(), [], 'they are looked for before the reader wants them');
    await page.keyboard.press('Enter');
    const rows = page.getByRole('table', { name: 'Its children, newest first' }).locator('tbody tr');
    await waitFor(async () => await rows.count() === 20);
    assert.deepEqual(asked(), [`GET /tasks?parent=${task.taskId}&limit=20`]);
    await page.getByRole('link', { name: 'As a list of tasks' }).click();
    await waitFor(async () => await page.locator('#tasks tbody tr').count() === 25);
    assert.ok(page.url().endsWith(`#tasks?parent=${task.taskId}`));
    assert.equal(await page.getByLabel('Child of').inputValue(), task.taskId);
    await page.goto(`${tested.url}/#task/${callback.taskId}`);
    await page.getByText('Show what it has submitted').click();
    await page.getByText('It has none.').waitFor();
  });

  test('keeps payload and parameters from those who may look alone', async () => {
    const { task } = whole();
    tested.api.role = 'read';
    const page = await tested.open(`#task/${task.taskId}`);
    await page.getByText('a token with the role operate is shown them').waitFor();
    assert.equal(await page.getByText('Show them').count(), 0);
    assert.equal(await page.getByRole('link', { name: 'Download' }).count(), 0);
  });

  test('is followed, and can be cancelled, retried and deleted, by keyboard too', async () => {
    const task = tested.api.add({ status: 'processing', finishedAt: null, progress: { percent: 40, note: 'half way' } });
    const page = await tested.open(`#task/${task.taskId}`);
    await page.getByText('40 % half way').waitFor();
    task.progress = { percent: 80, note: 'nearly there' };
    await page.getByText('80 % nearly there').waitFor();
    await page.getByRole('button', { name: 'Cancel task' }).dblclick();
    await page.getByText(`Task ${task.taskId} is cancelled.`).waitFor();
    await page.getByRole('button', { name: 'Retry' }).waitFor();
    assert.deepEqual(tested.api.requests.filter((request) => !request.startsWith('GET')), [`DELETE /task/${task.taskId}`]);
    task.finishedAt = new Date().toISOString();
    await page.getByRole('button', { name: 'Delete for good' }).focus();
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: `Delete task ${task.taskId}` });
    await dialog.getByRole('button', { name: 'Keep it' }).click();
    assert.equal(await focused(page), 'Delete for good');
    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: 'Delete for good' }).click();
    await page.getByText(`Task ${task.taskId} is being deleted`).waitFor();
    assert.ok(tested.api.requests.includes(`POST /actions {"action":"delete","filter":{"ids":["${task.taskId}"]}}`));
    await page.getByRole('button', { name: 'Retry' }).click();
    await page.getByText(`Task ${task.taskId} is pending again.`).waitFor();
    await waitFor(async () => (await focused(page)).includes('pending')); // the heading, because the button is gone
  });

  test('that is not there is told of', async () => {
    const page = await tested.open('#task/gone');
    await page.getByText('There is no such task, or no more.').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Retry' }).count(), 0);
  });

  test('of a batch shows how far that is', async () => {
    const ids = [tested.api.add({}).taskId, tested.api.add({ status: 'failed' }).taskId, tested.api.add({ status: 'pending', finishedAt: null }).taskId];
    const then = tested.api.add({ status: 'pending', finishedAt: null, after: { taskIds: [...ids, '01a2044f-5f0e-7c53-a1d6-000000000000'], startWhen: 'completed', waitsFor: ids.slice(2) } });
    const page = await tested.open(`#task/${then.taskId}`);
    await page.getByText(', once all have completed, waits for 1 more').waitFor();
    await page.getByRole('link', { name: '4 tasks' }).click();
    await page.getByRole('heading', { name: '3 of 4 have ended' }).waitFor();
    assert.equal(await page.getByRole('progressbar', { name: 'Progress of the batch' }).getAttribute('value'), '3');
    await tested.assertUsable(`#batch/${then.taskId}`, (shown) => shown.getByText('3 of 4 have ended').waitFor());
    await page.goto(`${tested.url}/#batch/${ids[0]}`);
    await page.getByText('There is no such batch, or no more.').waitFor();
  });
});

/**
 * @param {import('playwright-core').Page} page
 * @param {string} rows
 * @returns {Promise<string[][]>}
 */
async function cells(page, rows) {
  return page.locator(rows).evaluateAll((found) => found.map((row) => [...row.children].map((cell) => /** @type {any} */ (cell).innerText)));
}
