/** Workers with static assets: what stands before their code lets queues, crons, WebSockets and logs through. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { DataPlane, Ending, freePort, newId, queue, until, version, worker, workerConsumer } from './data_plane.js';

const SITE = 'site';
const ASSETS = {
  site: SITE,
  run_worker_first: null,
  html_handling: null,
  not_found_handling: null,
  base_path: null,
};
const SOURCE = `export default {
  fetch(request) {
    if (request.headers.get('Upgrade') !== 'websocket') { console.log('asked'); return new Response('code'); }
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    server.addEventListener('message', ({ data }) => server.send('echo ' + data));
    return new Response(null, { status: 101, webSocket: client });
  },
  async queue(batch) { console.log('batch of ' + batch.messages[0].body); batch.ackAll(); },
}`;

describe('Workers with assets', () => {
  const ending = new Ending(after);
  /** @type {DataPlane} */ let dataPlane;
  /** @type {number} */ let port;
  /** @type {string} */ let url;

  before(async () => {
    dataPlane = await DataPlane.start(ending);
    const folder = join(dataPlane.stateDir, 'assets/sites', SITE);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'page.html'), 'page');
    port = await freePort();
    url = `http://127.0.0.1:${port}`;
  });

  const text = async (/** @type {string} */ path) => (await fetch(url + path)).text();
  const said = (/** @type {string} */ line) =>
    until(line, () => dataPlane.logs.some((entry) => entry.worker === 'w' && entry.message === line));

  test('consume queues, talk over WebSockets, and log', async () => {
    const id = newId();
    const state = [queue(id, workerConsumer('w'))];
    await dataPlane.configure([worker('w', port, [version(SOURCE, { assets: ASSETS })])], state);
    assert.equal(await text('/page'), 'page');
    assert.equal(await text('/else'), 'code');
    await said('asked');
    await dataPlane.send(id, ['seven']);
    await said('batch of seven');
    await until('an empty queue', async () => (await dataPlane.backlog(id)) === 0);
    const socket = new WebSocket(url.replace('http', 'ws'));
    await once(socket, 'open');
    socket.send('hello');
    const [{ data }] = await once(socket, 'message');
    assert.equal(data, 'echo hello');
    socket.close();
  });

  test('may have objects, and nothing else to call', async () => {
    const source = `import { DurableObject } from 'cloudflare:workers'; export class Room extends DurableObject {}`;
    await dataPlane.configure([worker('w', port, [version(source, { assets: ASSETS })])]);
    assert.equal(await text('/page'), 'page');
  });

  test('may have no code', async () => {
    const alone = version('', { main_module: null, modules: [], assets: ASSETS });
    await dataPlane.configure([worker('w', port, [alone])]);
    assert.equal(await text('/page'), 'page');
    assert.equal((await fetch(`${url}/else`)).status, 404);
  });
});
