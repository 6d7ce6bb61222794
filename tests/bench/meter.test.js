import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { meteredObject, meteredWorker, meteredWorkflow } from '../../bench/meter/meter.js';

const METER = 'http://worker/.meter';

/** A database whose every statement reads 2 rows and writes 1. */
class StandInDatabase {
  prepare(/** @type {string} */ sql) {
    return new StandInStatement(sql);
  }

  async batch(/** @type {StandInStatement[]} */ statements) {
    assert.ok(statements.every((each) => each instanceof StandInStatement), 'the runtime takes its own statements only');
    return Promise.all(statements.map((each) => each.all()));
  }
}

class StandInStatement {
  #values = /** @type {unknown[]} */ ([]);

  constructor(/** @type {string} */ sql) {
    this.sql = sql;
  }

  bind(/** @type {unknown[]} */ ...values) {
    this.#values = values;
    return this;
  }

  async all() {
    return { results: [{ sql: this.sql, values: this.#values }], meta: { rows_read: 2, rows_written: 1 } };
  }
}

/**
 * @param {(env: any) => Promise<unknown>} use
 * @param {Record<string, unknown>} env
 * @param {Record<string, string>} types
 */
async function counted(use, env, types) {
  const worker = call(meteredWorker({ fetch: async (_request, given) => Response.json(await use(given)) }, types));
  const answer = await worker(new Request('http://worker/'), env);
  return { answer: await answer.json(), counts: (await (await worker(new Request(METER), env)).json()).fetch };
}

/** @param {ExportedHandler<any>} worker */
function call(worker) {
  return /** @type {any} */ (worker.fetch);
}

beforeEach(async () => {
  await call(meteredWorker({}, {}))(new Request(METER, { method: 'DELETE' }), {});
});

test('statements of D1 count as they go, alone or in a batch, and answer as ever', async () => {
  const { answer, counts } = await counted(async ({ DB, TEXT }) => {
    const statement = DB.prepare('SELECT ?').bind(7);
    return [TEXT, await statement.first('sql'), (await statement.run()).results[0].values, await statement.raw(), (await DB.batch([statement, statement])).length];
  }, { DB: new StandInDatabase(), TEXT: 'as it is' }, { DB: 'd1', TEXT: 'plain_text' });
  assert.deepEqual(answer, ['as it is', 'SELECT ?', [7], [['SELECT ?', [7]]], 2]);
  assert.deepEqual(counts, { requests: 1, d1_round_trips: 4, d1_rows_read: 10, d1_rows_written: 5 });
});

test('a message counts once for each 64 KB; one that is retried is not deleted', async () => {
  const sent = /** @type {unknown[]} */ ([]);
  const queue = { send: async (/** @type {unknown} */ body) => sent.push(body), sendBatch: async (/** @type {any[]} */ all) => sent.push(...all) };
  const { counts } = await counted(async ({ QUEUE }) => {
    await QUEUE.send({ taskId: 'a' });
    await QUEUE.sendBatch([{ body: 'x'.repeat(65_536) }, { body: 'x'.repeat(65_537) }]);
    return null;
  }, { QUEUE: queue }, { QUEUE: 'queue' });
  assert.equal(sent.length, 3);
  assert.deepEqual(counts, { requests: 1, queue_writes: 4 });

  const settled = /** @type {string[]} */ ([]);
  const message = (/** @type {string} */ name) => ({ body: name, ack: () => settled.push(`${name} acked`), retry: () => settled.push(`${name} retried`) });
  const consumer = meteredWorker({ async fetch() { return new Response() }, async queue({ messages: [one, other] }) { one?.ack(); other?.retry(); } }, {});
  await /** @type {any} */ (consumer.queue)({ messages: [message('one'), message('other')], queue: 'q' }, {});
  const counts2 = await (await call(consumer)(new Request(METER), {})).json();
  assert.deepEqual(settled, ['one acked', 'other retried']);
  assert.deepEqual(counts2.queue, { requests: 1, queue_reads: 2, queue_deletes: 1 });
});

test('keys of KV and requests to objects', async () => {
  const kv = { getWithMetadata: async () => new Map(), put: async () => {}, list: async () => ({}), delete: async () => {} };
  const objects = { getByName: (/** @type {string} */ name) => ({ run: async () => name }) };
  const { answer, counts } = await counted(async ({ KV, OBJECTS }) => {
    await KV.getWithMetadata(['a', 'b']);
    await KV.put('a', '1');
    await KV.list({ prefix: 'a' });
    await KV.delete('a');
    return OBJECTS.getByName('tasks-0').run();
  }, { KV: kv, OBJECTS: objects }, { KV: 'kv_namespace', OBJECTS: 'durable_object_namespace' });
  assert.equal(answer, 'tasks-0');
  assert.deepEqual(counts, { requests: 1, kv_reads: 2, kv_writes: 1, kv_lists: 1, kv_deletes: 1, object_requests: 1 });
});

test('rows of an object, and a step of a workflow', async () => {
  const cursor = { rowsRead: 3, rowsWritten: 2, toArray: () => ['row'] };
  const storage = { sql: { exec: () => cursor }, setAlarm: async () => {}, getAlarm: async () => null };
  class Base {
    constructor(/** @type {any} */ ctx, /** @type {any} */ env) {
      this.ctx = ctx;
      this.env = env;
    }

    async write() {
      const rows = this.ctx.storage.sql.exec('UPDATE').toArray();
      if (await this.ctx.storage.getAlarm() === null) await this.ctx.storage.setAlarm(0);
      return rows;
    }

    async run(/** @type {unknown} */ _event, /** @type {any} */ step) {
      return step.do('attempt', async () => 'done');
    }
  }
  const TaskObject = meteredObject(Base, {});
  assert.deepEqual(await /** @type {any} */ (new TaskObject({ storage }, {})).write(), ['row']);
  const TaskWorkflow = meteredWorkflow(Base, {});
  const step = { do: async (/** @type {string} */ _name, /** @type {() => unknown} */ work) => work() };
  assert.equal(await /** @type {any} */ (new TaskWorkflow({}, {})).run({}, step), 'done');
  const counts = await (await call(meteredWorker({}, {}))(new Request(METER), {})).json();
  assert.deepEqual(counts.object, { object_rows_read: 3, object_rows_written: 3 });
  assert.deepEqual(counts.workflow, { requests: 1, workflow_steps: 1 });
});

test('a binding is the same object in all requests, as it is without a meter', async () => {
  const DB = { prepare: () => new Object(), batch: async () => [] };
  /** @type {unknown[]} */
  const seen = [];
  const worker = call(meteredWorker({ fetch: async (_request, given) => Response.json(seen.push(/** @type {any} */ (given).DB)) }, { DB: 'd1' }));
  for (let time = 0; time < 2; time++) await worker(new Request('http://worker/'), { DB });
  assert.equal(seen[0], seen[1]);
  assert.notEqual(seen[0], DB);
});
