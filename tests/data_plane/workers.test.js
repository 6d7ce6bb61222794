/** Workers behind their ports: deployment, reload, trial, logs. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import {
  DataPlane,
  Ending,
  base64,
  freePort,
  kept,
  module,
  newId,
  queue,
  sleep,
  until,
  version,
  worker,
  workerConsumer,
} from './data_plane.js';

/** @param {string} text */
const answering = (text) => version(`export default { fetch() { return new Response(${JSON.stringify(text)}); } }`);

describe('Workers', () => {
  const ending = new Ending(after);
  /** @type {DataPlane} */ let dataPlane;
  /** @type {number} */ let port;
  /** @type {string} */ let url;

  before(async () => {
    dataPlane = await DataPlane.start(ending);
    port = await freePort();
    url = `http://127.0.0.1:${port}`;
  });

  const text = async (path = '/') => (await fetch(url + path)).text();

  test('answer on their port, until nothing is deployed', async () => {
    await dataPlane.configure([worker('w', port, [answering('one')])]);
    assert.equal(await text(), 'one');
    await dataPlane.configure([worker('w', port, [])]);
    const response = await fetch(url);
    assert.equal(response.status, 404);
    assert.match(await response.text(), /nothing here yet/);
    await dataPlane.configure([]);
    await assert.rejects(fetch(url));
  });

  test('see the request as it was, and are seen as they answer', async () => {
    const source = `export default { async fetch(request) {
      const { method, url, headers, cf } = request;
      const body = await request.text();
      return Response.json({ method, url, body, cf, headers: Object.fromEntries(headers) }, {
        status: 201, headers: [['X-Two', 'a'], ['X-Two', 'b'], ['Set-Cookie', 'c=1'], ['Set-Cookie', 'd=2']] });
    } }`;
    await dataPlane.configure([worker('w', port, [version(source)])]);
    const headers = { 'X-Mine': 'yes', 'MF-CF-Blob': '{', 'Content-Type': 'text/x', 'Accept-Encoding': 'gzip' };
    const response = await fetch(`${url}/a/b?c=%20d`, { method: 'PATCH', body: 'hällo', headers });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('X-Two'), 'a, b');
    assert.deepEqual(response.headers.getSetCookie(), ['c=1', 'd=2']);
    const seen = /** @type {any} */ (await response.json());
    assert.equal(seen.method, 'PATCH');
    assert.equal(seen.url, `${url}/a/b?c=%20d`);
    assert.equal(seen.body, 'hällo');
    assert.equal(seen.headers['x-mine'], 'yes');
    assert.equal(seen.headers['content-type'], 'text/x');
    assert.equal(seen.headers['cf-connecting-ip'], '127.0.0.1');
    assert.equal(seen.headers['mf-cf-blob'], undefined);
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    assert.deepEqual(seen.cf, { httpProtocol: 'HTTP/1.1', clientAcceptEncoding: 'gzip', timezone: timeZone });
  });

  test('may have 128 KB of headers each way', async () => {
    const source = "export default { fetch: ({ headers }) => new Response('', { headers: { 'X-Long': headers.get('X-Long') } }) }";
    await dataPlane.configure([worker('w', port, [version(source)])]);
    const long = 'x'.repeat(125_000);
    const sent = request({ port, host: '127.0.0.1', headers: { 'X-Long': long }, maxHeaderSize: 200_000 }).end();
    const [response] = await once(sent, 'response');
    assert.equal(response.headers['x-long'], long);
  });

  test('stream both ways', async () => {
    const source = `export default { fetch(request) {
      const { readable, writable } = new TransformStream();
      (async () => {
        const writer = writable.getWriter();
        await writer.write(new TextEncoder().encode('first '));
        for await (const chunk of request.body) await writer.write(chunk);
        await writer.close();
      })();
      return new Response(readable);
    } }`;
    await dataPlane.configure([worker('w', port, [version(source)])]);
    const sent = request({ port, host: '127.0.0.1', method: 'POST' });
    sent.write('half ');
    const [response] = await once(sent, 'response');
    response.setEncoding('utf8');
    assert.match((await once(response, 'data'))[0], /^first /); // while the request is still open
    sent.end('whole');
    assert.match((await response.toArray()).join(''), /whole$/);
  });

  test('may answer without reading a long request', async () => {
    await dataPlane.configure([
      worker('w', port, [version("export default { fetch() { return new Response('too long', { status: 413 }); } }")]),
    ]);
    for (let i = 0; i < 5; i += 1) {
      const response = await fetch(url, { method: 'POST', body: Buffer.alloc(8_000_000) });
      assert.equal(`${response.status} ${await response.text()}`, '413 too long');
    }
  });

  test('speak WebSocket', async () => {
    const source = `export default { fetch() {
      const [client, server] = Object.values(new WebSocketPair());
      server.accept();
      server.addEventListener('message', ({ data }) => server.send('echo ' + data));
      server.addEventListener('close', () => server.close());
      return new Response(null, { status: 101, webSocket: client });
    } }`;
    await dataPlane.configure([worker('w', port, [version(source)])]);
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    await once(socket, 'open');
    socket.send('hi');
    assert.equal((await once(socket, 'message'))[0].data, 'echo hi');
    await dataPlane.configure([worker('w', port, [answering('next')])]);
    assert.equal(await text(), 'next');
    socket.send('still'); // it goes on in the version that accepted it
    assert.equal((await once(socket, 'message'))[0].data, 'echo still');
    const retired = async () => (await dataPlane.processes()).filter((one) => one.is_retired).length;
    assert.ok((await retired()) >= 1);
    socket.close();
    await until('the end of the process that it kept', async () => (await retired()) === 0);
  });

  test('may decline a WebSocket, with an answer of any length', async () => {
    const source = `export default { fetch() {
      const parts = new ReadableStream({ start(c) { for (const part of ['not ', 'you']) c.enqueue(new TextEncoder().encode(part)); c.close(); } });
      return new Response(parts, { status: 401, headers: { 'WWW-Authenticate': 'Bearer' } });
    } }`;
    const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': base64('0123456789abcdef') };
    const decline = async () => {
      const sent = request({ port, host: '127.0.0.1', headers: upgrade }).end();
      const [response] = await once(sent, 'response');
      return [response.statusCode, response.headers['www-authenticate'], Buffer.concat(await response.toArray()).toString()];
    };
    await dataPlane.configure([worker('w', port, [version(source)])]);
    assert.deepEqual(await decline(), [401, 'Bearer', 'not you']);
    await dataPlane.configure([worker('w', port, [])]);
    assert.equal((await decline())[0], 404);
  });

  test('take an offer of HTTP/2 for what it is: nothing that they have to accept', async () => {
    const source = 'export default { async fetch(request) { return new Response(`${request.method} ${await request.text()}`); } }';
    await dataPlane.configure([worker('w', port, [version(source)])]);
    const headers = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' };
    const sent = request({ port, host: '127.0.0.1', method: 'POST', headers }).end('body');
    const [response] = await once(sent, 'response');
    assert.equal(Buffer.concat(await response.toArray()).toString(), 'POST body');
  });

  test('share traffic by percentage, which changes without a new workerd', async () => {
    const a = { ...answering('a'), percentage: 50 };
    const b = { ...answering('b'), percentage: 50 };
    await dataPlane.configure([worker('w', port, [a, b])]);
    const pid = await dataPlane.storePid();
    const answers = await Promise.all(Array.from({ length: 60 }, () => text()));
    assert.deepEqual([...new Set(answers)].sort(), ['a', 'b']);
    await dataPlane.configure([
      worker('w', port, [
        { ...a, percentage: 0 },
        { ...b, percentage: 100 },
      ]),
    ]);
    assert.deepEqual([...new Set(await Promise.all(Array.from({ length: 30 }, () => text())))], ['b']);
    assert.equal(await dataPlane.storePid(), pid);
  });

  test('get a request that names their version, or comes with a key that is theirs', async () => {
    const a = { ...answering('a'), percentage: 100 };
    const b = { ...answering('b'), percentage: 0 };
    await dataPlane.configure([worker('w', port, [a, b])]);
    /** @param {Record<string, string>} headers */
    const answer = async (headers) => (await fetch(url, { headers })).text();
    /** @param {string} overrides */
    const overridden = (overrides) => answer({ 'Cloudflare-Workers-Version-Overrides': overrides });
    assert.equal(await overridden(`other="${a.id}", w="${b.id}"`), 'b');
    for (const none of [`other="${b.id}"`, `w=${b.id}`, 'w="b"', `ww="${b.id}"`]) assert.equal(await overridden(none), 'a', none);
    await dataPlane.configure([worker('w', port, [{ ...a, percentage: 50 }, { ...b, percentage: 50 }])]);
    const keys = Array.from({ length: 20 }, (_, index) => `user ${index}`);
    const byKey = () => Promise.all(keys.map((key) => answer({ 'Cloudflare-Workers-Version-Key': key })));
    const first = await byKey();
    assert.deepEqual([...new Set(first)].sort(), ['a', 'b']);
    assert.deepEqual(await byKey(), first);
  });

  test('come and go without a new workerd as long as nothing of them is deployed', async () => {
    const live = worker('w', port, [answering('live')]);
    await dataPlane.configure([live]);
    const pid = await dataPlane.storePid();
    const other = await freePort();
    await dataPlane.configure([worker('other', other, []), live]);
    assert.equal((await fetch(`http://127.0.0.1:${other}`)).status, 404);
    await dataPlane.configure([live]);
    await assert.rejects(fetch(`http://127.0.0.1:${other}`));
    assert.equal(await dataPlane.storePid(), pid);
    assert.equal(await text(), 'live');
  });

  test('reload without a refused or broken request', async () => {
    const slow = (/** @type {string} */ name) =>
      version(`export default { async fetch() { await scheduler.wait(30); return new Response('${name}'); } }`);
    await dataPlane.configure([worker('w', port, [slow('0')])]);
    let reloading = true;
    /** @type {string[]} */
    const answers = [];
    const clients = Array.from({ length: 4 }, async () => {
      while (reloading) {
        const response = await fetch(url);
        answers.push(`${response.status} ${await response.text()}`);
      }
    });
    for (const name of ['1', '2', '3']) await dataPlane.configure([worker('w', port, [slow(name)])]);
    reloading = false;
    await Promise.all(clients);
    assert.deepEqual(
      [...new Set(answers)],
      ['200 0', '200 1', '200 2', '200 3'].filter((answer) => answers.includes(answer)),
    );
    assert.ok(answers.includes('200 0') && answers.length > 10);
    assert.equal(await text(), '3');
  });

  test('stay up when a change is refused', async () => {
    const good = worker('w', port, [answering('good')]);
    await dataPlane.configure([good]);
    const other = await freePort();
    const reply = await dataPlane.call('PUT', '/config', {
      workers: [good, worker('bad', other, [version('export default {')])],
      queues: [],
      workflows: [],
    });
    assert.equal(reply.status, 422);
    assert.deepEqual(reply.body.error, {
      kind: 'invalid_worker',
      message: 'Uncaught SyntaxError: Unexpected end of input\n  at index.js:3',
    });
    assert.equal(await text(), 'good');
    await assert.rejects(fetch(`http://127.0.0.1:${other}/`));

    const unknown = version('export default {}', { bindings: [{ type: 'browser', name: 'BROWSER' }] });
    const refused = await dataPlane.call('PUT', '/config', { workers: [worker('bad', other, [unknown])], queues: [], workflows: [] });
    assert.equal(refused.status, 422);
    assert.match(refused.body.error.message, /binding BROWSER: .* got browser/);
    const cron = await dataPlane.call('PUT', '/config', { workers: [{ ...good, schedules: ['* * *'] }], queues: [], workflows: [] });
    assert.equal(cron.body.error.kind, 'bad_request');
    assert.equal(await text(), 'good');
  });

  test('say which port is taken', async () => {
    await dataPlane.configure([worker('w', port, [answering('good')])]);
    const other = await DataPlane.start(ending);
    const reply = await other.call('PUT', '/config', { workers: [worker('w', port, [answering('x')])], queues: [], workflows: [] });
    assert.equal(reply.status, 409);
    assert.equal(reply.body.error.kind, 'port_in_use');
    assert.equal(reply.body.error.message, `port ${port}, where Worker w answers, is in use by another program`);
    const free = await freePort();
    await other.configure([worker('w', free, [answering('x')])]);
    assert.equal(await (await fetch(`http://127.0.0.1:${free}/`)).text(), 'x');
  });

  test('end a running batch in the process that is replaced, and its log is kept', async () => {
    const id = newId();
    const consumer = version(`export default {
      async queue(batch) { await scheduler.wait(700); console.log('end ' + batch.messages[0].attempts); } }`);
    const state = [queue(id, workerConsumer('w'))];
    await dataPlane.configure([worker('w', port, [consumer])], state);
    await dataPlane.send(id, [1]);
    await sleep(200);
    await dataPlane.configure([worker('w', port, [answering('next')])], state);
    await until('its end', async () => (await dataPlane.backlog(id)) === 0);
    await until('its log', () => dataPlane.logs.some(({ message }) => message === 'end 1'));
  });

  test('write to the log under their names', async () => {
    const source = `export default { fetch() { console.warn('careful', { a: 1 }); throw new TypeError('oh'); } }`;
    await dataPlane.configure([worker('talker', port, [version(source)])]);
    assert.equal((await fetch(url)).status, 500);
    const lines = () => dataPlane.logs.filter((line) => line.worker === 'talker');
    await until('two lines', () => lines().length >= 2);
    const mine = lines();
    assert.deepEqual(
      mine.map(({ source, level }) => [source, level]),
      [
        ['worker', 'warn'],
        ['worker', 'error'],
      ],
    );
    assert.equal(mine[0]?.message, 'careful {"a":1}');
    assert.match(mine[1]?.message ?? '', /^Uncaught TypeError: oh\n +at .*index\.js/);
  });

  test('are tried before they are deployed', async () => {
    const source = `
      import { DurableObject } from 'cloudflare:workers';
      import text from './lib/text.txt';
      import { deep } from './lib/deep.js';
      let sum = 0; for (let i = 0; i < 2e7; i += 1) sum += i;
      export class Counter extends DurableObject {}
      export default { fetch() {}, async queue() {}, helper() {} };`;
    const good = version(source, {
      modules: [
        module('index.js', source),
        module('lib/deep.js', 'export const deep = 1;'),
        { name: 'lib/text.txt', content_type: 'text/plain', sha256: kept('hi') },
      ],
      bindings: [{ type: 'queue', name: 'QUEUE', queue_id: newId(), delivery_delay: null }],
    });
    const trial = await dataPlane.expect('POST', '/validate', good);
    assert.deepEqual(trial.handlers, ['fetch', 'queue']);
    assert.deepEqual(trial.named_handlers, [{ name: 'Counter', handlers: ['class'] }]);
    assert.ok(trial.startup_time_ms >= 3 && trial.startup_time_ms < 2_000, `${trial.startup_time_ms}`);

    /** @type {[string, RegExp][]} */
    const bad = [
      ['export default {', /^Uncaught SyntaxError: Unexpected end of input\n +at index\.js:3$/],
      ['\nthrow new RangeError("at the top")', /^Uncaught RangeError: at the top\n +at index\.js:2:7$/],
      ['import "./nowhere.js"', /^Uncaught Error: No such module "nowhere\.js"\.\n +imported from "index\.js"$/],
      ['await fetch("http://127.0.0.1/")', /^Uncaught Error: Disallowed operation called within global scope/],
    ];
    for (const [broken, message] of bad) {
      const reply = await dataPlane.call('POST', '/validate', version(broken));
      assert.equal(reply.status, 422);
      assert.equal(reply.body.error.kind, 'invalid_worker');
      assert.match(reply.body.error.message, message);
    }
    const endless = await dataPlane.call('POST', '/validate', version('while (true);'));
    assert.equal(endless.body.error.message, 'Script startup exceeded CPU time limit.');
    const noMain = await dataPlane.call('POST', '/validate', version('', { main_module: 'missing.js' }));
    assert.match(noMain.body.error.message, /No such module "missing\.js"/);
  });

  test('are tried once for each that is like another, unless it failed', async () => {
    const source = (/** @type {number} */ n) => `import { env } from 'cloudflare:workers'; if (env.BAD) throw new Error('bad ${n}'); export default { fetch() {} };`;
    const like = (/** @type {number} */ n, overrides = {}) => version(source(n), { bindings: [{ type: 'plain_text', name: 'BAD', text: '' }], ...overrides });
    const trial = async (/** @type {object} */ upload) => (await dataPlane.call('POST', '/validate', upload)).status;
    const refused = like(1, { bindings: [{ type: 'plain_text', name: 'BAD', text: 'yes' }] });
    assert.deepEqual([await trial(refused), await trial(like(1)), await trial(refused)], [422, 200, 200]);

    rmSync(join(dataPlane.stateDir, 'modules', kept(source(1)))); // what is not tried is not read
    const status = (/** @type {object} */ upload) => dataPlane.callAsItIs('/validate', upload);
    assert.equal(await status(like(1)), 200);
    for (const other of [
      { compatibility_date: '2025-05-01' },
      { compatibility_flags: ['nodejs_compat'] },
      { bindings: [] },
      { bindings: [{ type: 'secret_text', name: 'BAD', text: '' }] },
      { modules: [module('index.js', source(1)), module('other.js', source(1))] },
    ]) {
      assert.equal(await status(like(1, other)), 500, JSON.stringify(other));
    }
  });

  test('may make handles of their bindings while they are loaded, and call nothing', async () => {
    const bindings = [
      { type: 'd1', name: 'DB', id: newId() },
      { type: 'durable_object_namespace', name: 'OBJECTS', class_name: 'Counter', worker: 'w', version_id: newId() },
      { type: 'service', name: 'SERVICE', worker: 'other', version_id: newId() },
      { type: 'kv_namespace', name: 'KV', namespace_id: newId() },
      { type: 'queue', name: 'QUEUE', queue_id: newId(), delivery_delay: null },
      { type: 'r2_bucket', name: 'BUCKET', bucket_id: newId() },
      { type: 'workflow', name: 'FLOW', workflow_name: 'flow' },
      { type: 'ratelimit', name: 'LIMIT', namespace_id: '1', simple: { limit: 1, period: 10 } },
      { type: 'json', name: 'VALUE', json: { deep: [1] } },
    ];
    const loading = (/** @type {string} */ statement) =>
      version(
        `import { DurableObject, env } from 'cloudflare:workers';
         export class Counter extends DurableObject {}
         const { BUCKET, DB, OBJECTS, SERVICE, KV, QUEUE, FLOW, LIMIT, VALUE } = env;
         const handles = [DB.prepare('SELECT 1'), OBJECTS.idFromName('a'), VALUE.deep[0]];
         const methods = [BUCKET.put, SERVICE.fetch, KV.get, QUEUE.send, FLOW.create, LIMIT.limit, DB.batch];
         if (!methods.every((method) => typeof method === 'function')) throw new Error('not all are there');
         ${statement};
         export default { fetch: () => Response.json(handles.length) };`,
        { bindings },
      );
    assert.deepEqual((await dataPlane.expect('POST', '/validate', loading(''))).handlers, ['fetch']);
    for (const call of ["DB.prepare('SELECT 1').run()", "BUCKET.get('k')", "KV.get('k')", "QUEUE.send('m')", "SERVICE.fetch('http://x/')"]) {
      const reply = await dataPlane.call('POST', '/validate', loading(`await ${call}`));
      assert.match(reply.body.error.message, /^Uncaught Error: Disallowed operation called within global scope/, call);
    }
  });

  test('keep their configuration when other calls come with it, right after a start', async () => {
    const fresh = await DataPlane.start(ending);
    const free = await freePort();
    const calls = Array.from({ length: 3 }, () => fresh.query('11111111-1111-4111-8111-111111111111', 'SELECT 1'));
    await Promise.all([fresh.configure([worker('w', free, [answering('here')])]), ...calls]);
    assert.equal(await (await fetch(`http://127.0.0.1:${free}/`)).text(), 'here');
  });

  test("are nobody else's to configure", async () => {
    for (const token of ['', 'wrong']) {
      const reply = await dataPlane.call('PUT', '/config', { workers: [], queues: [], workflows: [] }, token);
      assert.equal(reply.status, 401);
    }
    assert.equal((await dataPlane.call('GET', '/nowhere')).status, 404);
    assert.equal((await dataPlane.call('PUT', '/config', { workers: 1 })).body.error.kind, 'bad_request');
  });
});
