/**
 * Sends tasks to a task runner and measures the answers. It reads one JSON job from each line of stdin, and writes one JSON reply on each line of
 * stdout. The process stays alive between jobs, so that no job pays for a cold start.
 */

import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

import { Pool } from 'undici';

/**
 * @typedef {object} Target
 * @property {string} url the task runner's URL, without a slash at the end
 * @property {Record<string, string>} headers
 * @property {number} payload_bytes
 *
 * @typedef {Target & {tasks: number, concurrency: number}} Flood as fast as this many connections can
 * @typedef {Flood & {batch: number}} Batches the same, so many tasks with each request
 * @typedef {Target & {tasks: number, delay_seconds: number, poll_ms: number}} Delayed all at once, each followed to its end
 * @typedef {Target & {tasks: number, pause_ms: number, poll_ms: number}} Lone one after the other, each followed to its end
 * @typedef {Target & {tasks_per_second: number, seconds: number, followed_per_second: number, poll_ms: number}} Steady
 *   at fixed moments, whatever the answers do
 *
 * @typedef {object} Reply
 * @property {number} seconds
 * @property {number[]} post_ms for each accepted task the time from when it was to be sent to the answer
 * @property {number[]} completed_ms for each followed task the time from the same moment to its completion
 * @property {number[]} pickup_ms for each followed task, if its system reports it, the time from the same moment to the start of its handler
 * @property {number} refused
 */

/** Payloads are JSON of the form {"work":"xxx"}. */
const SHORTEST_PAYLOAD_BYTES = '{"work":""}'.length;
const STEADY_CONNECTIONS = 64;
const TIMEOUT_MS = 120_000;

/** @type {Record<string, (job: any) => Promise<Reply>>} */
const JOBS = { flood, batches, delayed, lone, steady };

/** @param {Flood} job */
async function flood({ tasks, concurrency, ...target }) {
  return using(target, concurrency, async (client, reply) => {
    let left = tasks;
    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (left-- > 0) await client.post(reply, performance.now());
    }));
  });
}

/** @param {Batches} job */
async function batches({ tasks, concurrency, batch, ...target }) {
  return using(target, concurrency, async (client, reply) => {
    let left = tasks;
    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (left > 0) {
        const count = Math.min(batch, left);
        left -= count;
        await client.postBatch(reply, count);
      }
    }));
  });
}

/** @param {Delayed} job */
async function delayed({ tasks, delay_seconds, poll_ms, ...target }) {
  return using(target, STEADY_CONNECTIONS, async (client, reply) => {
    await Promise.all(Array.from({ length: tasks }, async () => {
      const began = performance.now();
      const taskId = await client.post(reply, began, `/task?delay=${delay_seconds}`);
      if (taskId !== null) await client.follow(reply, taskId, began + delay_seconds * 1000, poll_ms);
    }));
  });
}

/** @param {Lone} job */
async function lone({ tasks, pause_ms, poll_ms, ...target }) {
  return using(target, 1, async (client, reply) => {
    for (let task = 0; task < tasks; task++) {
      const began = performance.now();
      const taskId = await client.post(reply, began);
      if (taskId !== null) await client.follow(reply, taskId, began, poll_ms);
      await sleep(pause_ms);
    }
  });
}

/** @param {Steady} job */
async function steady({ tasks_per_second, seconds, followed_per_second, poll_ms, ...target }) {
  return using(target, STEADY_CONNECTIONS, async (client, reply) => {
    const began = performance.now();
    const tasks = Math.round(tasks_per_second * seconds);
    const followedEach = Math.max(1, Math.round(tasks_per_second / followed_per_second));
    /** @type {Promise<void>[]} */
    const running = [];
    for (let task = 0; task < tasks; task++) {
      const due = began + (task * 1000) / tasks_per_second;
      while (performance.now() < due) await sleep(1);
      running.push((async () => {
        const taskId = await client.post(reply, due);
        if (taskId !== null && task % followedEach === 0) await client.follow(reply, taskId, due, poll_ms);
      })());
    }
    await Promise.all(running);
  });
}

/**
 * @param {Target} target
 * @param {number} connections
 * @param {(client: Client, reply: Reply) => Promise<void>} work
 * @returns {Promise<Reply>}
 */
async function using(target, connections, work) {
  const client = new Client(target, connections);
  /** @type {Reply} */
  const reply = { seconds: 0, post_ms: [], completed_ms: [], pickup_ms: [], refused: 0 };
  const began = performance.now();
  try {
    await work(client, reply);
    reply.seconds = (performance.now() - began) / 1000;
    return reply;
  } finally {
    await client.pool.close();
  }
}

class Client {
  /**
   * @param {Target} target
   * @param {number} connections
   */
  constructor({ url, headers, payload_bytes }, connections) {
    this.pool = new Pool(url, { connections, bodyTimeout: TIMEOUT_MS, headersTimeout: TIMEOUT_MS });
    this.headers = { ...headers, 'content-type': 'application/json' };
    this.body = JSON.stringify({ work: 'x'.repeat(Math.max(0, payload_bytes - SHORTEST_PAYLOAD_BYTES)) });
  }

  /**
   * @param {Reply} reply gets the time that it took
   * @param {number} due
   * @param {string} [path]
   * @returns {Promise<string | null>} the task's id; null if it was refused
   */
  async post(reply, due, path = '/task') {
    const { statusCode, body } = await this.pool.request({ method: 'POST', path, headers: this.headers, body: this.body });
    const text = await body.text();
    if (statusCode !== 200) {
      reply.refused += 1;
      return null;
    }
    reply.post_ms.push(performance.now() - due);
    return JSON.parse(text).taskId;
  }

  /**
   * @param {Reply} reply gets the time that it took, once for each task
   * @param {number} count the number of tasks
   */
  async postBatch(reply, count) {
    const began = performance.now();
    const tasks = Array.from({ length: count }, () => ({ payload: this.body }));
    const { statusCode, body } = await this.pool.request({ method: 'POST', path: '/tasks', headers: this.headers, body: JSON.stringify({ tasks }) });
    const answer = await body.text();
    const accepted = statusCode === 200 ? JSON.parse(answer).tasks.filter((/** @type {{taskId?: string}} */ { taskId }) => taskId !== undefined).length : 0;
    reply.refused += count - accepted;
    for (let task = 0; task < accepted; task++) reply.post_ms.push(performance.now() - began);
  }

  /**
   * @param {Reply} reply gets the time that it took
   * @param {string} taskId
   * @param {number} due when it was to be sent
   * @param {number} poll_ms the pause between an answer and the next question
   */
  async follow(reply, taskId, due, poll_ms) {
    while (performance.now() < due + TIMEOUT_MS) {
      const { body } = await this.pool.request({ method: 'GET', path: `/task/${taskId}`, headers: this.headers });
      const { status, startedAt } = /** @type {{status: string, startedAt?: string}} */ (await body.json());
      if (status === 'completed') {
        reply.completed_ms.push(performance.now() - due);
        if (startedAt) reply.pickup_ms.push(Date.parse(startedAt) - (performance.timeOrigin + due));
        return;
      }
      await sleep(poll_ms);
    }
    throw new Error(`task ${taskId} was not completed after ${TIMEOUT_MS / 1000} s`);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { kind, ...job } = JSON.parse(line);
  let reply;
  try {
    reply = await JOBS[kind]?.(job);
  } catch (error) {
    reply = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
