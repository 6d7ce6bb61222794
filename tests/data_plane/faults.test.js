/** Faults on request, as Workers meet them. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';

import { DataPlane, Ending, PUPPET, Puppeteer, freePort, newId, queue, sleep, until, version, worker, workerConsumer } from './data_plane.js';

/** A Worker that makes the calls it is asked for, one after the other, and tells of each what came of it. */
const CALLER = `
  import { DurableObject, RpcTarget, WorkflowEntrypoint } from 'cloudflare:workers';
  class Part extends RpcTarget { double(n) { return 2 * n; } }
  export class Counter extends DurableObject {
    count = 0;
    step() { return ++this.count; }
    part() { return new Part(); }
    get size() { return this.count; }
    itself() { return this.ctx.id.name; }
    fail() { throw new TypeError('mine'); }
    callOther(stub) { return stub.step(); }
    fetch(request) { return new Response(new URL(request.url).pathname + ++this.count); }
  }
  export class Flow extends WorkflowEntrypoint { async run() {} }
  const shown = (error) => ({ error: error.message, name: error.name, ...error });
  const CALLS = {
    sql: (env, sql) => env.DB.prepare(sql).all().then(({ results }) => results),
    first: (env, sql) => env.DB.prepare(sql).first(),
    batch: (env, ...sqls) => env.DB.batch(sqls.map((sql) => env.DB.prepare(sql))).then((all) => all.map(({ results }) => results)),
    exec: (env, sql) => env.DB.exec(sql).then(({ count }) => count),
    bookmark: async (env, sql) => {
      const session = env.DB.withSession('first-primary');
      await session.prepare(sql).run();
      return typeof session.getBookmark();
    },
    send: (env, body) => env.QUEUE.send(body).then(() => 'sent'),
    sendBatch: (env, ...bodies) => env.QUEUE.sendBatch(bodies.map((body) => ({ body }))).then(() => 'sent'),
    put: (env, key, value) => env.KV.put(key, value).then(() => 'put'),
    get: (env, key) => env.KV.get(key),
    getMany: (env, ...keys) => env.KV.get(keys).then((found) => Object.fromEntries(found)),
    delete: (env, key) => env.KV.delete(key).then(() => 'deleted'),
    list: (env) => env.KV.list().then(({ keys }) => keys.length),
    step: (env, name) => env.COUNTER.getByName(name).step(),
    size: async (env, name) => await env.COUNTER.getByName(name).size,
    part: (env, name, n) => env.COUNTER.get(env.COUNTER.idFromName(name)).part().double(n),
    fetch: (env, name) => env.COUNTER.getByName(name).fetch('http://object/path').then((response) => response.text()),
    failing: (env, name) => env.COUNTER.getByName(name).fail(),
    identity: async (env, name) => {
      const stub = env.COUNTER.getByName(name);
      return [stub.name, await stub.itself(), stub.id.equals(env.COUNTER.idFromName(name)), stub.constructor.name, env.COUNTER.constructor.name];
    },
    passed: (env, name, other) => env.COUNTER.getByName(name).callOther(env.COUNTER.getByName(other)),
    create: (env, id) => env.FLOW.create({ id }).then((instance) => instance.id),
    createBatch: (env, ...ids) => env.FLOW.createBatch(ids.map((id) => ({ id }))).then((all) => all.length),
    status: (env, id) => env.FLOW.get(id).then((instance) => instance.id),
  };
  export default { async fetch(request, env) {
    const told = [];
    for (const [name, ...args] of await request.json()) {
      const started = Date.now();
      try { told.push({ result: await CALLS[name](env, ...args) }); } catch (error) { told.push(shown(error)); }
      told.at(-1).ms = Date.now() - started;
    }
    return Response.json(told);
  } }`;

/** @typedef {{result?: any, error?: string, name?: string, ms: number, [property: string]: any}} Told */

/**
 * A rule that makes every call fail.
 *
 * @param {string} product
 * @param {object} [more]
 */
function rule(product, more = {}) {
  const status = product === 'd1' ? 500 : null;
  return {
    id: newId(), product, resource: null, calls: null, effect: 'before', message: 'a fault', status, properties: {}, rate: 1,
    nth: null, per_second: 0, per_key: false, latency_ms: null, seed: 1, until_ms: null, seen: 0, injected: 0, ...more,
  };
}

describe('faults', () => {
  const ending = new Ending(after);
  const databaseId = randomUUID();
  const namespaceId = newId();
  const queueId = newId();
  const kvId = newId();
  const workflowId = randomUUID();
  /** @type {DataPlane} */ let dataPlane;
  /** @type {string} */ let url;
  /** @type {(more?: object) => Promise<void>} */ let deploy;

  before(async () => {
    dataPlane = await DataPlane.start(ending);
    const port = await freePort();
    url = `http://127.0.0.1:${port}/`;
    deploy = async (more = {}) => {
      const id = randomUUID();
      const bindings = [
        { type: 'd1', name: 'DB', id: databaseId },
        { type: 'queue', name: 'QUEUE', queue_id: queueId },
        { type: 'kv_namespace', name: 'KV', namespace_id: kvId },
        { type: 'durable_object_namespace', name: 'COUNTER', class_name: 'Counter', worker: 'w', version_id: id, namespace_id: namespaceId },
        { type: 'workflow', name: 'FLOW', workflow_name: 'flow' },
      ];
      const durable_objects = [{ class_name: 'Counter', namespace_id: namespaceId, use_sqlite: true }];
      const workflow = { id: workflowId, name: 'flow', version_id: newId(), script_name: 'w', class_name: 'Flow', worker_version_id: id, step_limit: null };
      await dataPlane.configure([worker('w', port, [version(CALLER, { id, bindings, durable_objects, ...more })])], [queue(queueId, null)], [workflow]);
    };
    await deploy();
    await calls(['exec', 'CREATE TABLE t (n INTEGER)']);
  });

  beforeEach(() => faults());

  /** @param {object[]} rules */
  const faults = (...rules) => dataPlane.expect('POST', '/objects/faults/all/set', { rules });

  /** @param {unknown[][]} wanted @returns {Promise<Told[]>} */
  async function calls(...wanted) {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(wanted) });
    return /** @type {any} */ (await response.json());
  }

  /** @param {unknown[]} wanted @returns {Promise<Told>} */
  const call = async (...wanted) => /** @type {Told} */ ((await calls(wanted))[0]);

  /** @param {{id: string}} of */
  const counts = async ({ id }) => (await dataPlane.expect('POST', '/objects/faults/all/counts'))[id];

  const rows = async () => (await dataPlane.query(databaseId, 'SELECT count(*) AS n FROM t'))[0].n;

  describe('of D1', () => {
    for (const flags of [['d1_binding_jsrpc', 'enhanced_error_serialization'], []]) {
      test(`have D1's words (${flags[0] ?? 'HTTP'})`, async () => {
        await deploy({ compatibility_flags: flags });
        await faults(rule('d1', { message: 'D1 DB is overloaded. Requests queued for too long.' }));
        const text = 'D1_ERROR: D1 DB is overloaded. Requests queued for too long.';
        for (const wanted of [['sql', 'SELECT 1'], ['first', 'SELECT 1'], ['batch', 'SELECT 1', 'SELECT 2']]) {
          assert.equal((await call(...wanted)).error, text);
        }
        assert.match(String((await call('exec', 'SELECT 1')).error), /^D1_EXEC_ERROR: .*D1 DB is overloaded/);
        await faults();
        assert.deepEqual((await call('batch', 'SELECT 1 AS a', 'SELECT 2 AS a')).result, [[{ a: 1 }], [{ a: 2 }]]);
        assert.equal((await call('bookmark', 'SELECT 1')).result, 'string');
        assert.match(String((await call('sql', 'SELEC')).error), /^D1_ERROR: near "SELEC": syntax error/);
      });
    }

    test('leave nothing undone or done: an error comes before the statement, a lost reply after it', async () => {
      const before = await rows();
      await faults(rule('d1'));
      assert.equal((await call('sql', 'INSERT INTO t VALUES (1)')).error, 'D1_ERROR: a fault');
      assert.equal(await rows(), before);
      await faults(rule('d1', { effect: 'after', message: 'Network connection lost.' }));
      assert.equal((await call('sql', 'INSERT INTO t VALUES (1)')).error, 'D1_ERROR: Network connection lost.');
      assert.equal(await rows(), before + 1);
    });

    test('can be of statements that write alone', async () => {
      const full = rule('d1', { calls: ['write'], message: 'Exceeded maximum DB size' });
      await faults(full);
      assert.deepEqual((await call('sql', 'SELECT 1 AS a')).result, [{ a: 1 }]);
      assert.equal((await call('batch', 'SELECT 1', '/* */ insert into t values (1)')).error, 'D1_ERROR: Exceeded maximum DB size');
      assert.deepEqual(await counts(full), { seen: 1, injected: 1 });
    });

    test('can be of one database alone', async () => {
      const elsewhere = rule('d1', { resource: randomUUID() });
      const here = rule('d1', { resource: databaseId });
      await faults(elsewhere, here);
      assert.ok((await call('sql', 'SELECT 1')).error);
      assert.deepEqual(await counts(elsewhere), { seen: 0, injected: 0 });
      assert.deepEqual(await counts(here), { seen: 1, injected: 1 });
    });
  });

  test('come at a rate, and with one seed at the same calls', async () => {
    /** @param {number} seed */
    const hits = async (seed) => {
      const some = rule('kv', { seed, rate: 0.3 });
      await faults(some);
      const told = await calls(...Array.from({ length: 200 }, () => ['get', 'key']));
      const found = told.flatMap(({ error }, index) => (error ? [index] : []));
      assert.deepEqual(await counts(some), { seen: 200, injected: found.length });
      return found;
    };
    const first = await hits(7);
    assert.ok(first.length > 35 && first.length < 85, `${first.length} of 200`);
    assert.deepEqual(await hits(7), first);
    assert.notDeepEqual(await hits(8), first);
  });

  test('come at the nth call alone', async () => {
    await faults(rule('kv', { nth: 3, rate: 0 }));
    const told = await calls(...Array.from({ length: 5 }, () => ['get', 'key']));
    assert.deepEqual(told.map(({ error }) => error ?? null), [null, null, 'a fault', null, null]);
  });

  test('are over at their time', async () => {
    const short = rule('kv', { until_ms: Date.now() + 300 });
    await faults(short);
    assert.equal((await call('get', 'key')).error, 'a fault');
    await until('the time is over', async () => (await call('get', 'key')).result === null);
    const { seen, injected } = await counts(short);
    assert.equal(seen, injected);
  });

  test('can be a wait, of a fixed time or one in a range', async () => {
    await faults(rule('kv', { effect: 'delay', latency_ms: [80, 80] }));
    const fixed = await call('get', 'key');
    assert.ok(fixed.ms >= 78 && fixed.result === null, `${fixed.ms} ms`);
    await faults(rule('kv', { effect: 'delay', latency_ms: [10, 60] }), rule('kv', { calls: ['delete'] }));
    const told = await calls(...Array.from({ length: 20 }, () => ['get', 'key']));
    assert.ok(Math.min(...told.map(({ ms }) => ms)) >= 9);
    assert.ok(new Set(told.map(({ ms }) => ms)).size > 5);
    assert.equal((await call('delete', 'key')).error, 'a fault'); // after the wait, as both concern it
  });

  test('go on counting over a reload and a crash of the runtime', async () => {
    const some = rule('kv', { nth: 3, rate: 0 });
    await faults(some);
    assert.equal((await call('get', 'key')).error, undefined);
    await deploy();
    assert.equal((await call('get', 'key')).error, undefined);
    await faults(some, rule('d1'));
    assert.equal((await call('get', 'key')).error, 'a fault');
    const pid = await dataPlane.storePid();
    process.kill(pid, 'SIGKILL');
    await until('the runtime is back with its rules', async () => {
      const told = await call('sql', 'SELECT 1').catch(() => null);
      return told?.error === 'D1_ERROR: a fault' && (await dataPlane.storePid()) !== pid;
    });
  });

  describe('of queues', () => {
    test("have a queue's words, and send nothing", async () => {
      await faults(rule('queues', { message: 'Too Many Requests', status: 429 }));
      const before = await dataPlane.backlog(queueId);
      assert.equal((await call('send', 1)).error, 'Queue send failed: Too Many Requests');
      assert.equal((await call('sendBatch', 1, 2)).error, 'Queue sendBatch failed: Too Many Requests');
      assert.equal(await dataPlane.backlog(queueId), before);
    });

    test('can lose the reply of what was sent', async () => {
      const lost = rule('queues', { effect: 'after', message: 'Network connection lost.' });
      await faults(lost);
      const before = await dataPlane.backlog(queueId);
      assert.match(String((await call('sendBatch', 1, 2)).error), /Network connection lost\.$/);
      assert.equal(await dataPlane.backlog(queueId), before + 2);
    });

    test('limit the messages of a second', async () => {
      const limit = rule('queues', { effect: 'limit', per_second: 5, message: 'Too Many Requests', status: 429 });
      await faults(limit);
      const told = await calls(['sendBatch', 1, 2, 3], ['sendBatch', 1, 2, 3], ['send', 1], ['send', 1], ['send', 1]);
      assert.deepEqual(told.map(({ result }) => result ?? 'refused'), ['sent', 'refused', 'sent', 'sent', 'refused']);
      await until('the second is over', async () => (await call('sendBatch', 1, 2, 3)).result === 'sent');
    });
  });

  describe('of KV', () => {
    test("have KV's words", async () => {
      await faults(rule('kv', { message: 'Too Many Requests', status: 429, calls: ['put'] }));
      const told = await calls(['put', 'a', 'one'], ['get', 'a'], ['list']);
      assert.equal(told[0]?.error, 'KV PUT failed: 429 Too Many Requests');
      assert.equal(told[1]?.result, null);
      await faults(rule('kv', { message: 'Internal Server Error', status: 500 }));
      const errors = (await calls(['get', 'a'], ['getMany', 'a', 'b'], ['list'], ['delete', 'a'])).map(({ error }) => error);
      assert.deepEqual(errors, [
        'KV GET failed: 500 Internal Server Error',
        'KV GET_BULK failed: 500 Internal Server Error',
        'KV GET failed: 500 Internal Server Error',
        'KV DELETE failed: 500 Internal Server Error',
      ]);
    });

    test('can lose the reply of what was written', async () => {
      await faults(rule('kv', { effect: 'after', message: 'Network connection lost.', calls: ['put'] }));
      const told = await calls(['put', 'lost', 'one'], ['get', 'lost']);
      assert.match(String(told[0]?.error), /Network connection lost\.$/);
      assert.equal(told[1]?.result, 'one');
    });

    test('limit the writes of a key', async () => {
      await faults(rule('kv', { effect: 'limit', per_second: 1, per_key: true, calls: ['put'], message: 'Too Many Requests', status: 429 }));
      const told = await calls(['put', 'x', '1'], ['put', 'x', '2'], ['put', 'y', '1'], ['get', 'x']);
      assert.deepEqual(told.map(({ result }) => result ?? 'refused'), ['put', 'refused', 'put', '1']);
      await until('the second is over', async () => (await call('put', 'x', '3')).result === 'put');
    });
  });

  describe('of Durable Objects', () => {
    test('have the properties of their kind', async () => {
      const lost = rule('durable-objects', { message: 'Network connection lost.', properties: { retryable: true }, resource: namespaceId });
      await faults(lost);
      for (const wanted of [['step', 'a'], ['fetch', 'a'], ['size', 'a'], ['part', 'a', 4]]) {
        const { error, retryable, overloaded, remote } = await call(...wanted);
        assert.deepEqual([error, retryable, overloaded, remote], ['Network connection lost.', true, undefined, undefined]);
      }
      assert.deepEqual(await counts(lost), { seen: 4, injected: 4 });
      await faults();
      assert.equal((await call('step', 'a')).result, 1);
    });

    test('can lose the reply of a call that was made, and can be of one method', async () => {
      await faults(rule('durable-objects', { effect: 'after', calls: ['step'] }));
      const told = await calls(['step', 'b'], ['size', 'b'], ['fetch', 'b']);
      assert.deepEqual(told.map(({ error, result }) => error ?? result), ['a fault', 1, '/path2']);
    });

    test('that do not come leave each kind of call as it is', async () => {
      for (const rules of [[], [rule('durable-objects', { rate: 0 })]]) {
        await faults(...rules);
        const name = newId();
        const told = await calls(
          ['step', name], ['size', name], ['part', name, 4], ['fetch', name], ['failing', name], ['identity', name], ['passed', name, 'p'], ['passed', name, 'p'],
        );
        assert.deepEqual(told.slice(0, 4).map(({ result }) => result), [1, 1, 8, '/path2']);
        assert.deepEqual([told[4]?.error, told[4]?.remote], ['mine', true]);
        assert.deepEqual(told[5]?.result, [name, name, true, 'DurableObject', 'DurableObjectNamespace']);
        assert.equal(told[7]?.result, told[6]?.result + 1);
      }
    });
  });

  describe('of Workflows', () => {
    test('refuse creation, lose its reply, and limit it', async () => {
      const ids = Array.from({ length: 6 }, newId);
      await faults(rule('workflows'));
      assert.equal((await call('create', ids[0])).error, 'a fault');
      assert.match(String((await call('status', ids[0])).error), /instance\.not_found/);
      await faults(rule('workflows', { effect: 'after' }));
      assert.equal((await call('create', ids[0])).error, 'a fault');
      assert.equal((await call('status', ids[0])).result, ids[0]);
      await faults(rule('workflows', { effect: 'limit', per_second: 3 }));
      const told = await calls(['createBatch', ids[1], ids[2]], ['createBatch', ids[3], ids[4]], ['create', ids[5]]);
      assert.deepEqual(told.map(({ result }) => result ?? 'refused'), [2, 'refused', ids[5]]);
    });
  });

  test("kill a consumer's invocation: it does no more, and each message comes back, acknowledged or not", async (t) => {
    const own = await DataPlane.start(t);
    const puppeteer = await Puppeteer.start(t);
    const source = `export default {
      async queue({ messages }, { PUPPETEER }, ctx) {
        const tell = (body) => fetch(PUPPETEER, { method: 'POST', body: JSON.stringify({ messages: [{ body, attempts: messages[0].attempts }] }) });
        messages.forEach((message) => message.ack());
        const work = async (name) => { for (let step = 0; step < 5; step++) { await tell(name + step); await scheduler.wait(50); } };
        ctx.waitUntil(work('later'));
        await work('now');
      },
    }`;
    const bindings = [{ type: 'plain_text', name: 'PUPPETEER', text: puppeteer.url }];
    await own.configure([worker('w', await freePort(), [version(source, { bindings })])], [queue(queueId, workerConsumer('w'))]);
    const kill = rule('worker', { effect: 'kill', message: 'exceededCpu', nth: 1, latency_ms: [120, 120], resource: 'w' });
    await own.expect('POST', '/objects/faults/all/set', { rules: [kill] });
    await own.send(queueId, ['a', 'b']);
    await until('the second attempt is done', async () => (await own.backlog(queueId)) === 0);
    await sleep(300);
    const steps = (/** @type {number} */ attempt) => puppeteer.deliveries.flatMap(({ messages: [message] }) => (message?.attempts === attempt ? [message.body] : []));
    assert.ok(steps(1).includes('now0') && !steps(1).includes('now4') && !steps(1).includes('later4'), String(steps(1)));assert.ok(steps(1).includes('now0') && !steps(1).includes('now4') && !steps(1).includes('later4'), String(steps(1)));
    assert.ok(steps(2).includes('now4') && steps(2).includes('later4'), String(steps(2)));
    assert.deepEqual((await own.expect('POST', '/objects/faults/all/counts'))[kill.id], { seen: 2, injected: 1 });
  });

  test("kill a consumer's invocation that is done before its time: its acknowledgements are lost", async (t) => {
    const own = await DataPlane.start(t);
    const puppeteer = await Puppeteer.start(t);
    const bindings = [{ type: 'plain_text', name: 'PUPPETEER', text: puppeteer.url }, { type: 'plain_text', name: 'NAME', text: 'w' }];
    await own.configure([worker('w', await freePort(), [version(PUPPET, { bindings })])], [queue(queueId, workerConsumer('w'))]);
    const kill = rule('worker', { effect: 'kill', message: 'exceededMemory', nth: 1, latency_ms: [60_000, 60_000] });
    await own.expect('POST', '/objects/faults/all/set', { rules: [kill] });
    puppeteer.plan = () => ({ ackAll: true });
    await own.send(queueId, ['a', 'b']);
    await until('both came again', () => puppeteer.bodies.length === 4);
    assert.deepEqual(puppeteer.deliveries.at(-1)?.messages.map(({ attempts }) => attempts), [2, 2]);
    await until('both are done', async () => (await own.backlog(queueId)) === 0);
  });
});
