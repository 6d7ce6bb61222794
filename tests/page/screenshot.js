/**
 * Takes a picture of each view of the dashboard, of a Worker at work: `node tests/page/screenshot.js FOLDER`. The tasks of the last minute
 * are real; older ones are written into its database, so that it need not work for a quarter of an hour first.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { newTaskId } from '../../worker/task_id.js';
import { ACCOUNT_ID, FakeDeadLetterApi, QUEUE_ID, TOKEN } from '../worker/fakes/dead_letter_api.js';
import { startWorker } from '../worker/worker_under_test.js';
import { open, startBrowser } from './browser.js';
import { DARK, live, PHONE } from './page_under_test.js';

const HANDLERS = {
  resize: `
    export const parameters = { width: 'of the picture that is made, in pixels' };
    export default async function resize(payload, { log, progress, signal }) {
      await scheduler.wait(10 + 90 * Math.random() ** 4);
      if (payload.includes('bad')) {
        log.info('fetched', { bytes: 7, type: 'text/plain' });
        log.warn('no picture begins so', { first: 'not a p' });
        throw new RangeError('expected a picture, got 7 bytes of text', { cause: new TypeError('the header is not that of a PNG') });
      }
      if (payload !== 'long') return { width: 200, height: 150 };
      progress(62, 'frame 310 of 500');
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    }`,
};
const ERROR = { name: 'RangeError', message: 'expected a picture, got 7 bytes of text' };
const PAST_MINUTES = 15;
const PAST_HALF_HOURS = 44;
const ROUNDS = 40;
const ROUND_MS = 750;
const VIEWPORT = { width: 1040, height: 640 };

const [, , folder = 'docs/dashboard'] = process.argv;
const letters = new FakeDeadLetterApi();
await letters.start();
const worker = await startWorker({
  handlers: HANDLERS,
  settings: { DEAD_LETTER_API_TOKEN: TOKEN, DEAD_LETTER_API_URL: letters.url, DEAD_LETTER_ACCOUNT_ID: ACCOUNT_ID, DEAD_LETTER_QUEUE_ID: QUEUE_ID },
});
const browser = await startBrowser();
try {
  const url = String(await worker.miniflare.ready);
  await writePast();
  await work();
  const failed = await failedTask();
  await steer();
  await bury();
  await worker.sweep();
  await mkdir(folder, { recursive: true });
  for (const [name, hash] of Object.entries({
    overview: '', tasks: '#tasks', task: `#task/${failed}`, actions: '#actions?action=retry&status=failed&handler=resize', schedules: '#schedules', pauses: '#pauses',
    'dead-letters': '#dead-letters', settings: '#settings',
  })) await take(name, `${url}${hash}`, { viewport: VIEWPORT });
  await take('day', `${url}#overview?range=day`, { viewport: VIEWPORT }, (page) => page.locator('#latency svg').scrollIntoViewIfNeeded());
  await take('dark', url, { ...DARK, viewport: VIEWPORT });
  await take('phone', url, PHONE);
  await take('submit', `${url}#tasks`, { viewport: VIEWPORT }, async (page) => {
    await page.getByRole('button', { name: 'Submit a task' }).click();
    await page.getByRole('dialog').getByLabel('Handler').fill('resize');
    await page.getByRole('dialog').getByRole('button', { name: 'Submit' }).click();
    await page.getByRole('dialog').getByText('is submitted.').waitFor();
  });
} finally {
  await browser.close();
  await worker.stop();
  letters.stop();
}

/**
 * @param {string} name
 * @param {string} address
 * @param {import('playwright-core').BrowserContextOptions} options
 * @param {(page: import('playwright-core').Page) => Promise<void>} [prepare]
 */
async function take(name, address, options, prepare = async () => {}) {
  const { page } = await open(browser, address, options);
  await live(page);
  await prepare(page);
  if (name === 'dead-letters') {
    for (const number of [1, 2]) await page.getByRole('checkbox').nth(number).check();
  }
  if (name === 'actions') {
    await page.getByRole('button', { name: 'Count them' }).click();
    await page.getByRole('button', { name: /^Retry \d/ }).waitFor();
  }
  await setTimeout(300);
  await page.screenshot({ path: join(folder, `${name}.png`) });
}

/** Writes tasks that came and went in the minutes before this one, and in the day before those. */
async function writePast() {
  await writeTasks(PAST_MINUTES, 60_000, 0);
  await writeTasks(PAST_HALF_HOURS, 1_800_000, PAST_MINUTES * 60_000);
  await worker.sweep();
}

/**
 * @param {number} times how many
 * @param {number} width_ms of each
 * @param {number} age_ms of the last one's end
 */
async function writeTasks(times, width_ms, age_ms) {
  const now_ms = Date.now() - age_ms;
  const tasks = Array.from({ length: times }, (_, index) => now_ms - (index + 1) * width_ms).flatMap((start_ms, index) => (
    Array.from({ length: Math.round(330 + 90 * Math.sin(index / 2)) }, (_, each) => {
      const created_ms = Math.floor(start_ms + 0.96 * width_ms * Math.random());
      const failed = each < 4 + 3 * (index % 4);
      return { taskId: newTaskId(created_ms), failed, created_ms, took_ms: Math.round((40 + 10 * Math.sin(index / 7)) / (0.02 + Math.random())) };
    })
  ));
  await worker.rows(`
    INSERT INTO tasks (taskId, status, handler, created_at, expires_at, attempts, started_at, finished_at, payload, result, error)
      SELECT value ->> 'taskId', iif(value ->> 'failed', 'failed', 'completed'), 'resize', datetime(value ->> 'created_ms' / 1000, 'unixepoch'),
        value ->> 'created_ms' / 1000 + 86400, 1, value ->> 'created_ms' + 20, value ->> 'created_ms' + (value ->> 'took_ms'), 'picture',
        iif(value ->> 'failed', NULL, 'null'), iif(value ->> 'failed', ?, NULL)
      FROM json_each(?)`, JSON.stringify(ERROR), JSON.stringify(tasks));
}

/** Has the Worker do some work, for long enough that there is something to draw. */
async function work() {
  for (let round = 1; round <= ROUNDS; round++) {
    const payloads = [...Array(4).fill('picture'), ...(round % 26 === 0 ? ['bad'] : [])];
    const ids = await Promise.all(payloads.map((payload) => worker.submit(payload, '?handler=resize&maxRetries=0')));
    await worker.deliver(...ids.map((taskId) => ({ body: { taskId } })));
    await setTimeout(ROUND_MS);
  }
  const long = await worker.submit('long', '?handler=resize');
  void worker.deliver({ body: { taskId: long } }).catch(() => {}); // it ends with the Worker
  await worker.submit('picture', '?handler=resize&delaySeconds=540');
  await setTimeout(2_000);
}

/** @returns {Promise<string>} the id of one that has failed twice, with something to read */
async function failedTask() {
  const taskId = await worker.submit(JSON.stringify({ picture: 'holiday.png', note: 'bad' }), '?handler=resize&maxRetries=1&param.width=200&tag=customer:acme&tag=album:holiday');
  for (const attempts of [1, 2]) await worker.deliver({ body: { taskId }, attempts });
  return taskId;
}

/** Makes dead letters: of tasks that have failed, of one that has completed since, and of none. */
async function bury() {
  const listed = async (/** @type {string} */ status) => (
    /** @type {{tasks: {taskId: string, run: number}[]}} */ (await (await worker.fetch(`/tasks?limit=4&status=${status}`)).json()).tasks
  );
  const sent_ms = Date.now() - 340_000;
  for (const [index, { taskId, run }] of [...await listed('failed'), ...(await listed('completed')).slice(0, 1)].entries()) {
    letters.bury({ taskId, run }, { sent_ms: sent_ms + 40_000 * index });
  }
  letters.bury({ order: 7 }, { sent_ms: Date.now() - 65_000, attempts: 1 });
}

/** Makes what there is to steer. */
async function steer() {
  const call = async (/** @type {string} */ method, /** @type {string} */ path, /** @type {unknown} */ body) => {
    const reply = await worker.fetch(path, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
  };
  await call('PUT', '/schedules/monday-report', { cron: '0 6 * * 1', timezone: 'Europe/Berlin', handler: 'resize' });
  await call('PUT', '/schedules/cleanup', { everySeconds: 900, overlap: 'allow' });
  await call('POST', '/schedules/cleanup/pause', undefined);
  await call('POST', '/handlers/http/pause', undefined);
  await call('POST', '/actions', { action: 'delete', filter: { status: 'completed', createdAfter: new Date(Date.now() - 16 * 60_000).toISOString(), createdBefore: new Date(Date.now() - 14 * 60_000).toISOString() } });
}
