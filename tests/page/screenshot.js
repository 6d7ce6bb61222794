/**
 * Takes a picture of the dashboard of a Worker at work: `node tests/page/screenshot.js FILE`. The tasks of the last minute
 * are real; older ones are written into its database, so that it need not work for a quarter of an hour first.
 */

import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import { newTaskId } from '../../worker/task_id.js';
import { startWorker } from '../worker/worker_under_test.js';
import { open, startBrowser } from './browser.js';

const HANDLERS = {
  resize: `
    export default async function resize(payload, { progress, signal }) {
      await scheduler.wait(10 + 90 * Math.random() ** 4);
      if (payload === 'bad') throw new RangeError('expected a picture, got 7 bytes of text');
      if (payload !== 'long') return { width: 200, height: 150 };
      progress(62, 'frame 310 of 500');
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    }`,
};
const ERROR = { name: 'RangeError', message: 'expected a picture, got 7 bytes of text' };
const PAST_MINUTES = 15;
const ROUNDS = 80;
const ROUND_MS = 750;
const VIEWPORT = { width: 1180, height: 800 };

const [, , file = 'dashboard.png'] = process.argv;
const worker = await startWorker({ handlers: HANDLERS });
const browser = await startBrowser();
try {
  await writePast();
  const { page } = await open(browser, String(await worker.miniflare.ready), { viewport: VIEWPORT });
  await work();
  await page.getByText('frame 310 of 500').waitFor();
  await setTimeout(1_000);
  await mkdir(dirname(file), { recursive: true });
  await page.screenshot({ path: file });
} finally {
  await browser.close();
  await worker.stop();
}

/** Writes tasks that came and went in the minutes before this one. */
async function writePast() {
  const now_ms = Date.now();
  const tasks = Array.from({ length: PAST_MINUTES }, (_, index) => now_ms - (index + 1) * 60_000).flatMap((minute_ms, index) => (
    Array.from({ length: Math.round(330 + 90 * Math.sin(index / 2)) }, (_, each) => {
      const created_ms = Math.floor(minute_ms + 58_000 * Math.random());
      const failed = each < 4 + 3 * (index % 4);
      return { taskId: newTaskId(created_ms), failed, created_ms, took_ms: Math.round(40 / (0.02 + Math.random())) };
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
    const ids = await Promise.all(payloads.map((payload) => worker.submit(payload, '?handler=resize&max_retries=0')));
    await worker.deliver(...ids.map((taskId) => ({ body: { taskId } })));
    await setTimeout(ROUND_MS);
  }
  const long = await worker.submit('long', '?handler=resize');
  void worker.deliver({ body: { taskId: long } }).catch(() => {}); // it ends with the Worker
  await worker.submit('picture', '?handler=resize&delay=540');
  await setTimeout(2_000);
}
