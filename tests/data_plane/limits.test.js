/** Limits of Cloudflare that workerd and Miniflare do not know: storage of Durable Objects, results of Workflows' steps. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { DataPlane, Ending, freePort, newId, until, version, worker } from './data_plane.js';

/** Each request is code, run with the storage of a fresh object of either class. */
const STORAGES = `
  import { DurableObject } from 'cloudflare:workers';
  class Storage extends DurableObject {
    async attempt(step) {
      const { storage } = this.ctx;
      const big = (bytes, character = 'x') => character.repeat(bytes);
      const put = (key, value) => storage.put(key, value);
      const exec = (...args) => storage.sql.exec(...args);
      const table = () => exec('CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)');
      const steps = {
        'a value of 1.9 MB': () => put('k', big(1_900_000)),
        'a value of 2 MB': () => put('k', big(2_000_001)),
        'a value of 3 MB': () => put('k', big(3_000_000)),
        'a value of two-byte characters': () => put('k', big(1_100_000, 'ж')),
        'a value of one-byte characters': () => put('k', big(1_100_000, 'é')),
        'a nested value': () => put('k', { list: [1, { bytes: new Uint8Array(2_100_000) }] }),
        'a key and a value together': () => put(big(100_000), big(1_950_000)),
        'pairs, one too large': () => put({ a: 1, b: big(2_100_000) }),
        '128 pairs': () => put(Object.fromEntries(Array.from({ length: 128 }, (_, i) => [i, i]))),
        '129 pairs': () => put(Object.fromEntries(Array.from({ length: 129 }, (_, i) => [i, i]))),
        '129 keys to get': () => storage.get(Array.from({ length: 129 }, String)),
        '129 keys to delete': () => storage.delete(Array.from({ length: 129 }, String)),
        'in a transaction': () => storage.transaction((transaction) => transaction.put('k', big(2_100_000))),
        'in the synchronous API': () => storage.kv.put('k', big(2_100_000)),
        'a text of 2 MB in SQL': () => { table(); exec('INSERT INTO t (a) VALUES (?)', big(2_000_000)); },
        'a longer text in SQL': () => { table(); exec('INSERT INTO t (a) VALUES (?)', big(2_000_001)); },
        'a longer text in SQL, in UTF-8': () => { table(); exec('INSERT INTO t (a) VALUES (?)', big(1_000_001, 'é')); },
        'a BLOB in SQL': () => { table(); exec('INSERT INTO t (a) VALUES (?)', new Uint8Array(2_000_001).buffer); },
        'a row of 3 MB': () => { table(); exec('INSERT INTO t (a, b) VALUES (?, ?)', big(1_500_000), big(1_500_000)); },
        'two rows of 1.5 MB': () => { table(); exec('INSERT INTO t (a) VALUES (?), (?)', big(1_500_000), big(1_500_000)); },
        'a row that grows': () => {
          table();
          exec('INSERT INTO t (a) VALUES (?)', big(1_500_000));
          exec('UPDATE t SET b = ?, a = ?', big(1_000_000), big(1_500_000));
        },
        '100 columns': () => exec('CREATE TABLE c (' + Array.from({ length: 100 }, (_, i) => 'c' + i) + ')'),
        '101 columns': () => exec('CREATE TABLE c (' + Array.from({ length: 101 }, (_, i) => 'c' + i) + ')'),
        '100 parameters': () => exec('SELECT ' + Array(100).fill('?'), ...Array(100).fill(1)),
        '101 parameters': () => exec('SELECT ' + Array(101).fill('?'), ...Array(101).fill(1)),
        'a statement of 100 KB': () => exec("SELECT '" + big(100_000 - 9) + "'"),
        'a longer statement': () => exec("SELECT '" + big(100_001 - 9) + "'"),
        'a pattern of 50 bytes': () => exec("SELECT 'a' LIKE ?", big(50)).toArray(),
        'a longer pattern': () => exec("SELECT 'a' LIKE ?", big(51)).toArray(),
        'a key of 2048 bytes': () => put(big(2048), 1),
        'a key of 2049 bytes': () => put(big(2049), 1),
        'a key to get of 2049 bytes': () => storage.get(big(2049)),
        'a value of 128 KiB': () => put('k', big(128 * 1024 - 16)),
        'a value of 129 KiB': () => put('k', big(129 * 1024)),
      };
      try {
        await steps[step]();
      } catch (error) {
        return error.name + ': ' + error.message;
      }
      const rows = step.includes('row') ? exec('SELECT count(*) AS n FROM t').one().n : undefined;
      return rows === undefined ? 'done' : 'done, rows: ' + rows;
    }
    async left() {
      const tables = this.ctx.storage.sql.exec("SELECT name FROM sqlite_schema WHERE name = 't'").toArray();
      return tables.length === 0 ? 0 : this.ctx.storage.sql.exec('SELECT count(*) AS n FROM t').one().n;
    }
  }
  export class Sqlite extends Storage {}
  export class Légère extends Storage {}
  export { Légère as Old };
  export default { async fetch(request, env) {
    const [kind, step] = await request.json();
    const object = env[kind].getByName(crypto.randomUUID());
    const told = await object.attempt(step);
    return Response.json({ told, left: kind === 'SQLITE' ? await object.left() : 0 });
  } };`;

const TOO_BIG = 'Error: string or blob too big: SQLITE_TOOBIG';

describe("storage of Durable Objects keeps Cloudflare's limits", () => {
  const ending = new Ending(after);
  /** @type {(kind: 'SQLITE' | 'OLD', step: string) => Promise<{told: string, left: number}>} */ let attempt;

  before(async () => {
    const dataPlane = await DataPlane.start(ending);
    const port = await freePort();
    const hosted = [
      { class_name: 'Sqlite', namespace_id: newId(), use_sqlite: true },
      { class_name: 'Old', namespace_id: newId(), use_sqlite: false },
    ];
    const code = version(STORAGES, { durable_objects: hosted });
    const bindings = hosted.map(({ class_name }) => (
      { type: 'durable_object_namespace', name: class_name.toUpperCase(), class_name, worker: 'w', version_id: code.id }
    ));
    await dataPlane.configure([worker('w', port, [{ ...code, bindings }])]);
    attempt = async (kind, step) => {
      const body = JSON.stringify([kind, step]);
      return /** @type {any} */ (await (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body })).json());
    };
  });

  for (const [step, expected] of Object.entries({
    'a value of 1.9 MB': 'done',
    'a value of 2 MB': TOO_BIG,
    'a value of 3 MB': TOO_BIG,
    'a value of two-byte characters': TOO_BIG,
    'a value of one-byte characters': 'done',
    'a nested value': TOO_BIG,
    'a key and a value together': TOO_BIG,
    'pairs, one too large': TOO_BIG,
    '128 pairs': 'done',
    '129 pairs': 'RangeError: Maximum number of pairs is 128.',
    '129 keys to get': 'RangeError: Maximum number of keys is 128.',
    '129 keys to delete': 'RangeError: Maximum number of keys is 128.',
    'in a transaction': TOO_BIG,
    'in the synchronous API': TOO_BIG,
    'a text of 2 MB in SQL': 'done',
    'a longer text in SQL': TOO_BIG,
    'a longer text in SQL, in UTF-8': TOO_BIG,
    'a BLOB in SQL': TOO_BIG,
    'a row of 3 MB': TOO_BIG,
    'two rows of 1.5 MB': 'done, rows: 2',
    'a row that grows': TOO_BIG,
    '100 columns': 'done',
    '101 columns': 'Error: too many columns on c: SQLITE_ERROR',
    '100 parameters': 'done',
    '101 parameters': 'Error: too many SQL variables',
    'a statement of 100 KB': 'done',
    'a longer statement': 'Error: statement too long: SQLITE_TOOBIG',
    'a pattern of 50 bytes': 'done',
    'a longer pattern': 'Error: LIKE or GLOB pattern too complex: SQLITE_ERROR',
  })) {
    test(`SQLite-backed: ${step}`, async () => {
      const { told, left } = await attempt('SQLITE', step);
      assert.ok(told.startsWith(expected), told);
      if (step === 'a row of 3 MB') assert.equal(left, 0, 'the row is not there');
      if (step === 'a row that grows') assert.equal(left, 1, 'the row is as it was');
    });
  }

  for (const [step, expected] of Object.entries({
    'a value of 128 KiB': 'done',
    'a value of 129 KiB': 'RangeError: Values cannot be larger than 131072 bytes.',
    'a key of 2048 bytes': 'done',
    'a key of 2049 bytes': 'RangeError: Keys cannot be larger than 2048 bytes.',
    'a key to get of 2049 bytes': 'RangeError: Keys cannot be larger than 2048 bytes.',
    '129 pairs': 'RangeError: Maximum number of pairs is 128.',
  })) {
    test(`with key-value storage: ${step}`, async () => {
      assert.ok((await attempt('OLD', step)).told.startsWith(expected));
    });
  }
});

const FLOWS = `
  import { WorkflowEntrypoint } from 'cloudflare:workers';
  const MIB = 1024 * 1024;
  const outputs = {
    text: () => 'x'.repeat(MIB),
    'largest text': () => 'x'.repeat(MIB - 2),
    nested: () => ({ a: [{ b: 'é'.repeat(MIB / 2) }] }),
    binary: () => new Uint8Array(MIB + 1),
    'nested binary': () => ({ list: [new Uint8Array(MIB), 1] }),
    map: () => new Map([['a', 'x'.repeat(MIB)]]),
    nothing: () => undefined,
  };
  export class Flow extends WorkflowEntrypoint {
    async run({ payload }, step) {
      if (payload.wait) return (await step.waitForEvent('wait', { type: 'go', timeout: '1 minute' })).payload.length;
      const config = { retries: { limit: 0, delay: 1 } };
      const first = await step.do('large', config, async () => outputs[payload.output]());
      return [typeof first, await step.do('next', async ({ attempt }) => attempt ?? 'none')];
    }
  }
  export default { async fetch(request, env) {
    const [method, ...args] = await request.json();
    const padded = (bytes) => ({ text: 'y'.repeat(bytes - '{"text":""}'.length) });
    const calls = {
      create: async (id, bytes) => (await env.FLOW.create({ id, params: padded(bytes) })).id,
      createBatch: async (id, bytes) => (await env.FLOW.createBatch([{ id, params: padded(bytes) }])).length,
      binary: async (id) => (await env.FLOW.create({ id, params: { bytes: new Uint8Array(MIB + 1) } })).id,
      sendEvent: async (id, bytes) => (await env.FLOW.get(id)).sendEvent({ type: 'go', payload: 'z'.repeat(bytes - 2) }),
    };
    try {
      return Response.json({ done: await calls[method](...args) ?? null });
    } catch (error) {
      return Response.json({ refused: error.message });
    }
  } };`;

describe("Workflows keep Cloudflare's limit of 1 MiB", () => {
  const ending = new Ending(after);
  const MIB = 1024 * 1024;
  /** @type {DataPlane} */ let dataPlane;
  /** @type {{id: string}} */ let flow;
  /** @type {(...call: unknown[]) => Promise<any>} */ let bound;

  before(async () => {
    dataPlane = await DataPlane.start(ending);
    const port = await freePort();
    const bindings = [{ type: 'workflow', name: 'FLOW', workflow_name: 'flow' }];
    const code = version(FLOWS, { bindings, workflow_classes: ['Flow'] });
    const described = {
      id: randomUUID(), name: 'flow', version_id: randomUUID(), script_name: 'w', class_name: 'Flow',
      worker_version_id: code.id, step_limit: null,
    };
    await dataPlane.configure([worker('w', port, [code])], [], [described]);
    flow = described;
    bound = async (...call) => (
      await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: JSON.stringify(call) })
    ).json();
  });

  /** @param {string} output */
  async function ended(output) {
    const id = randomUUID();
    await dataPlane.expect('POST', `/objects/workflows/${flow.id}/create`, { instances: [{ id, params: { output } }] });
    return until(`${id} ends`, async () => {
      const told = await dataPlane.expect('POST', `/objects/workflows/${flow.id}/describe`, { instance_id: id });
      return ['complete', 'errored'].includes(told.status) ? told : null;
    });
  }

  for (const output of ['text', 'nested', 'binary', 'nested binary', 'map']) {
    test(`a step that gives back too much fails: ${output}`, async () => {
      const { status, error, steps } = await ended(output);
      assert.equal(status, 'errored');
      assert.match(error.message, /Step large-1 output is too large\. Maximum allowed size is 1MiB\./);
      assert.match(steps[0].attempts[0].error.message, /output is too large/);
    });
  }

  for (const [output, type] of Object.entries({ 'largest text': 'string', nothing: 'undefined' })) {
    test(`a step gives back ${output}`, async () => {
      const { status, output: told } = await ended(output);
      assert.equal(status, 'complete');
      assert.deepEqual(told, [type, 1]);
    });
  }

  test('parameters of an instance', async () => {
    assert.deepEqual(await bound('create', 'fits', MIB), { done: 'fits' });
    assert.match((await bound('create', 'large', MIB + 1)).refused, /exceed the limit of 1048576 bytes/);
    assert.deepEqual(await bound('createBatch', 'fits-too', MIB), { done: 1 });
    assert.match((await bound('createBatch', 'large', MIB + 1)).refused, /exceed the limit/);
    assert.match((await bound('binary', 'large')).refused, /exceed the limit/);
    const refused = await dataPlane.call('POST', `/objects/workflows/${flow.id}/describe`, { instance_id: 'large' });
    assert.equal(refused.status, 400);
  });

  test('what comes with an event', async () => {
    await dataPlane.expect('POST', `/objects/workflows/${flow.id}/create`, { instances: [{ id: 'waits', params: { wait: true } }] });
    assert.match((await bound('sendEvent', 'waits', MIB + 1)).refused, /exceed the limit/);
    const large = { instance_id: 'waits', type: 'go', payload: 'z'.repeat(MIB) };
    assert.equal((await dataPlane.call('POST', `/objects/workflows/${flow.id}/sendEvent`, large)).body.error?.kind ?? 'refused', 'workflow');
    assert.deepEqual(await bound('sendEvent', 'waits', MIB), { done: null });
    await until('the event arrives', async () => {
      const told = await dataPlane.expect('POST', `/objects/workflows/${flow.id}/describe`, { instance_id: 'waits' });
      return told.output === MIB - 2;
    });
  });
});
