import assert from 'node:assert/strict';
import { test } from 'node:test';

import { describeError } from '../../worker/task.js';

class CardError extends Error {}

const circle = new Error('outer');
circle.cause = circle;

const revoked = Proxy.revocable({}, {});
revoked.revoke();

const trap = () => { throw new Error('trap'); };

/** As the runtime makes it where the end of a `using` throws, too. */
const suppressed = Object.assign(new Error('ended badly'), { name: 'SuppressedError', error: new TypeError('at the end'), suppressed: new Error('before') });

test('what is kept of a thrown value is what it says of itself', () => {
  for (const [thrown, name, message] of /** @type {[unknown, string, string][]} */ ([
    [new RangeError('too far'), 'RangeError', 'too far'],
    [new CardError('declined'), 'CardError', 'declined'],
    [new Error(), 'Error', 'no message'],
    [Object.assign(new Error('connect failed'), { code: 'ECONNREFUSED' }), 'Error', 'connect failed (code ECONNREFUSED)'],
    [Object.assign(new Error('ECONNREFUSED: connect failed'), { code: 'ECONNREFUSED' }), 'Error', 'ECONNREFUSED: connect failed'],
    [new DOMException('late', 'TimeoutError'), 'TimeoutError', 'late'],
    [new Error('outer', { cause: new TypeError('inner', { cause: 'a text' }) }), 'Error', 'outer; caused by TypeError: inner; caused by Error: a text'],
    [new AggregateError([new Error('one'), new TypeError('two')], 'all failed'), 'AggregateError', 'all failed; 1. Error: one; 2. TypeError: two'],
    [new AggregateError([new Error('one')]), 'AggregateError', '1. Error: one'],
    [new AggregateError(Array.from({ length: 13 }, () => 'no')), 'AggregateError', `${Array.from({ length: 10 }, (_, at) => `${at + 1}. Error: no`).join('; ')}; and 3 more`],
    [circle, 'Error', 'outer; caused by itself'],
    [{ code: 'E_CARD', message: 'card declined' }, 'Error', 'card declined (code E_CARD)'],
    [{ name: 'StripeError', message: 'card declined', code: 402 }, 'StripeError', 'card declined (code 402)'],
    [{ status: 500 }, 'Error', 'a value was thrown: {"status":500}'],
    [{}, 'Error', 'a value was thrown: [object Object]'],
    [Object.create(null), 'Error', 'a value was thrown: [object Object]'],
    [Object.assign(new Error(), { status: 503 }), 'Error', 'no message; its fields are {"status":503}'],
    [Object.assign(new CardError(), { message: { reason: 'stolen' } }), 'CardError', 'no message; its fields are {"message":{"reason":"stolen"}}'],
    [Object.assign(new Error('x'), { code: 5n }), 'Error', 'x (code 5)'],
    [{ message: 'invalid', errors: new Set([new Error('one')]) }, 'Error', 'invalid; 1. Error: one'],
    [suppressed, 'SuppressedError', 'ended badly; TypeError: at the end; which suppressed Error: before'],
    [new Proxy({ message: 'readable' }, { getPrototypeOf: trap }), 'Error', 'readable'],
    [new (class Verdict { toString() { return 'guilty'; } })(), 'Verdict', 'a value was thrown: guilty'],
    [/x/g, 'RegExp', 'a value was thrown: /x/g'],
    [new Date(NaN), 'Date', 'a value was thrown: Invalid Date'],
    ['  ', 'Error', 'an empty text was thrown'],
    [new Map([[1, 2]]), 'Map', 'a value was thrown: [object Map]'],
    [new Response('nope', { status: 503, statusText: 'Overloaded' }), 'Response', 'a response was thrown: 503 Overloaded'],
    [new Response('nope', { status: 500 }), 'Response', 'a response was thrown: 500'],
    ['just text', 'Error', 'just text'],
    ['', 'Error', 'an empty text was thrown'],
    [undefined, 'Error', 'undefined was thrown'],
    [null, 'Error', 'null was thrown'],
    [42, 'Error', '42 was thrown'],
    [42n, 'Error', '42 was thrown'],
    [Symbol('s'), 'Error', 'Symbol(s) was thrown'],
    [Object.freeze(new Error('frozen')), 'Error', 'frozen'],
  ])) assert.deepEqual(describeError(thrown), { name, message });
});

test('a value that cannot be looked at is shown as such', () => {
  const unshowable = { name: 'Error', message: 'a value that cannot be shown' };
  for (const thrown of [revoked.proxy, new Proxy({}, { getPrototypeOf: trap, get: trap })]) assert.deepEqual(describeError(thrown), unshowable);
  assert.deepEqual(describeError(new Error('outer', { cause: revoked.proxy })).message, 'outer; caused by Error: a value that cannot be shown');
  const hidden = Object.defineProperty(new Error('named'), 'name', { get: trap });
  assert.deepEqual(describeError(hidden), { name: 'Error', message: 'named' });
  assert.deepEqual(describeError(Object.assign(new Error('named'), { name: { toString: trap } })), { name: 'Error', message: 'named' });
  assert.deepEqual(describeError({ get message() { return trap(); } }), { name: 'Error', message: 'a value was thrown: [object Object]' });
});

test('what is kept is bounded, cut between characters, and can be stored and sent everywhere', () => {
  assert.deepEqual(describeError(new Error('a\0b')), { name: 'Error', message: 'a\ufffdb' });
  assert.deepEqual(describeError(new Error('a \ud83d b')), { name: 'Error', message: 'a \ufffd b' });
  assert.equal(describeError(new Error('x'.repeat(1_000))).message, 'x'.repeat(1_000));
  assert.equal(describeError(new Error('x'.repeat(1_001))).message, `${'x'.repeat(999)}…`);
  assert.equal(describeError(new Error(`${'x'.repeat(998)}🐙🐙`)).message, `${'x'.repeat(998)}…`);
  assert.equal(describeError(new Error(`${'x'.repeat(998)}🐙`)).message, `${'x'.repeat(998)}🐙`);
  assert.equal(describeError(new Error('y'.repeat(5_000_000))).message.length, 1_000);
  const named = Object.assign(new Error('named'), { name: 'N'.repeat(5_000) });
  assert.deepEqual(describeError(named), { name: `${'N'.repeat(99)}…`, message: 'named' });
  const wide = new AggregateError(Array.from({ length: 100_000 }, () => new Error('z'.repeat(1_000), { cause: new Error('why') })));
  assert.ok(describeError(wide).message.length <= 1_000);
  let deep = new Error('the first');
  for (let level = 0; level < 10_000; level++) deep = new Error('next', { cause: deep });
  assert.ok(describeError(deep).message.startsWith('next; caused by Error: next'));
});
