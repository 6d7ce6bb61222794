/** Streams of tasks with steps: a change of a step is a change of its task. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scheduler, setTimeout } from 'node:timers/promises';

import { TaskWatch } from '../../worker/watch.js';
import { startApi } from './api_under_test.js';
import { someOf, STORES } from './worker_under_test.js';

/** @import { ApiUnderTest } from './api_under_test.js' */

/** @type {any} */ (globalThis).scheduler = scheduler;

const HANDLERS = {
  default: `
    export const steps = true;
    export default async (payload, context) => {
      const one = await context.step('one', () => 1);
      await scheduler.wait(1_500);
      return one + await context.step('two', () => 2);
    };`,
};

/**
 * Reads a stream until a task in it is as it is waited for.
 *
 * @param {ApiUnderTest} api
 * @param {string} taskId
 * @param {(task: any) => boolean} isSo
 * @returns {Promise<{tasks: any[], at_ms: number}>} what it told, and when it told the last of them
 */
async function streamUntil(api, taskId, isSo) {
  const reply = await api.worker.fetch(`/task/${taskId}`, { headers: { Accept: 'text/event-stream' } });
  const reader = /** @type {ReadableStream<Uint8Array>} */ (/** @type {unknown} */ (reply.body)).getReader();
  const decoder = new TextDecoder();
  const tasks = [];
  for (let text = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return { tasks, at_ms: Date.now() };
    text += decoder.decode(value, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, json] = /\ndata: (.*)$/.exec(block) ?? [];
      if (json) tasks.push(JSON.parse(json));
    }
    if (!isSo(tasks.at(-1))) continue;
    await reader.cancel();
    return { tasks, at_ms: Date.now() };
  }
}

/** @param {any} task */
const namesOf = ({ steps }) => steps.map((/** @type {any} */ { name, status }) => `${name} ${status}`).join();

for (const store of STORES) test(`a stream tells of each step, with state in ${store}`, { timeout: 60_000 }, async () => {
  const api = await startApi({ store, handlers: HANDLERS });
  try {
    const taskId = await api.submit();
    const streamed = streamUntil(api, taskId, () => false);
    await setTimeout(300);
    await api.attempt(taskId);
    const { tasks } = await streamed;
    const told = tasks.map((task) => `${task.status} ${namesOf(task)}`);
    assert.equal(told[0], 'pending ');
    assert.ok(told.includes('processing one completed'), told.join('; '));
    assert.equal(told.at(-1), 'completed one completed,two completed');
    assert.deepEqual(tasks.at(-1), await api.task(taskId));
  } finally {
    await api.stop();
  }
});

describe('a step that is written elsewhere is told', () => {
  const STEP = `INSERT INTO steps (taskId, run, name, kind, status, attempts, started_at) VALUES (?, 1, 'far', 'step', 'completed', 1, 1) RETURNING name`;

  for (const store of someOf(/** @type {const} */ (['d1', 'durable-object']))) test(`soon, with state in ${store}`, { timeout: 60_000 }, async () => {
    const api = await startApi({ store, handlers: HANDLERS });
    try {
      const taskId = await api.submit('?delaySeconds=600');
      const streamed = streamUntil(api, taskId, (task) => task?.steps.length > 0);
      await setTimeout(3_500); // looks are 2.5 seconds apart by then, or 6 where the object tells
      const start_ms = Date.now();
      if (store === 'd1') await api.worker.rows(STEP, taskId);
      else {
        const objects = /** @type {any} */ (await api.worker.miniflare.getDurableObjectNamespace('TASK_DO', 'task-runner'));
        const home = Number.parseInt(taskId.slice(-2), 16) % 4;
        await objects.get(objects.idFromName(`tasks-${home}`)).run([{ sql: STEP, parameters: [taskId] }]);
      }
      const { at_ms, tasks } = await streamed;
      assert.equal(namesOf(tasks.at(-1)), 'far completed');
      const most_ms = store === 'd1' ? 4_500 : 2_500; // on a busy machine; an object that did not tell would be looked at after 3.4 seconds
      assert.ok(at_ms - start_ms < most_ms, `${at_ms - start_ms} ms`);
    } finally {
      await api.stop();
    }
  });
});

test('who does not look at steps asks for none, and who does asks a bounded number of times', { timeout: 60_000 }, async () => {
  const asked = { find: 0, steps: 0 };
  const task = /** @type {any} */ ({ taskId: 'task', status: 'processing' });
  const store = /** @type {any} */ ({
    tells: true,
    find: async () => { asked.find++; return task; },
    steps: async () => { asked.steps++; return []; },
    changed: async () => {}, // a step changes all the time
  });
  const without = new TaskWatch(store, 'task', Date.now() + 1_000);
  await without.again(task);
  without.stop();
  assert.deepEqual(asked, { find: 1, steps: 0 });
  const watch = new TaskWatch(store, 'task', Date.now() + 40_000, true);
  const start_ms = Date.now();
  for (let seen = await watch.again(task); seen && await watch.next(seen);) seen = await watch.again(seen);
  watch.stop();
  assert.deepEqual(asked, { find: 101, steps: 100 });
  assert.ok(Date.now() - start_ms >= 99 * 100 - 500, 'steps that change together are told together');
});
