/** The worker that runs tasks: `node worker.js` with RIVAL_REDIS_SOCKET. */

import { createHash } from 'node:crypto';

import { Worker } from 'bullmq';

/** Concurrent jobs; the benchmark's jobs do not wait for anything, so that more would not be faster. */
const CONCURRENCY = 50;

const worker = new Worker('tasks', async ({ data: { payload } }) => ({
  bytes: Buffer.byteLength(payload),
  sha256: createHash('sha256').update(payload).digest('hex'),
}), { connection: { path: process.env.RIVAL_REDIS_SOCKET, maxRetriesPerRequest: null }, concurrency: CONCURRENCY });

await worker.waitUntilReady();
console.log(JSON.stringify({ ready: true }));
