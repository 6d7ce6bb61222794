/** Durable Objects of the user's Workers: one version hosts a class, every binding reaches it, its data stays. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { DataPlane, Ending, freePort, newId, until, version, worker } from './data_plane.js';

/** @param {string} mark */
const counter = (mark) => `
  import { DurableObject } from 'cloudflare:workers';
  export class Counter extends DurableObject {
    async count(alarmInMs) {
      const { storage } = this.ctx;
      const count = (await storage.get('count') ?? 0) + 1;
      await storage.put('count', count);
      if (alarmInMs) await storage.setAlarm(Date.now() + alarmInMs);
      return { count, rang: await storage.get('rang') ?? false, mark: '${mark}' };
    }
    async alarm() { await this.ctx.storage.put('rang', true); }
  }
  export default { async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    return Response.json(await env.COUNTER.getByName(pathname).count(Number(searchParams.get('alarm'))));
  } }`;

describe('Durable Objects', () => {
  const ending = new Ending(after);
  /** @type {DataPlane} */ let dataPlane;
  /** @type {number} */ let port;
  /** @type {string} */ let url;

  before(async () => {
    dataPlane = await DataPlane.start(ending);
    port = await freePort();
    url = `http://127.0.0.1:${port}`;
  });

  /**
   * Two versions at equal shares, of which the first hosts the class.
   *
   * @param {string} namespaceId
   * @param {string} [name]
   */
  function hosted(namespaceId, name = 'w') {
    const host = version(counter('host'), {
      percentage: 50, durable_objects: [{ class_name: 'Counter', namespace_id: namespaceId, use_sqlite: true }],
    });
    const other = version(counter('other'), { percentage: 50 });
    const bindings = [{ type: 'durable_object_namespace', name: 'COUNTER', class_name: 'Counter', worker: name, version_id: host.id }];
    return worker(name, port, [{ ...host, bindings }, { ...other, bindings }]);
  }

  /** @param {string} [path] */
  const count = async (path = '/a') => /** @type {any} */ (await (await fetch(url + path)).json());

  test('one version hosts the objects, whichever version a request meets', async () => {
    await dataPlane.configure([hosted(newId())]);
    for (let expected = 1; expected <= 10; expected++) {
      assert.deepEqual(await count(), { count: expected, rang: false, mark: 'host' });
    }
  });

  test('data belongs to the namespace, not to the version or the name of the Worker', async () => {
    const namespaceId = newId();
    await dataPlane.configure([hosted(namespaceId)]);
    assert.equal((await count()).count, 1);
    await dataPlane.configure([hosted(namespaceId, 'renamed')]);
    assert.equal((await count()).count, 2);
    await count('/b');
    const { ids } = await dataPlane.expect('POST', `/objects/durable_objects/${namespaceId}/list`);
    assert.equal(ids.length, 2);
    assert.deepEqual(await dataPlane.expect('POST', `/objects/durable_objects/${newId()}/list`), { ids: [] });

    await dataPlane.configure([]);
    await dataPlane.expect('DELETE', `/data/durable_objects/${namespaceId}`);
    assert.equal(existsSync(join(dataPlane.stateDir, 'resources', 'do', namespaceId)), false);
    await dataPlane.configure([hosted(namespaceId)]);
    assert.equal((await count()).count, 1);
  });

  test('data and alarms survive kill -9', async () => {
    const workers = [hosted(newId())];
    await dataPlane.configure(workers);
    await count('/a?alarm=300');
    await dataPlane.kill();
    await dataPlane.start();
    await dataPlane.configure(workers);
    const { count: next } = await until('the alarm', async () => {
      const seen = await count();
      return seen.rang && seen;
    });
    assert.ok(next > 1);
  });
});

describe('Service bindings', () => {
  test('reach another Worker', async (t) => {
    const dataPlane = await DataPlane.start(t);
    const target = version(`export default { fetch: (request) => new Response('target of ' + new URL(request.url).pathname) }`);
    const bindings = [{ type: 'service', name: 'TARGET', worker: 'target', version_id: target.id }];
    const caller = version('export default { fetch: (request, env) => env.TARGET.fetch(request) }', { bindings });
    const port = await freePort();
    await dataPlane.configure([worker('caller', port, [caller]), worker('target', await freePort(), [target])]);
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/x`)).text(), 'target of /x');
  });
});
