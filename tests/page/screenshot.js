/** Takes a picture of the dashboard of a Worker that has some tasks: `node tests/page/screenshot.js FILE`. */

import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';

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
const ROUNDS = 30;

const [, , file = 'dashboard.png'] = process.argv;
const worker = await startWorker({ handlers: HANDLERS });
const browser = await startBrowser();
try {
  const running = work();
  const { page } = await open(browser, String(await worker.miniflare.ready), { viewport: { width: 1280, height: 1000 } });
  await running;
  await page.locator('#tasks tbody .processing').waitFor();
  await setTimeout(1_000);
  await mkdir(dirname(file), { recursive: true });
  await page.screenshot({ path: file });
} finally {
  await browser.close();
  await worker.stop();
}

/** Has the Worker do some work, for long enough that there is something to draw. */
async function work() {
  for (let round = 0; round < ROUNDS; round++) {
    const payloads = [...Array(5).fill('picture'), ...(round % 12 === 11 ? ['bad'] : [])];
    const ids = await Promise.all(payloads.map((payload) => worker.submit(payload, '?handler=resize&max_retries=0')));
    await worker.deliver(...ids.map((taskId) => ({ body: { taskId } })));
    await setTimeout(500);
  }
  const long = await worker.submit('long', '?handler=resize');
  void worker.deliver({ body: { taskId: long } }).catch(() => {}); // it ends with the Worker
  await worker.submit('picture', '?handler=resize&delay=540');
  await setTimeout(2_000);
}
