/** What is used of Miniflare and is not its documented interface is as miniflare_internals.js has it. */

import assert from 'node:assert/strict';
import { existsSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Miniflare, NoOpLog } from 'miniflare';

import * as internals from '../../local/runtime/system/miniflare_internals.js';
import { objectId } from '../../local/runtime/object_files.js';
import { DataPlane, Ending, freePort, newId, until, version, worker } from './data_plane.js';

const SOURCE = `
  import { DurableObject, WorkflowEntrypoint } from 'cloudflare:workers';
  export class Counter extends DurableObject { async count() { await this.ctx.storage.put('a', 1); return 1; } }
  export class Flow extends WorkflowEntrypoint { async run(event, step) { return step.do('once', async () => 'done'); } }
  const CALLS = {
    cf: (env, request) => request.cf.httpProtocol,
    d1: async (env) => (await env.DB.prepare('SELECT 1 AS one').first()).one,
    bookmark: async (env) => { const session = env.DB.withSession(); await session.prepare('CREATE TABLE IF NOT EXISTS t (a)').run(); return typeof session.getBookmark(); },
    r2: async (env) => { await env.BUCKET.put('key', 'value'); return (await env.BUCKET.get('key')).text(); },
    limit: async (env) => [(await env.LIMIT.limit({ key: 'a' })).success, (await env.LIMIT.limit({ key: 'a' })).success],
    object: (env) => env.COUNTER.getByName('one').count(),
    flow: async (env) => (await env.FLOW.create({ id: 'one' })).id,
    status: async (env) => { const { status, output } = await (await env.FLOW.get('one')).status(); return [status, output]; },
  };
  export default {
    async fetch(request, env) { return Response.json(await CALLS[new URL(request.url).pathname.slice(1)](env, request)); },
  }
`;

describe('Miniflare', () => {
  const ending = new Ending(after);
  const [databaseId, bucketId, namespaceId, flowId, limitId] = [newId(), newId(), newId(), newId(), newId()];
  /** @type {DataPlane} */ let dataPlane;
  let port = 0;
  /** @type {(name: string) => Promise<any>} */
  const call = async (name) => (await fetch(`http://127.0.0.1:${port}/${name}`)).json();
  const hasFiles = (/** @type {string[]} */ ...path) => existsSync(join(dataPlane.stateDir, 'resources', ...path));
  const hasObject = (/** @type {{folder: string, namespace: string}} */ { folder, namespace }, /** @type {string} */ name) =>
    hasFiles(folder, `${objectId(namespace, name)}.sqlite`);

  before(async () => {
    dataPlane = await DataPlane.start(ending);
    port = await freePort();
    const id = crypto.randomUUID();
    const code = version(SOURCE, {
      id,
      durable_objects: [{ class_name: 'Counter', namespace_id: namespaceId, use_sqlite: true }],
      bindings: [
        { type: 'd1', name: 'DB', id: databaseId },
        { type: 'r2_bucket', name: 'BUCKET', bucket_id: bucketId },
        { type: 'ratelimit', name: 'LIMIT', namespace_id: limitId, simple: { limit: 1, period: 60 } },
        { type: 'durable_object_namespace', name: 'COUNTER', worker: 'w', version_id: id, class_name: 'Counter', namespace_id: namespaceId },
        { type: 'workflow', name: 'FLOW', workflow_name: 'flow' },
      ],
    });
    const flow = { id: flowId, name: 'flow', version_id: newId(), script_name: 'w', class_name: 'Flow', worker_version_id: id, step_limit: null };
    await dataPlane.configure([worker('w', port, [code])], [], [flow]);
  });

  test('takes request.cf from a header', async () => {
    assert.equal(await call('cf'), 'HTTP/1.1');
  });

  test("has workerd's client of D1, which reads bookmarks from a header", async () => {
    assert.equal(await call('d1'), 1);
    assert.equal(await call('bookmark'), 'string');
  });

  test('has the objects of R2, and keeps their files and blobs where they are expected', async () => {
    assert.equal(await call('r2'), 'value');
    assert.ok(hasObject(internals.R2_OBJECTS, bucketId));
    assert.ok(hasFiles(internals.R2_BLOBS_FOLDER, bucketId));
  });

  test('has the counters of rate limits, and the module that asks them', async () => {
    assert.deepEqual(await call('limit'), [true, false]);
    assert.ok(hasObject(internals.RATE_LIMIT_OBJECTS, limitId));
  });

  test('keeps the files of Durable Objects where they are expected', async () => {
    assert.equal(await call('object'), 1);
    assert.ok(hasFiles(internals.OBJECTS_FOLDER, namespaceId, `${objectId(namespaceId, 'one')}.sqlite`));
  });

  test("has a workflow's engine, and keeps its instances where they are expected", async () => {
    assert.equal(await call('flow'), 'one');
    await until('its end', async () => (await call('status'))[0] === 'complete');
    const namespace = internals.instancesNamespace(flowId);
    assert.ok(hasFiles(internals.WORKFLOWS_FOLDER, namespace, `${objectId(namespace, 'one')}.sqlite`));
  });

  test('starts the program of a variable in place of workerd', { skip: process.platform !== 'linux' }, async () => {
    // That program wrote the pid, and tied workerd to its parent.
    const pid = await dataPlane.storePid();
    assert.match(readlinkSync(`/proc/${pid}/exe`), /workerd$/);
    assert.ok(hasFiles('..', 'tmp', 'store', 'workerd.pid'));
  });

  test('has a code for a workerd that does not start, and names what it adds by itself', async () => {
    const config = { name: 'w', compatibilityDate: '2025-04-01', compatibilityFlags: ['no_such_flag'] };
    const manifest = { mainModule: 'i.js', modulesRoot: '/', modules: { 'i.js': { type: /** @type {const} */ ('esm'), contents: 'export default {}' } } };
    const options = { log: new NoOpLog(), workers: [{ config: { ...config, manifest }, dev: { rootPath: '/' } }] };
    const miniflare = new Miniflare({ ...options, handleStructuredLogs: () => {} });
    const error = /** @type {any} */ (await miniflare.ready.then(() => null, (/** @type {unknown} */ reason) => reason));
    await miniflare.dispose().catch(() => {});
    assert.equal(error.code, internals.RUNTIME_ENDED);
    assert.match(error.message, new RegExp(`service ${internals.SERVICE_PREFIX}w: `));
    assert.ok(internals.OWN_PARTS.test('service "core:entry" has MINIFLARE_LOOPBACK') && !internals.OWN_PARTS.test(`"${internals.SERVICE_PREFIX}w"`));
  });
});
