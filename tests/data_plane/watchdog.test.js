import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { Watchdog } from '../../local/runtime/watchdog.js';

test('the watchdog bites when a ping stays unanswered for too long, and not before or during a start', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let pings = 0;
    let bites = 0;
    const answers = [
      () => Promise.resolve(),
      () => Promise.reject(new Error('reloading')),
      () => new Promise(() => {}),
    ];
    /** @type {() => void} */
    let started = () => {};
    /** @type {Promise<void>} */
    const start = new Promise((resolve) => (started = resolve));
    const watchdog = new Watchdog(
      () => start,
      () => answers[pings++]?.() ?? Promise.resolve(),
      () => (bites += 1),
      30_000,
    );
    watchdog.start();
    mock.timers.tick(5_000);
    mock.timers.tick(60_000);
    assert.deepEqual([pings, bites], [0, 0]);
    started();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(pings, 1);
    for (const expected of [2, 3]) {
      mock.timers.tick(5_000);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(pings, expected);
    }
    mock.timers.tick(29_999);
    assert.equal(bites, 0);
    mock.timers.tick(1);
    assert.equal(bites, 1);
    watchdog.stop();
  } finally {
    mock.timers.reset();
  }
});
