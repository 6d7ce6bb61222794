/** KV by id, and the same namespaces through Workers' bindings. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { DataPlane, Ending, base64, freePort, newId, version, worker } from './data_plane.js';

const SOURCE = `export default { async fetch(request, env) {
  const { operation, args } = await request.json();
  try {
    return Response.json({ result: await env.KV[operation](...args) });
  } catch (error) {
    return Response.json({ error: error.message });
  }
} }`;

describe('KV', () => {
  const ending = new Ending(after);
  const id = newId();
  /** @type {DataPlane} */ let dataPlane;
  /** @type {string} */ let url;

  before(async () => {
    dataPlane = await DataPlane.start(ending);
    const port = await freePort();
    url = `http://127.0.0.1:${port}/`;
    const bindings = [{ type: 'kv_namespace', name: 'KV', namespace_id: id }];
    await dataPlane.configure([worker('w', port, [version(SOURCE, { bindings })])]);
  });

  /**
   * @param {string} operation
   * @param {...unknown} args
   * @returns {Promise<any>}
   */
  async function kv(operation, ...args) {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify({ operation, args }) });
    const { result, error } = /** @type {any} */ (await response.json());
    if (error) throw new Error(error);
    return result;
  }

  /**
   * @param {string} operation
   * @param {object} body
   * @param {string} [namespace]
   */
  const rest = (operation, body, namespace = id) => dataPlane.expect('POST', `/objects/kv/${namespace}/${operation}`, body);

  /**
   * @param {string} key
   * @param {string} value
   * @param {object} [attributes]
   */
  const pair = (key, value, attributes) => ({ key, value_base64: base64(value), expiration: null, metadata: null, ...attributes });

  test('knows the shortest time that a value may be cached for', async () => {
    await kv('put', 'cached', 'value');
    const refused = /400 Invalid cache_ttl of 29\. Cache TTL must be at least 30\./;
    await assert.rejects(kv('get', 'cached', { cacheTtl: 29 }), refused);
    await assert.rejects(kv('getWithMetadata', 'cached', { cacheTtl: 29 }), refused);
    await assert.rejects(kv('get', ['cached'], { cacheTtl: 29 }), refused);
    assert.equal(await kv('get', 'cached', { cacheTtl: 30 }), 'value');
  });

  test('gets no more than 25 MiB in one call', async () => {
    const large = Buffer.alloc(13 * 1024 * 1024, 'x').toString('base64');
    for (const key of ['large 1', 'large 2']) await rest('put', { pairs: [{ ...pair(key, ''), value_base64: large }] });
    await assert.rejects(kv('get', ['large 1', 'large 2']), /413 Total size of request exceeds the limit of 25MB/);
    await kv('get', ['large 1']);
  });

  test('is one namespace for REST and for a binding', async () => {
    const expiration = Math.floor(Date.now() / 1000) + 3600;
    await kv('put', 'a/ä%?', 'one', { expirationTtl: 3600, metadata: { ünï: '✓' } });
    const { entries } = await rest('get', { keys: ['a/ä%?', 'none'] });
    assert.equal(Buffer.from(entries[0].value_base64, 'base64').toString(), 'one');
    assert.deepEqual(JSON.parse(entries[0].metadata), { ünï: '✓' });
    assert.ok(Math.abs(entries[0].expiration - expiration) <= 2);
    assert.equal(entries[1], null);

    await rest('put', { pairs: [pair('from rest', '{"b":2}', { metadata: '{"c":"ß"}' })] });
    assert.deepEqual(await kv('get', 'from rest', 'json'), { b: 2 });
    assert.deepEqual(await kv('getWithMetadata', 'from rest'), { value: '{"b":2}', metadata: { c: 'ß' }, cacheStatus: null });
    await rest('delete', { keys: ['from rest'] });
    assert.equal(await kv('get', 'from rest'), null);
  });

  test('needs neither a configuration nor a Worker', async () => {
    const other = newId();
    await rest('put', { pairs: [pair('k', 'v')] }, other);
    assert.equal((await rest('get', { keys: ['k'] }, other)).entries[0].value_base64, base64('v'));
    const files = () => readdirSync(join(dataPlane.stateDir, 'resources', 'do', 'local-kv')).length;
    const before = files();
    await dataPlane.expect('DELETE', `/data/kv/${other}`);
    assert.ok(files() < before);
  });

  test('lists keys in the order of their bytes, by prefix and in pages', async () => {
    const names = ['p:A', 'p:a', 'p:b', 'p:ä', 'p_x'];
    await rest('put', { pairs: names.map((name) => pair(name, '', { metadata: '1' })) });
    await rest('put', { pairs: ['n\0', 'n\0\u{10ffff}x', 'nn'].map((name) => pair(name, '')) });
    const found = await kv('list', { prefix: 'n\0' });
    assert.deepEqual(found.keys, [{ name: 'n\0' }, { name: 'n\0\u{10ffff}x' }]);
    const list = await kv('list', { prefix: 'p:', limit: 3 });
    assert.deepEqual(list.keys, ['p:A', 'p:a', 'p:b'].map((name) => ({ name, metadata: 1 })));
    assert.equal(list.list_complete, false);
    const last = await kv('list', { prefix: 'p:', cursor: list.cursor });
    assert.deepEqual(last.keys.map((/** @type {any} */ key) => key.name), ['p:ä']);
    assert.equal(last.list_complete, true);
    assert.equal('cursor' in last, false);
  });

  test('holds large values, and finds them while they are replaced', async () => {
    const large = 'x'.repeat(2_500_000);
    await kv('put', 'large', large);
    assert.equal((await kv('get', 'large')).length, large.length);
    const found = await Promise.all(Array.from({ length: 60 }, (_, index) => (
      index % 3 === 0 ? kv('put', 'busy', String(index)).then(() => 'put') : kv('put', 'busy', 'x').then(() => kv('get', 'busy'))
    )));
    assert.ok(found.every((value) => value !== null));
  });

  test('refuses what KV refuses, in its words', async () => {
    /** @type {[unknown[], string][]} */
    const cases = [
      [['put', 'k'.repeat(513), 'v'], 'KV PUT failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.'],
      [['put', 'k', 'v', { expirationTtl: 59 }], 'KV PUT failed: 400 Invalid expiration_ttl of 59. Expiration TTL must be at least 60.'],
      [['put', 'k', 'v', { metadata: 'm'.repeat(1023) }], 'KV PUT failed: 413 Metadata length of 1025 exceeds limit of 1024.'],
      [['put', 'k', 'v'.repeat(26_214_401)], 'KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.'],
      [['list', { limit: 1001 }], 'KV GET failed: 400 Invalid key_count_limit of 1001. Please specify an integer less than 1000.'],
    ];
    for (const [[operation, ...args], message] of cases) {
      await assert.rejects(kv(String(operation), ...args), { message }, message);
    }
  });

  test('survives kill -9', async (t) => {
    const own = await DataPlane.start(t);
    await own.expect('POST', '/objects/kv/x/put', { pairs: [pair('k', 'kept')] });
    await own.kill();
    await own.start();
    const { entries } = await own.expect('POST', '/objects/kv/x/get', { keys: ['k'] });
    assert.equal(entries[0].value_base64, base64('kept'));
  });
});
