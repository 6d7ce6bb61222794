import assert from 'node:assert/strict';
import { test } from 'node:test';

import { faultOf } from '../../worker/stores/store_error.js';

/** https://developers.cloudflare.com/d1/observability/debug-d1/#error-list, https://developers.cloudflare.com/durable-objects/observability/troubleshooting/
 * and https://developers.cloudflare.com/kv/api/write-key-value-pairs/. */
const TEXTS = {
  passing: [
    'D1_ERROR: D1 DB reset because its code was updated.',
    'D1_ERROR: Internal error while starting up D1 DB storage caused object to be reset.',
    'D1_ERROR: Network connection lost.',
    'D1_ERROR: Internal error in D1 DB storage caused object to be reset.',
    'D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.',
    "D1_ERROR: Can't read from request stream because client disconnected.",
    'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.',
    'D1_ERROR: D1 DB is overloaded. Requests queued for too long.',
    'D1_ERROR: D1 DB is overloaded. Too many requests queued.',
    "D1_ERROR: D1 DB's isolate exceeded its memory limit and was reset.",
    'D1_ERROR: D1 DB exceeded its CPU time limit and was reset.',
    'D1_ERROR: database is locked: SQLITE_BUSY',
    'Durable Object is overloaded. Too many requests for the same object within a 10 second window.',
    'Durable Object is overloaded. Requests queued for too long.',
    'Durable Object storage operation exceeded timeout which caused object to be reset.',
    'Durable Object reset because its code was updated.',
    "Durable Object's isolate exceeded its memory limit and was reset.",
    'Network connection lost.',
    'internal error; reference = 0123456789abcdefghij',
    'KV PUT failed: 429 Too Many Requests',
    'KV GET failed: 500 Internal Server Error',
    'KV PUT failed: 503 Service Unavailable',
    'KV GET failed: 408 Request Timeout',
  ],
  full: ['D1_ERROR: Exceeded maximum DB size.', 'D1_ERROR: database or disk is full: SQLITE_FULL', 'database or disk is full: SQLITE_FULL'],
  spent: ['D1_ERROR: Too many API requests by single worker invocation.', 'Too many subrequests.', 'KV GET failed: Too many API requests by single worker invocation.'],
  bug: [
    'D1_ERROR: no such table: tasks: SQLITE_ERROR',
    'D1_ERROR: too many SQL variables at offset 5: SQLITE_ERROR',
    'D1_ERROR: string or blob too big: SQLITE_TOOBIG',
    'D1_ERROR: UNIQUE constraint failed: tasks.taskId: SQLITE_CONSTRAINT',
    "D1_TYPE_ERROR: Type 'undefined' not supported for value 'undefined'",
    'KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.',
    'KV PUT failed: 400 Invalid expiration of 7.',
    'KV GET failed: 414 UTF-8 encoded length of 600 exceeds key length limit of 512.',
  ],
};

test("what Cloudflare says tells whose fault it is: the platform's, for a moment; the lack of room; this invocation's; or ours", () => {
  for (const [fault, texts] of Object.entries(TEXTS)) for (const text of texts) assert.equal(faultOf(new Error(text)), fault, text);
  assert.equal(faultOf(new TypeError('x is not a function')), 'bug');
});

test('what a Durable Object says of its error, be it retryable, overloaded or from inside, makes it no fault of ours', () => {
  for (const flags of [{ retryable: true }, { overloaded: true }, { remote: true }]) {
    assert.equal(faultOf(Object.assign(new Error('something new'), flags)), 'passing', JSON.stringify(flags));
  }
});
