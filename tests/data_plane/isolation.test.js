/** A deployment touches its own Worker only: whatever others are in the middle of goes on. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { DataPlane, Puppeteer, freePort, isRunning, newId, queue, sleep, until, version, worker, workerConsumer } from './data_plane.js';

/** It is in the middle of everything that a Worker can be in the middle of; the puppeteer says when each of it ends. */
const BUSY = `
  import { DurableObject } from 'cloudflare:workers';
  export class Counter extends DurableObject {
    #count = 0;
    count() { return ++this.#count; }
  }
  const asked = (env, name, attempts) =>
    fetch(env.PUPPETEER, { method: 'POST', body: JSON.stringify({ messages: [{ body: name, attempts }] }) });
  export default {
    async fetch(request, env, ctx) {
      const { pathname } = new URL(request.url);
      if (pathname === '/send') { await env.QUEUE.send('job'); return new Response('sent'); }
      if (pathname === '/later') {
        ctx.waitUntil(asked(env, 'waitUntil begins').then(() => asked(env, 'waitUntil ends')));
        return new Response('later');
      }
      if (pathname === '/request') { await asked(env, 'request'); return new Response('answered'); }
      if (pathname === '/count') return Response.json(await env.COUNTER.getByName('one').count());
      if (pathname === '/stream') {
        const { readable, writable } = new TransformStream();
        const writer = writable.getWriter();
        const text = new TextEncoder();
        ctx.waitUntil((async () => { for (let n = 0; ; n++) { await writer.write(text.encode('data: ' + n + '\\n\\n')); await scheduler.wait(20); } })().catch(() => {}));
        return new Response(readable, { headers: { 'Content-Type': 'text/event-stream' } });
      }
      if (pathname === '/socket') {
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.addEventListener('message', ({ data }) => server.send('echo ' + data));
        server.addEventListener('close', () => server.close());
        return new Response(null, { status: 101, webSocket: client });
      }
      return new Response(env.NAME);
    },
    async queue({ messages: [message] }, env) {
      await asked(env, 'batch', message.attempts);
    },
  };
`;

/** No request to another Worker is held for longer than 100 ms, on idle cores; those of tests are shared. */
const MOST_HELD_MS = 500;

/** @param {import('node:test').TestContext} t */
async function stage(t) {
  const dataPlane = await DataPlane.start(t);
  const puppeteer = await Puppeteer.start(t);
  const port = await freePort();
  const [queueId, deadId, namespaceId] = [newId(), newId(), newId()];
  /** @param {string} name @param {boolean} [hasObjects] */
  const busy = (name, hasObjects = true) => {
    const id = crypto.randomUUID();
    return version(BUSY, {
      id,
      durable_objects: hasObjects ? [{ class_name: 'Counter', namespace_id: namespaceId, use_sqlite: true }] : [],
      bindings: [
        { type: 'plain_text', name: 'NAME', text: name },
        { type: 'plain_text', name: 'PUPPETEER', text: puppeteer.url },
        { type: 'queue', name: 'QUEUE', queue_id: queueId, delivery_delay: null },
        ...(hasObjects
          ? [{ type: 'durable_object_namespace', name: 'COUNTER', worker: 'busy', version_id: id, class_name: 'Counter', namespace_id: namespaceId }]
          : []),
      ],
    });
  };
  const consumer = workerConsumer('busy', { max_retries: 0, dead_letter_queue_id: deadId });
  const queues = [queue(queueId, consumer), queue(deadId, null)];
  await dataPlane.configure([]); // as an empty account is
  return { dataPlane, puppeteer, port, queueId, deadId, namespaceId, queues, busy, url: `http://127.0.0.1:${port}` };
}

/** @param {string} text */
const answering = (text) => version(`export default { fetch: () => new Response('${text}') }`);

/**
 * Begins all that a Worker can be in the middle of.
 *
 * @param {Awaited<ReturnType<typeof stage>>} stage
 */
async function begin({ puppeteer, url }) {
  /** @type {() => void} */
  let release = () => {};
  const released = new Promise((resolve) => (release = () => resolve(undefined)));
  puppeteer.plan = async (delivery) => {
    if (delivery.messages[0]?.body !== 'waitUntil ends') await released;
    return {};
  };
  const get = async (/** @type {string} */ path) => (await fetch(url + path)).text();
  const aborter = new AbortController();
  const stream = /** @type {ReadableStream<Uint8Array>} */ ((await fetch(`${url}/stream`, { signal: aborter.signal })).body).getReader();
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket`);
  await once(socket, 'open');
  assert.equal(await get('/send'), 'sent');
  assert.equal(await get('/later'), 'later');
  const request = get('/request');
  await until('all is under way', () => puppeteer.deliveries.length === 3);

  return {
    get,
    release,
    async goesOn() {
      for (let chunk = 0; chunk < 3; chunk++) assert.equal((await stream.read()).done, false);
      socket.send('hi');
      assert.equal((await once(socket, 'message'))[0].data, 'echo hi');
    },
    async ends() {
      release();
      assert.equal(await request, 'answered');
      await until('what waits for it', () => puppeteer.bodies.includes('waitUntil ends'));
      aborter.abort();
      socket.close();
    },
  };
}

/**
 * Asks again and again, until it is told to stop, and tells how long the slowest answer took.
 *
 * @param {string} url
 */
function asking(url) {
  let stopped = false;
  const slowest = (async () => {
    let most = 0;
    while (!stopped) {
      const begun = performance.now();
      assert.equal((await fetch(url)).status, 200);
      most = Math.max(most, performance.now() - begun);
      await sleep(5);
    }
    return most;
  })();
  return async () => {
    stopped = true;
    return slowest;
  };
}

test('deployments of other Workers cut nothing, spend no attempt and hold no request', async (t) => {
  const all = await stage(t);
  const { dataPlane, puppeteer, port, queueId, deadId, queues, url } = all;
  const own = worker('busy', port, [all.busy('own')]);
  await dataPlane.configure([own], queues);
  const work = await begin(all);
  assert.equal(await work.get('/count'), '1');
  const pid = await dataPlane.workerPid('busy');

  const stop = asking(url);
  const otherPort = await freePort();
  for (const others of [[answering('first')], [answering('second')], []]) {
    await dataPlane.configure(others.length > 0 ? [own, worker('other', otherPort, others)] : [own], queues);
    await work.goesOn();
  }
  const slowest = await stop();
  assert.ok(slowest < MOST_HELD_MS, `a request took ${slowest} ms`);
  assert.equal(await work.get('/count'), '2'); // the object is still in memory
  assert.equal(await dataPlane.workerPid('busy'), pid);
  await work.ends();
  await until('the end of the batch', async () => (await dataPlane.backlog(queueId)) === 0);
  assert.deepEqual(puppeteer.deliveries.filter(({ messages }) => messages[0]?.body === 'batch').map(({ messages }) => messages[0]?.attempts), [1]);
  assert.equal(await dataPlane.backlog(deadId), 0);
});

test("a deployment cuts nothing of a Worker's own that has no objects", async (t) => {
  const all = await stage(t);
  const { dataPlane, puppeteer, port, queueId, deadId, queues, url } = all;
  await dataPlane.configure([worker('busy', port, [all.busy('before', false)])], queues);
  const work = await begin(all);
  const pid = await dataPlane.workerPid('busy');
  const stop = asking(url);
  await dataPlane.configure([worker('busy', port, [all.busy('after', false)])], queues);
  assert.equal(await work.get('/'), 'after');
  assert.notEqual(await dataPlane.workerPid('busy'), pid);
  await work.goesOn();
  await stop();
  await work.ends();
  await until('the end of the batch', async () => (await dataPlane.backlog(queueId)) === 0);
  assert.deepEqual(puppeteer.deliveries.filter(({ messages }) => messages[0]?.body === 'batch').map(({ messages }) => messages[0]?.attempts), [1]);
  assert.equal(await dataPlane.backlog(deadId), 0);
  await until('the end of the process before', () => !isRunning(pid));
});

test('objects pass from one process to the next, and only one ever has their files open', { skip: process.platform !== 'linux' }, async (t) => {
  const all = await stage(t);
  const { dataPlane, port, queues, namespaceId, url } = all;
  const otherPort = await freePort();
  const other = worker('other', otherPort, [answering('other')]);
  await dataPlane.configure([worker('busy', port, [all.busy('v0')]), other], queues);
  const count = async () => (await fetch(`${url}/count`)).text();
  assert.equal(await count(), '1');
  const otherPid = await dataPlane.workerPid('other');
  const folder = join(dataPlane.stateDir, 'resources', 'do', namespaceId);
  let most = 0;
  let looking = true;
  const watch = (async () => {
    while (looking) {
      const owners = (await dataPlane.processes()).filter(({ pid }) => pid !== null && openFiles(pid).some((path) => path.startsWith(folder)));
      most = Math.max(most, owners.length);
      await sleep(20);
    }
  })();
  const stop = asking(`http://127.0.0.1:${otherPort}`);
  for (let deployment = 1; deployment <= 3; deployment++) {
    await dataPlane.configure([worker('busy', port, [all.busy(`v${deployment}`)]), other], queues);
    assert.equal(await (await fetch(url)).text(), `v${deployment}`);
    assert.equal(await count(), '1'); // another process, without what the one before had in memory
  }
  looking = false;
  await watch;
  assert.equal(most, 1);
  const slowest = await stop();
  assert.ok(slowest < MOST_HELD_MS, `a request took ${slowest} ms`);
  assert.equal(await dataPlane.workerPid('other'), otherPid);
});

const CACHING = `export default { async fetch(request) {
  const key = 'http://cached/a';
  const before = await caches.default.match(key);
  await caches.default.put(key, new Response('kept', { headers: { 'Cache-Control': 'max-age=60' } }));
  return new Response(before ? await before.text() : 'empty');
} }`;

test('no file is open in two processes, of the cache neither, and each Worker has its own', { skip: process.platform !== 'linux' }, async (t) => {
  const { dataPlane } = await stage(t);
  const [first, second] = [await freePort(), await freePort()];
  await dataPlane.configure([worker('first', first, [version(CACHING)]), worker('second', second, [version(CACHING)])]);
  const answer = async (/** @type {number} */ port) => (await fetch(`http://127.0.0.1:${port}`)).text();
  assert.deepEqual([await answer(first), await answer(second), await answer(first), await answer(second)], ['empty', 'empty', 'kept', 'kept']);
  const pids = [await dataPlane.storePid(), ...(await dataPlane.processes()).map(({ pid }) => Number(pid))];
  const open = pids.flatMap((pid) => [...new Set(openFiles(pid).filter((path) => path.startsWith(dataPlane.stateDir) && path.includes('.sqlite')))]);
  assert.ok(open.some((path) => path.includes('cache')), String(open));
  assert.equal(new Set(open).size, open.length, String(open));
});

test('a deployment that does not start leaves all as it was, objects too', async (t) => {
  const all = await stage(t);
  const { dataPlane, port, queues, url } = all;
  await dataPlane.configure([worker('busy', port, [all.busy('good')])], queues);
  const bad = { ...all.busy('bad'), compatibility_flags: ['no_such_flag'] };
  const refused = await dataPlane.call('PUT', '/config', { workers: [worker('busy', port, [bad])], queues, workflows: [] });
  assert.equal(refused.body.error.kind, 'invalid_worker');
  assert.equal(await (await fetch(url)).text(), 'good');
  assert.equal(await (await fetch(`${url}/count`)).text(), '1');
  assert.ok(await dataPlane.workerPid('busy'));
});

test('at the end no process and no socket is left', async (t) => {
  const all = await stage(t);
  const { dataPlane, port, queues } = all;
  for (const name of ['one', 'two']) await dataPlane.configure([worker('busy', port, [all.busy(name)])], queues);
  const pids = [await dataPlane.storePid(), ...(await dataPlane.processes()).map(({ pid }) => Number(pid))];
  const files = () => readdirSync(join(dataPlane.stateDir, 'tmp'), { recursive: true }).filter((name) => /\.(sock|pid)$/.test(String(name)));
  assert.ok(files().length >= 4); // of the store and a Worker's process
  await dataPlane.stop();
  assert.deepEqual(pids.filter(isRunning), []);
  assert.deepEqual(files(), []);
});

/** @param {number} pid */
function openFiles(pid) {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((descriptor) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${descriptor}`)];
      } catch {
        return []; // closed meanwhile
      }
    });
  } catch {
    return []; // it has ended
  }
}
