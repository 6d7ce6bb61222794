/** Batches with a task at their end, and tasks that handlers submit. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { newTaskId } from '../../worker/task_id.js';
import { looks } from '../looks.js';
import { assertRefused, startApi } from './api_under_test.js';
import { someOf } from './worker_under_test.js';

/** @import { StoreName } from './worker_under_test.js' */

const PATIENCE_MS = 15_000;

const HANDLERS = {
  work: `
    export const payload = { type: 'string' };
    export default (text) => {
      if (text === '"fail"') throw new RangeError('no luck');
      return text === '"large"' ? 'x'.repeat(250 * 1024) : { did: JSON.parse(text) };
    };`,
  gather: `
    export default async (payload, context) => {
      const all = await context.dependencies();
      const [first] = context.after.taskIds;
      const one = await context.dependencies([first]);
      const stranger = await context.dependencies(['no such task']).catch((error) => error.name + ': ' + error.message);
      const sizes = (list) => list.map(({ result, ...rest }) => ({ ...rest, result: typeof result === 'string' ? result.length : result }));
      return { payload, all: sizes(all), one: sizes(one), stranger };
    };`,
  parent: `
    export default async (payload, context) => {
      const parts = await Promise.all(['a', 'b'].map((name) => context.submit({ handler: 'work', payload: JSON.stringify(name), key: name })));
      const last = await context.submit({ handler: 'gather', payload: new Uint8Array([255, 1]), after: parts.map(({ taskId }) => taskId) });
      if (context.attempt === 1) throw new Error('after it has submitted');
      return { parts: parts.map(({ taskId }) => taskId), last: last.taskId };
    };`,
  careless: `
    export default async (payload, context) => {
      const refused = {};
      for (const [name, task] of Object.entries({
        handler: { handler: 'nobody' }, field: { hanlder: 'work' }, payload: { handler: 'work', payload: 1 }, after: { after: ['x'] }, key: { idempotencyKey: 'x' },
        ownKey: { key: 7 }, none: null,
      })) {
        await context.submit(task).catch(({ name: kind, message, permanent = false }) => { refused[name] = [kind, message, permanent]; });
      }
      await context.submit({ handler: 'work', payload: '"a"', key: 'same' });
      await context.submit({ handler: 'work', payload: '"a"', key: 'same' }).catch(({ name: kind, message }) => { refused.twice = [kind, message]; });
      return refused;
    };`,
};

/** @param {() => Promise<boolean>} isDone */
async function until(isDone) {
  for await (const _ of looks(PATIENCE_MS)) if (await isDone()) return;
  assert.fail('it did not come about');
}

for (const store of someOf(/** @type {StoreName[]} */ (['d1', 'durable-object', 'sharded-d1', 'sharded-objects']))) describe(`batches with ${store}`, () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => { api = await startApi({ store, handlers: HANDLERS }); });
  after(() => api.stop());

  /** @param {string[]} payloads @param {object} [more] @param {Record<string, string>} [headers] */
  const submit = (payloads, more = {}, headers = {}) => api.call('POST', '/tasks', {
    headers,
    body: { tasks: payloads.map((payload) => ({ handler: 'work', payload: JSON.stringify(payload), maxRetries: 0 })), then: { handler: 'gather', payload: 'all' }, ...more },
  });
  const batch = async (/** @type {string} */ batchId) => (await api.call('GET', `/batches/${batchId}`)).body;
  const idsOf = (/** @type {any} */ body) => body.tasks.map((/** @type {any} */ each) => each.taskId);

  test('its last task starts when all have completed, and reads their results', async () => {
    const { status, body: { batchId, tasks } } = await submit(['one', 'two', 'three']);
    assert.deepEqual([status, tasks.map((/** @type {any} */ each) => each.httpStatus)], [200, [200, 200, 200]]);
    const taskIds = idsOf({ tasks });
    assert.deepEqual(await batch(batchId).then(({ then, ...rest }) => ({ ...rest, then: [then.taskId, then.status] })), {
      batchId, startWhen: 'completed', counts: { pending: 3, processing: 0, completed: 0, failed: 0, cancelled: 0, expired: 0 },
      tasks: taskIds.map((/** @type {string} */ taskId) => ({ taskId, status: 'pending' })), then: [batchId, 'pending'],
    });
    for (const taskId of taskIds) {
      assert.equal(await api.timesSent(batchId), 0);
      await api.attempt(taskId);
    }
    await until(async () => await api.timesSent(batchId) === 1 || (await api.task(batchId)).after.waitsFor.length === 0);
    assert.equal((await batch(batchId)).counts.completed, 3);
    await api.attempt(batchId);
    const { result } = await api.task(batchId);
    const expected = taskIds.map((/** @type {string} */ taskId, /** @type {number} */ index) => (
      { taskId, status: 'completed', error: null, isLeftOut: false, result: { did: ['one', 'two', 'three'][index] } }
    ));
    assert.deepEqual(result, {
      payload: 'all', all: expected, one: expected.slice(0, 1), stranger: 'RangeError: expected ids of tasks after which this one starts, got no such task',
    });
  });

  test('with startWhen ended it starts after failures, too; else one cancels it', async () => {
    const [any, strict] = [(await submit(['one', 'fail'], { startWhen: 'ended' })).body, (await submit(['one', 'fail'])).body];
    for (const taskId of [...idsOf(any), ...idsOf(strict)]) await api.attempt(taskId);
    await until(async () => (await api.task(any.batchId)).after.waitsFor.length === 0);
    await api.attempt(any.batchId);
    const { result } = await api.task(any.batchId);
    assert.deepEqual(result.all.map((/** @type {any} */ each) => [each.status, each.result, each.error?.message]), [['completed', { did: 'one' }, undefined], ['failed', null, 'no luck']]);
    await until(async () => (await api.task(strict.batchId)).status === 'cancelled');
    assert.deepEqual((await batch(strict.batchId)).counts, { pending: 0, processing: 0, completed: 1, failed: 1, cancelled: 0, expired: 0 });
  });

  test('results that are too long together are left out, and can be read for themselves', async () => {
    const { body } = await submit(Array.from({ length: 20 }, () => 'large'));
    for (const taskId of idsOf(body)) await api.attempt(taskId);
    await until(async () => (await api.task(body.batchId)).after.waitsFor.length === 0);
    await api.attempt(body.batchId);
    const { result } = await api.task(body.batchId);
    assert.deepEqual(result.all.map((/** @type {any} */ { isLeftOut }) => isLeftOut), Array.from({ length: 20 }, (_, index) => index >= 16));
    assert.deepEqual(result.all.map((/** @type {any} */ each) => each.result), Array.from({ length: 20 }, (_, index) => (index >= 16 ? null : 250 * 1024)));
    assert.deepEqual(result.one[0].result, 250 * 1024);
  });

  test('the same batch with the same key is accepted once, and makes one task at its end', async () => {
    const headers = { 'Idempotency-Key': `batch-${newTaskId(Date.now())}` };
    const first = await submit(['one', 'two'], {}, headers);
    await api.attempt(first.body.tasks[0].taskId);
    const replies = await Promise.all(Array.from({ length: 3 }, () => submit(['one', 'two'], {}, headers)));
    for (const { status, body, headers: got } of replies) {
      assert.deepEqual([status, body.batchId, idsOf(body), got.get('Idempotent-Replayed')], [200, first.body.batchId, idsOf(first.body), 'true']);
    }
    await api.attempt(first.body.tasks[1].taskId);
    await until(async () => (await api.task(first.body.batchId)).after.waitsFor.length === 0);
    assertRefused(await submit(['one', 'other'], {}, headers), 409, 'idempotency_conflict', { taskId: first.body.tasks[1].taskId, index: 1 });
    assertRefused(await submit(['one'], {}, headers), 409, 'idempotency_conflict', { taskId: first.body.batchId });
  });

  test('one task that is at fault refuses the whole batch, and nothing of it is stored', async () => {
    const count = async () => (await api.call('GET', '/tasks?limit=100')).body.tasks.length;
    const before_count = await count();
    const good = { handler: 'work', payload: '"a"' };
    for (const [body, code, extras, fault] of /** @type {[object, string, object, RegExp][]} */ ([
      [{ tasks: [good, { handler: 'work', payload: 7 }], then: {} }, 'invalid_payload', { index: 1 }, /^tasks\[1\]: expected a payload/],
      [{ tasks: [good, { handler: 'nobody' }], then: {} }, 'unknown_handler', { index: 1 }, /^tasks\[1\]: unknown handler/],
      [{ tasks: [{ ...good, after: [newTaskId(1)] }], then: {} }, 'invalid_parameter', { index: 0, parameter: 'after' }, /^tasks\[0\]: expected after to name tasks/],
      [{ tasks: [good], then: { handler: 'nobody' } }, 'unknown_handler', {}, /^unknown handler/],
      [{ tasks: [good], then: { after: [] } }, 'invalid_parameter', { parameter: 'after' }, /unknown field "after"/],
      [{ tasks: [good], then: 7 }, 'invalid_parameter', { parameter: 'a task' }, /expected a task to be an object/],
      [{ tasks: [good], then: {}, startWhen: 'soon' }, 'invalid_parameter', { parameter: 'startWhen' }, /expected startWhen to be completed or ended/],
      [{ tasks: [good], startWhen: 'ended' }, 'invalid_parameter', { parameter: 'startWhen' }, /expected startWhen to come with then/],
    ])) {
      const reply = await api.call('POST', '/tasks', { body });
      const { errors: _, handlers: __, ...rest } = reply.body;
      assertRefused({ ...reply, body: rest }, 400, code, extras);
      assert.match(rest.error, fault);
    }
    assert.equal(await count(), before_count);
  });

  test('what is no batch is not found', async () => {
    assertRefused(await api.call('GET', `/batches/${newTaskId(1)}`), 404, 'batch_not_found');
    assertRefused(await api.call('GET', `/batches/${await api.submit()}`), 404, 'batch_not_found');
    assertRefused(await api.call('GET', '/batches/7'), 404, 'task_not_found');
  });
});

for (const store of someOf(/** @type {StoreName[]} */ (['d1', 'durable-object']))) test(`a handler's tasks are submitted once, whatever its attempts, with ${store}`, async () => {
  const api = await startApi({ store, handlers: HANDLERS });
  try {
    const taskId = await api.submit('?handler=parent');
    await api.attempt(taskId);
    const before_retry = (await api.call('GET', '/tasks?limit=100')).body.tasks.length;
    await api.attempt(taskId);
    assert.equal((await api.call('GET', '/tasks?limit=100')).body.tasks.length, before_retry);
    const { result, status } = await api.task(taskId);
    assert.equal(status, 'completed');
    for (const part of result.parts) {
      assert.equal((await api.task(part)).parent, taskId);
      await api.attempt(part);
    }
    await until(async () => (await api.task(result.last)).after.waitsFor.length === 0);
    await api.attempt(result.last);
    const { result: gathered, parent, callback } = await api.task(result.last);
    assert.deepEqual([parent, callback, gathered.all.map((/** @type {any} */ each) => each.result)], [taskId, null, [{ did: 'a' }, { did: 'b' }]]);
    assert.deepEqual(gathered.payload, { 0: 255, 1: 1 });
  } finally {
    await api.stop();
  }
});

test('with kv a handler submits tasks, and none that wait', async () => {
  const api = await startApi({ store: 'kv', handlers: { ...HANDLERS, parent: `
    export default async (payload, context) => {
      const { taskId } = await context.submit({ handler: 'work', payload: '"a"' });
      const refused = await context.submit({ after: [taskId] }).catch((error) => error.message);
      return { taskId, refused, dependencies: await context.dependencies(), after: context.after };
    };` } });
  try {
    const taskId = await api.submit('?handler=parent');
    await api.attempt(taskId);
    const { result } = await api.task(taskId);
    assert.equal((await api.task(result.taskId)).parent, taskId);
    assert.match(result.refused, /^expected no after with the state store kv/);
    assert.deepEqual([result.dependencies, result.after], [[], null]);
    const reply = await api.call('POST', '/tasks', { body: { tasks: [{ handler: 'work', payload: '"a"' }], then: {} } });
    assertRefused(reply, 400, 'invalid_parameter', { parameter: 'then' });
  } finally {
    await api.stop();
  }
});

test('what the API would refuse, a handler is told', async () => {
  const api = await startApi({ handlers: HANDLERS });
  try {
    const taskId = await api.submit('?handler=careless');
    await api.attempt(taskId);
    const { result } = await api.task(taskId);
    for (const name of ['handler', 'field', 'payload', 'after', 'key']) assert.deepEqual([result[name][0], result[name][2]], ['SubmissionRefused', true], name);
    assert.match(result.field[1], /^unknown field "hanlder"/);
    assert.match(result.payload[1], /^expected a payload that keeps to the schema of handler work/);
    assert.deepEqual([result.ownKey[0], result.none[0]], ['TypeError', 'TypeError']);
    assert.deepEqual(result.twice, ['TypeError', 'expected a key of its own for each task that is submitted, got same twice']);
  } finally {
    await api.stop();
  }
});

for (const store of someOf(/** @type {StoreName[]} */ (['d1', 'durable-object']))) test(`a batch and a handler's tasks by a workflow with ${store}`, async () => {
  const api = await startApi({ store, engine: 'workflow', handlers: HANDLERS, face: 'runner' });
  try {
    const { body: { batchId } } = await api.call('POST', '/tasks', { body: {
      tasks: ['one', 'two'].map((payload) => ({ handler: 'work', payload: JSON.stringify(payload) })), then: { handler: 'gather' },
    } });
    const parent = await api.submit('?handler=parent');
    await until(async () => (await api.task(batchId)).status === 'completed' && (await api.task(parent)).status === 'completed');
    const { result } = await api.task(parent);
    await until(async () => (await api.task(result.last)).status === 'completed');
  } finally {
    await api.stop();
  }
});
