/** The task runner's API on Hono and BullMQ: `node api.js` with RIVAL_REDIS_SOCKET. */

import { serve } from '@hono/node-server';
import { Queue } from 'bullmq';
import { Hono } from 'hono';

const DAY_SECONDS = 86_400;
const UNFINISHED = /** @type {const} */ (['wait', 'paused', 'active', 'delayed', 'prioritized']);
/** @type {Record<string, string>} */
const STATUSES = { completed: 'completed', failed: 'failed', active: 'processing' };

const queue = new Queue('tasks', {
  connection: { path: process.env.RIVAL_REDIS_SOCKET },
  defaultJobOptions: {
    attempts: 6,
    backoff: { type: 'exponential', delay: 1000 },
    removeOnComplete: { age: DAY_SECONDS },
    removeOnFail: { age: DAY_SECONDS },
  },
});

const app = new Hono();
app.post('/task', async (context) => {
  const delay = Number(context.req.query('delay') ?? 0) * 1000;
  const job = await queue.add('task', { payload: await context.req.text() }, { delay });
  return context.json({ taskId: job.id, status: 'pending' });
});
app.post('/tasks', async (context) => {
  const { tasks } = await context.req.json();
  const jobs = await queue.addBulk(tasks.map((/** @type {{payload: string}} */ { payload }) => ({ name: 'task', data: { payload } })));
  return context.json({ tasks: jobs.map(({ id }) => ({ httpStatus: 200, taskId: id, status: 'pending' })) });
});
app.get('/task/:id', async (context) => {
  const taskId = context.req.param('id');
  const state = await queue.getJobState(taskId);
  if (state === 'unknown') return context.json({ error: 'not found' }, 404);
  return context.json({ taskId, status: STATUSES[state] ?? 'pending' });
});

// Only for the benchmark.
app.post('/hold', async (context) => context.json(await queue.pause() ?? {}));
app.post('/release', async (context) => context.json(await queue.resume() ?? {}));
app.get('/backlog', async (context) => {
  const counts = await queue.getJobCounts(...UNFINISHED);
  return context.json(Object.values(counts).reduce((sum, count) => sum + count, 0));
});
app.get('/completed', async (context) => context.json(await queue.getCompletedCount()));

serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, ({ port }) => console.log(JSON.stringify({ port })));
