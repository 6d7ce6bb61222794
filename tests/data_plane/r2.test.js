/** R2 by bucket id, and the same buckets through Workers' bindings. */

import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { DataPlane, Ending, freePort, newId, version, worker } from './data_plane.js';

/** Does what each test sends: the body of a function of the bucket and of the request's bytes. */
const SOURCE = `export default { async fetch(request, env) {
  const { pathname } = new URL(request.url);
  const bytes = new Uint8Array(await request.arrayBuffer());
  const { customMetadata = {}, httpMetadata = {}, ...options } = JSON.parse(decodeURIComponent(request.headers.get('Options')));
  const shown = (object) => object && {
    key: object.key, size: object.size, etag: object.etag, range: object.range,
    httpMetadata: object.httpMetadata, customMetadata: object.customMetadata,
  };
  try {
    switch (pathname.slice(1)) {
      case 'put': return Response.json(shown(await env.BUCKET.put('key', bytes, { customMetadata, httpMetadata, ...options })));
      case 'get': {
        const object = await env.BUCKET.get('key', options);
        return Response.json({ ...shown(object), text: object?.body ? await object.text() : null });
      }
      case 'head': return Response.json(shown(await env.BUCKET.head('key')));
      case 'list': {
        const { objects, ...page } = await env.BUCKET.list(options);
        return Response.json({ ...page, keys: objects.map(({ key }) => key) });
      }
      case 'delete': await env.BUCKET.delete(options.keys); return Response.json(null);
      case 'multipart': {
        const upload = await env.BUCKET.createMultipartUpload('parts', { httpMetadata });
        const size = 5 * 1024 * 1024;
        const parts = [await upload.uploadPart(1, new Uint8Array(size).fill(97)), await upload.uploadPart(2, 'end')];
        const object = await upload.complete(parts);
        const tail = await env.BUCKET.get('parts', { range: { offset: size - 1, length: 3 } });
        return Response.json({ ...shown(object), tail: await tail.text() });
      }
    }
  } catch (error) {
    return Response.json({ error: error.message });
  }
} }`;

describe('R2', () => {
  const ending = new Ending(after);
  const id = newId();
  /** @type {DataPlane} */ let dataPlane;
  /** @type {string} */ let url;

  before(async () => {
    dataPlane = await DataPlane.start(ending);
    const port = await freePort();
    url = `http://127.0.0.1:${port}/`;
    const bindings = [{ type: 'r2_bucket', name: 'BUCKET', bucket_id: id }];
    await dataPlane.configure([worker('w', port, [version(SOURCE, { bindings })])]);
  });

  /**
   * @param {string} operation
   * @param {object} [options]
   * @param {string} [body]
   * @returns {Promise<any>}
   */
  async function r2(operation, options = {}, body = '') {
    const headers = { Options: encodeURIComponent(JSON.stringify(options)) };
    const response = await fetch(url + operation, { method: 'POST', headers, body });
    return response.json();
  }

  test('is one bucket for REST and for a binding', async () => {
    const metadata = { httpMetadata: { contentType: 'text/x-ü' }, customMetadata: { by: 'Worker' } };
    const put = await r2('put', metadata, 'from the Worker');
    const found = await dataPlane.object('GET', id, 'key');
    assert.equal(found.bytes.toString(), 'from the Worker');
    const { version: _version, uploaded_ms, ...fields } = found.fields;
    assert.ok(Math.abs(uploaded_ms - Date.now()) < 60_000);
    assert.deepEqual(fields, {
      key: 'key',
      size: 15,
      etag: put.etag,
      http_metadata: { contentType: 'text/x-ü' },
      custom_metadata: { by: 'Worker' },
    });

    await dataPlane.object('PUT', id, 'key', Buffer.from('from REST'), { contentType: 'text/plain', cacheControl: 'no-store' });
    const got = await r2('get');
    assert.equal(got.text, 'from REST');
    assert.deepEqual(got.httpMetadata, { contentType: 'text/plain', cacheControl: 'no-store' });
    await dataPlane.expect('POST', `/objects/r2/${id}/delete`, { key: 'key' });
    assert.equal(await r2('head'), null);
    assert.equal((await dataPlane.call('GET', `/objects/r2/${id}/bytes?key=key`)).status, 404);
  });

  test('carries any bytes under any key', async () => {
    const bytes = Buffer.alloc(3_000_000, Uint8Array.from({ length: 251 }, (_, index) => index));
    for (const key of ['a/b c/ä%2F?&+', '✓', ' ']) {
      await dataPlane.object('PUT', id, key, bytes);
      const { bytes: found, fields } = await dataPlane.object('GET', id, key);
      assert.equal(fields.key, key);
      assert.ok(found.equals(bytes));
      await dataPlane.expect('POST', `/objects/r2/${id}/delete`, { key });
    }
    await dataPlane.object('PUT', id, 'empty', Buffer.alloc(0));
    assert.equal((await dataPlane.object('GET', id, 'empty')).bytes.byteLength, 0);
    await dataPlane.expect('POST', `/objects/r2/${id}/delete`, { key: 'empty' });
  });

  test('reads ranges and keeps to conditions', async () => {
    const { etag } = await r2('put', {}, '0123456789');
    assert.equal((await r2('get', { range: { offset: 2, length: 3 } })).text, '234');
    assert.equal((await r2('get', { range: { suffix: 2 } })).text, '89');
    assert.equal((await r2('get', { onlyIf: { etagMatches: 'other' } })).text, null);
    assert.equal((await r2('get', { onlyIf: { etagMatches: etag } })).text, '0123456789');
    assert.equal(await r2('put', { onlyIf: { etagDoesNotMatch: etag } }, 'never'), null);
    assert.equal((await r2('get')).text, '0123456789');
    const { error } = await r2('put', { md5: '00000000000000000000000000000000' }, 'wrong');
    assert.match(error, /^put: The MD5 checksum you specified did not match what we received\.[^]*\(10037\)$/);
    await r2('delete', { keys: ['key'] });
  });

  test('lists by prefix and delimiter, in pages', async () => {
    const keys = ['a/1', 'a/2', 'b', 'c/1', 'ä'];
    for (const key of keys) await dataPlane.object('PUT', id, key, Buffer.from(key), { contentType: 'text/plain' });
    const first = await r2('list', { limit: 2 });
    assert.deepEqual([first.keys, first.truncated], [['a/1', 'a/2'], true]);
    assert.deepEqual((await r2('list', { cursor: first.cursor })).keys, ['b', 'c/1', 'ä']);
    const page = await dataPlane.expect('POST', `/objects/r2/${id}/list`, { limit: 3, delimiter: '/' });
    assert.deepEqual(page.delimited_prefixes, ['a/', 'c/']);
    assert.deepEqual(page.objects.map((/** @type {any} */ { key }) => key), ['b']);
    assert.deepEqual(page.objects[0].http_metadata, { contentType: 'text/plain' });
    const rest = await dataPlane.expect('POST', `/objects/r2/${id}/list`, { limit: 3, delimiter: '/', cursor: page.cursor });
    assert.deepEqual([rest.objects[0].key, rest.objects.length, rest.cursor], ['ä', 1, null]);
    const measured = await dataPlane.expect('POST', `/objects/r2/${id}/measure`, {});
    const bytes = Buffer.byteLength(keys.join(''));
    const expected = { object_count: 5, payload_bytes: bytes, metadata_bytes: bytes + 5 * 'text/plain'.length };
    assert.deepEqual(measured, expected);
    await r2('delete', { keys });
    assert.deepEqual((await r2('list')).keys, []);
  });

  test('gives a long page whole, with its metadata', async () => {
    const own = newId();
    const keys = Array.from({ length: 130 }, (_, index) => String(index).padStart(3, '0'));
    for (const key of keys) await dataPlane.object('PUT', own, key, Buffer.from(''), { contentType: 'a/b' });
    const page = await dataPlane.expect('POST', `/objects/r2/${own}/list`, { limit: 125 });
    assert.deepEqual(page.objects.map((/** @type {any} */ { key }) => key), keys.slice(0, 125));
    assert.equal((await dataPlane.expect('POST', `/objects/r2/${own}/measure`, {})).object_count, 130);
  });

  test('puts an object together of parts', async () => {
    const object = await r2('multipart', { httpMetadata: { contentType: 'text/plain' } });
    assert.deepEqual([object.size, object.tail, object.error], [5 * 1024 * 1024 + 3, 'aen', undefined]);
    assert.match(object.etag, /^[0-9a-f]{32}-2$/);
    assert.equal((await dataPlane.object('GET', id, 'parts')).bytes.subarray(-3).toString(), 'end');
    await r2('delete', { keys: ['parts'] });
  });

  test('is gone from the disk when it is deleted', async () => {
    const own = newId();
    await dataPlane.object('PUT', own, 'k', Buffer.from('v'));
    const folder = join(dataPlane.stateDir, 'resources', 'r2');
    const databases = () => readdirSync(join(folder, 'miniflare-R2BucketObject')).length;
    const before = databases();
    assert.ok(existsSync(join(folder, own)));
    await dataPlane.expect('DELETE', `/data/r2/${own}`);
    assert.ok(databases() < before);
    assert.ok(!existsSync(join(folder, own)));
  });

  test('survives kill -9', async (t) => {
    const own = await DataPlane.start(t);
    await own.object('PUT', id, 'k', Buffer.from('kept'));
    await own.kill();
    await own.start();
    assert.equal((await own.object('GET', id, 'k')).bytes.toString(), 'kept');
  });
});
