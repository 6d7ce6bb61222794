import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { Watchdog } from '../../local/runtime/watchdog.js';

test('the watchdog bites when a ping stays unanswered for too long, and not before', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let pings = 0;
    let bites = 0;
    const answers = [
      () => Promise.resolve(),
      () => Promise.reject(new Error('reloading')),
      () => new Promise(() => {}),
    ];
    const watchdog = new Watchdog(
      () => answers[pings++]?.() ?? Promise.resolve(),
      () => (bites += 1),
      30_000,
    );
    watchdog.start();
    for (const expected of [1, 2, 3]) {
      mock.timers.tick(5_000);
      assert.equal(pings, expected);
      await new Promise((resolve) => setImmediate(resolve));
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
