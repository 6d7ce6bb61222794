import assert from 'node:assert/strict';
import { test } from 'node:test';

import { resultJson } from '../../worker/result.js';

/** @type {any} */
const circle = { list: [] };
circle.list.push(circle);

const fail = () => { throw new Error('no json'); };

/**
 * @param {number} depth
 * @param {unknown} value
 */
function nested(depth, value) {
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

test('a result is kept as JSON', () => {
  const shared = { shared: true };
  for (const [result, json] of /** @type {[unknown, string][]} */ ([
    [undefined, 'null'], [null, 'null'], ['text', '"text"'], [0, '0'], [NaN, 'null'],
    [{ left: undefined, number: -0, infinite: Infinity }, '{"number":0,"infinite":null}'],
    [[undefined, shared, shared], '[null,{"shared":true},{"shared":true}]'],
    [{ at: new Date(0), url: new URL('http://a/') }, '{"at":"1970-01-01T00:00:00.000Z","url":"http://a/"}'],
    [Uint8Array.of(1, 2), '{"0":1,"1":2}'], [new Uint8Array(), '{}'],
    [[new Number(1), new String('a'), new Boolean(false)], '[1,"a",false]'],
    [new (class Point { x = 1; })(), '{"x":1}'], [new (class None {})(), '{}'],
    [{ toJSON: () => ({ own: 1 }) }, '{"own":1}'], [{ toJSON: () => undefined }, 'null'],
    [{ nul: 'a\0b', lone: '\ud83d' }, '{"nul":"a\\u0000b","lone":"\\ud83d"}'],
    [JSON.parse('{"__proto__": {"x": 1}, "constructor": 5}'), '{"__proto__":{"x":1},"constructor":5}'],
    [Object.assign(new Error('with facts'), { status: 5 }), '{"status":5}'],
  ])) assert.equal(resultJson(result), json);
  assert.equal(resultJson(nested(3_000, 1)).length, 6_001);
});

test('what JSON cannot hold is an error that says what it is and where', () => {
  for (const [result, got] of /** @type {[unknown, string][]} */ ([
    [10n, 'a bigint at result'],
    [{ big: 10n }, 'a bigint at result.big'],
    [() => 1, 'a function at result'],
    [{ list: [1, { act: fail }] }, 'a function at result.list[1].act'],
    [Symbol('x'), 'a symbol at result'],
    [{ kind: Symbol('x') }, 'a symbol at result.kind'],
    [new Map([[1, 2]]), 'a Map at result'],
    [{ seen: new Set([1]) }, 'a Set at result.seen'],
    [{ view: new DataView(new ArrayBuffer(1)) }, 'a DataView at result.view'],
    [new Date(NaN), 'an invalid Date at result'],
    [{ at: new Date(NaN) }, 'an invalid Date at result.at'],
    [Promise.resolve(1), 'a Promise at result'],
    [new Response('x'), 'a Response at result'],
    [[new Error('secret')], 'an Error at result[0]'],
    [{ toJSON: () => new Map() }, 'a Map at result'],
    [{ toJSON: fail }, 'one that it cannot: Error: no json'],
    [{ get half() { return fail(); } }, 'one that it cannot: Error: no json'],
    [nested(100_000, { toJSON: () => 1 }), 'one that it cannot: it is nested too deeply'],
  ])) assert.throws(() => resultJson(result), { name: 'TypeError', message: `expected a result that JSON can hold, got ${got}` });
  assert.throws(() => resultJson(circle), { name: 'TypeError', message: /got one that it cannot: TypeError: Converting circular structure to JSON .*list/ });
});

test('a result that is too long is an error; its length is in bytes', () => {
  assert.equal(resultJson('x'.repeat(262_142)).length, 262_144);
  for (const [result, bytes] of /** @type {const} */ ([['x'.repeat(262_143), 262_145], ['€'.repeat(100_000), 300_002], ['\u0001'.repeat(50_000), 300_002]])) {
    assert.throws(() => resultJson(result), {
      name: 'RangeError', message: `expected a result of at most 262144 bytes as JSON, got ${bytes}`,
    });
  }
});
