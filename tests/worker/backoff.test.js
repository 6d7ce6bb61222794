import assert from 'node:assert/strict';
import { test } from 'node:test';

import { retryDelaySeconds } from '../../worker/backoff.js';

const LEAST = () => 0;
const MOST = () => 1 - Number.EPSILON;

/** @param {Partial<import('../../worker/backoff.js').Backoff>} settings */
function env(settings) {
  return { RETRY_DELAY_SECONDS: '10', RETRY_BACKOFF: 'exponential', RETRY_MAX_DELAY_SECONDS: '3600', ...settings };
}

/**
 * @param {Partial<import('../../worker/backoff.js').Backoff>} settings
 * @param {number[]} attempts
 * @returns the shortest and the longest wait after each
 */
function waits(settings, attempts) {
  return attempts.map((each) => [LEAST, MOST].map((random) => retryDelaySeconds(each, env(settings), random)));
}

test('the wait doubles with each attempt, up to the longest', () => {
  assert.deepEqual(waits({}, [1, 2, 3, 9, 10, 101]), [[5, 10], [10, 20], [20, 40], [1280, 2560], [1800, 3600], [1800, 3600]]);
});

test('a constant wait stays, and has a longest too', () => {
  assert.deepEqual(waits({ RETRY_BACKOFF: 'constant' }, [1, 2, 101]), [[5, 10], [5, 10], [5, 10]]);
  assert.deepEqual(waits({ RETRY_BACKOFF: 'constant', RETRY_MAX_DELAY_SECONDS: '4' }, [1]), [[2, 4]]);
});

test('it is whole seconds: one stays one, and none none', () => {
  assert.deepEqual(waits({ RETRY_DELAY_SECONDS: '1' }, [1, 2, 3]), [[1, 1], [1, 2], [2, 4]]);
  assert.deepEqual(waits({ RETRY_DELAY_SECONDS: '0' }, [1, 2, 101]), [[0, 0], [0, 0], [0, 0]]);
  assert.equal(retryDelaySeconds(1, env({ RETRY_DELAY_SECONDS: '5' }), () => 0.3), 4);
});

test('it is no longer than a queue can delay a message', () => {
  const longest = { RETRY_DELAY_SECONDS: '86400', RETRY_MAX_DELAY_SECONDS: '999999' };
  assert.deepEqual(waits(longest, [1, 5]), [[43_200, 86_400], [43_200, 86_400]]);
});

test('chance spreads it over all of its range', () => {
  const seen = new Set(Array.from({ length: 1_000 }, () => retryDelaySeconds(1, env({}))));
  assert.deepEqual([...seen].sort((one, other) => one - other), [5, 6, 7, 8, 9, 10].filter((each) => seen.has(each)));
  assert.ok([6, 7, 8, 9, 10].every((each) => seen.has(each)));
});
