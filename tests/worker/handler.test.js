import assert from 'node:assert/strict';
import { test } from 'node:test';

import { requireHandlers, RetryLater } from '../../worker/handler.js';

test('RetryLater says when, and may say why', () => {
  const later = new RetryLater(90);
  assert.deepEqual([later.name, later.message, later.retry_after_seconds, later instanceof Error], ['RetryLater', 'try again in 90 seconds', 90, true]);
  const cause = new Error('429');
  const told = new RetryLater(0.5, 'the quota is spent', { cause });
  assert.deepEqual([told.message, told.retry_after_seconds, told.cause], ['the quota is spent', 0.5, cause]);
  for (const seconds of [0, 86_400]) assert.equal(new RetryLater(seconds).retry_after_seconds, seconds);
});

test('RetryLater takes a number from 0 to a day, and nothing else', () => {
  for (const seconds of [-1, 86_401, NaN, Infinity, '5', null, undefined]) {
    assert.throws(() => new RetryLater(/** @type {any} */ (seconds)), {
      name: 'RangeError', message: `expected seconds to be a number from 0 to 86400, got ${seconds}`,
    });
  }
});

test('parameters that say nothing are refused when the Worker starts, by name', () => {
  for (const [parameters, sentence] of /** @type {[unknown, string][]} */ ([
    [null, 'expected parameters to be an object of names and what they are, got null'],
    [['size'], 'expected parameters to be an object of names and what they are, got a list'],
    ['size', 'expected parameters to be an object of names and what they are, got string'],
    [{ size: 7 }, 'expected parameter size to say what it is, got number'],
  ])) {
    const module = /** @type {any} */ ({ default: () => null, parameters });
    assert.throws(() => requireHandlers({ resize: module }), { name: 'TypeError', message: `handler resize: ${sentence}` });
  }
});
