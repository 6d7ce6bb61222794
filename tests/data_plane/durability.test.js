/** kill -9, at either process: nothing acknowledged is lost, nothing is left behind, and the work goes on by itself. */

import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { randomUUID } from 'node:crypto';

import {
  DataPlane,
  PUPPET,
  Puppeteer,
  freePort,
  isRunning,
  newId,
  pullConsumer,
  queue,
  sleep,
  until,
  version,
  worker,
  workerConsumer,
} from './data_plane.js';

/** @import { TestContext } from 'node:test' */

/** @type {string} */
const WORKERD = createRequire(createRequire(import.meta.url).resolve('miniflare'))('workerd').default;

/** @param {TestContext} t */
async function puppetShow(t) {
  const dataPlane = await DataPlane.start(t);
  const puppeteer = await Puppeteer.start(t);
  const port = await freePort();
  const id = newId();
  const databaseId = randomUUID();
  const bindings = [
    { type: 'plain_text', name: 'NAME', text: 'puppet' },
    { type: 'plain_text', name: 'PUPPETEER', text: puppeteer.url },
    { type: 'queue', name: 'QUEUE', queue_id: id, delivery_delay: null },
    { type: 'd1', name: 'DB', id: databaseId },
  ];
  const puppet = worker('puppet', port, [version(PUPPET, { bindings })]);
  return { dataPlane, puppeteer, port, id, databaseId, puppet };
}

/** @param {number} port */
function isListening(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

/** Ports that a process listens on, by /proc; none where there is no /proc. @param {number} pid */
function listeningPorts(pid) {
  try {
    const inodes = new Set(
      readdirSync(`/proc/${pid}/fd`).map((fd) => {
        try {
          return /socket:\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        } catch {
          return undefined;
        }
      }),
    );
    return readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[3] === '0A' && inodes.has(columns[9]))
      .map((columns) => parseInt(columns[1]?.split(':')[1] ?? '', 16));
  } catch {
    return [];
  }
}

test('workerd killed: its batch is delivered again without any request, and rows and messages are there', async (t) => {
  const { dataPlane, puppeteer, port, id, databaseId, puppet } = await puppetShow(t);
  await dataPlane.configure([puppet], [queue(id, workerConsumer('puppet'))]);
  await dataPlane.query(databaseId, 'CREATE TABLE t (a INTEGER)');
  await dataPlane.query(databaseId, 'INSERT INTO t VALUES (?)', [42]);
  let blocked = true;
  puppeteer.plan = () => (blocked ? new Promise(() => {}) : {});
  await dataPlane.send(id, ['in flight']);
  await until('the delivery', () => puppeteer.deliveries.length === 1);

  blocked = false;
  process.kill(await dataPlane.storePid(), 'SIGKILL');
  await until('the second delivery', () => puppeteer.deliveries.length === 2);
  assert.deepEqual(puppeteer.deliveries[1]?.messages[0]?.attempts, 2);
  assert.deepEqual(await dataPlane.query(databaseId, 'SELECT a FROM t'), [{ a: 42 }]);
  await until('an empty queue', async () => (await dataPlane.backlog(id)) === 0);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'puppet');
});

test('workerd killed: requests wait for the next one', async (t) => {
  const { dataPlane, port, id, puppet } = await puppetShow(t);
  await dataPlane.configure([puppet], [queue(id, null)]);
  const before = await dataPlane.storePid();
  process.kill(before, 'SIGKILL');
  await until('its end', () => !isRunning(before)); // what it has accepted by then, it takes with it
  const answers = await Promise.all(
    Array.from(
      { length: 5 },
      async () => (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).status,
    ),
  );
  assert.deepEqual(answers, [200, 200, 200, 200, 200]);
  assert.notEqual(await dataPlane.storePid(), before);
});

test('node killed: workerd ends with it, no port is held, and the next start goes on', async (t) => {
  const { dataPlane, puppeteer, port, id, databaseId, puppet } = await puppetShow(t);
  const deadLetters = newId();
  const consumer = workerConsumer('puppet', { max_retries: 0, dead_letter_queue_id: deadLetters });
  const state = [queue(id, consumer), queue(deadLetters, pullConsumer())];
  await dataPlane.configure([puppet], state);
  await dataPlane.query(databaseId, 'CREATE TABLE t (a INTEGER)');
  puppeteer.plan = ({ messages }) => (messages[0]?.body === 'stuck' ? new Promise(() => {}) : {});
  await dataPlane.send(id, ['stuck']);
  await until('the delivery', () => puppeteer.deliveries.length === 1);
  await dataPlane.send(id, ['delayed'], 1);
  await dataPlane.query(databaseId, 'INSERT INTO t VALUES (7)');

  const workerd = await dataPlane.storePid();
  const ports = [port, ...listeningPorts(workerd)];
  await dataPlane.kill();
  await until('the end of workerd', () => !isRunning(workerd));
  assert.deepEqual(
    await Promise.all(ports.map(isListening)),
    ports.map(() => false),
  );

  await dataPlane.start();
  await dataPlane.configure([puppet], state);
  await until('the delayed message', () => puppeteer.deliveries.length === 2);
  // The other's only attempt was made: it is not delivered again, and not lost.
  await until('the dead letter', async () => (await dataPlane.backlog(deadLetters)) === 1);
  assert.deepEqual(puppeteer.bodies, ['stuck', 'delayed']);
  assert.deepEqual(await dataPlane.query(databaseId, 'SELECT a FROM t'), [{ a: 7 }]);
});

test(
  'node killed: workerd ends with it where there is no setpriv',
  { skip: process.platform === 'win32' },
  async (t) => {
    const dataPlane = new DataPlane();
    t.after(() => dataPlane.remove());
    const path = join(dataPlane.stateDir, 'bin');
    mkdirSync(path);
    symlinkSync('/bin/sleep', join(path, 'sleep'));
    await dataPlane.start({ PATH: path });
    await dataPlane.configure([]);
    const workerd = await dataPlane.storePid();
    await dataPlane.kill();
    await until('the end of workerd', () => !isRunning(workerd));
  },
);

test('workerd killed again and again under load: every acknowledged message arrives', async (t) => {
  const { dataPlane, puppeteer, port, id, puppet } = await puppetShow(t);
  const deadLetters = newId();
  const consumer = workerConsumer('puppet', { max_retries: 1, dead_letter_queue_id: deadLetters });
  await dataPlane.configure([puppet], [queue(id, consumer), queue(deadLetters, null)]);
  puppeteer.plan = ({ messages }) => ({
    retry: messages.flatMap(({ body }, index) => (body.poison ? [{ index }] : [])),
  });
  /** @type {number[]} */
  const acknowledged = [];
  let sending = true;
  const senders = [0, 1, 2, 3].map(async (sender) => {
    for (let n = 0; sending; n += 1) {
      const number = sender * 1_000_000 + n;
      const body = JSON.stringify({ body: { number, poison: n % 10 === 0 } });
      const response = await fetch(`http://127.0.0.1:${port}/send`, { method: 'POST', body }).catch(() => null);
      if (response?.ok) acknowledged.push(number);
    }
  });
  const fortyMore = () => {
    const enough = acknowledged.length + 40;
    return until('forty more are acknowledged', () => acknowledged.length >= enough);
  };
  for (let i = 0; i < 3; i += 1) {
    await fortyMore();
    process.kill(await dataPlane.storePid(), 'SIGKILL');
  }
  await fortyMore();
  sending = false;
  await Promise.all(senders);
  await until('an empty queue', async () => (await dataPlane.backlog(id)) === 0);
  await sleep(200);

  const { messages } = await dataPlane.expect('POST', `/objects/queues/${deadLetters}/peek`, { batch_size: 100_000 });
  const dead = messages.map((/** @type {any} */ { body_base64 }) => JSON.parse(atob(body_base64)).number);
  assert.equal(new Set(dead).size, dead.length, 'a dead letter came twice');
  const seen = new Set(puppeteer.bodies.filter(({ poison }) => !poison).map(({ number }) => number));
  const lost = acknowledged.filter((number) => !(number % 10 === 0 ? dead.includes(number) : seen.has(number)));
  assert.ok(acknowledged.length > 100, `only ${acknowledged.length} were sent`);
  assert.deepEqual(lost, []);
});

/**
 * A data plane whose workerd is started by a script.
 *
 * @param {TestContext} t
 * @param {string} lines of shell, run in a folder of the script's before each start
 */
async function scripted(t, lines) {
  const folder = mkdtempSync(join(tmpdir(), 'workerd-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const script = `#!/bin/sh\n(cd "$FOLDER" || exit\n${lines}) || kill -9 $$\nexec "$REAL_WORKERD" "$@"\n`;
  writeFileSync(join(folder, 'workerd'), script, { mode: 0o700 });
  const environment = { WORKERD_BINARY: join(folder, 'workerd'), REAL_WORKERD: WORKERD, FOLDER: folder };
  const dataPlane = new DataPlane();
  t.after(() => dataPlane.remove());
  await dataPlane.start(environment);
  return { dataPlane, folder, environment };
}

/** Once the ports of the last workerd are in a file, somebody else takes them before the next one. */
const ROBBERY = `
if mv ports wanted 2> /dev/null; then
  ./node robber.js < /dev/null > /dev/null 2>&1 3>&- &
  while [ ! -f robber.pid ]; do sleep 0.05; done
fi
`;
const ROBBER = `
const { readFileSync, writeFileSync } = require('node:fs');
const { createServer } = require('node:net');
const ports = JSON.parse(readFileSync('wanted', 'utf8'));
const listening = (port) => new Promise((resolve) => createServer().listen(port, '127.0.0.1', resolve));
Promise.all(ports.map(listening)).then(() => writeFileSync('robber.pid', String(process.pid)));
`;

test('a workerd that comes back from a crash and finds its ports taken takes others', { skip: process.platform !== 'linux' }, async (t) => {
  const { dataPlane, folder } = await scripted(t, ROBBERY);
  symlinkSync(process.execPath, join(folder, 'node'));
  writeFileSync(join(folder, 'robber.js'), ROBBER);
  const port = await freePort();
  const id = newId();
  const bindings = [{ type: 'plain_text', name: 'NAME', text: 'served' }];
  await dataPlane.configure([worker('robbed', port, [version(PUPPET, { bindings })])], [queue(id, null)]);
  await dataPlane.send(id, ['kept']);
  const answer = async () => (await fetch(`http://127.0.0.1:${port}/`)).text();
  assert.equal(await answer(), 'served');

  for (const pid of [await dataPlane.storePid(), await dataPlane.workerPid('robbed')]) {
    writeFileSync(join(folder, 'ports'), JSON.stringify(listeningPorts(pid)));
    process.kill(pid, 'SIGKILL');
    const robber = await until('the robber', () => (existsSync(join(folder, 'robber.pid')) ? Number(readFileSync(join(folder, 'robber.pid'), 'utf8')) : 0));
    assert.equal(await dataPlane.backlog(id), 1);
    assert.equal(await answer(), 'served');
    process.kill(robber);
    rmSync(join(folder, 'robber.pid'));
    rmSync(join(folder, 'wanted'));
  }
});

const WAITING = `
  import { WorkflowEntrypoint } from 'cloudflare:workers';
  export class Flow extends WorkflowEntrypoint {
    async run(event, step) { await step.waitForEvent('event', { type: 'event', timeout: '1 hour' }); }
  }
  export default {};
`;

test('workerd killed while it comes back: it is no refusal, and queues and workflows keep what they have', async (t) => {
  const { dataPlane, folder, environment } = await scripted(t, 'if rm doomed 2> /dev/null; then exit 1; fi');
  const [id, workflowId] = [newId(), newId()];
  const code = version(WAITING);
  const state = {
    workers: [worker('flow', await freePort(), [code])],
    queues: [queue(id, null)],
    workflows: [
      {
        id: workflowId,
        name: 'flow',
        class_name: 'Flow',
        script_name: 'flow',
        version_id: newId(),
        worker_version_id: code.id,
      },
    ],
  };
  await dataPlane.expect('PUT', '/config', state);
  await dataPlane.send(id, ['kept']);
  await dataPlane.expect('POST', `/objects/workflows/${workflowId}/create`, { instances: [{ id: 'kept' }] });

  await dataPlane.kill();
  writeFileSync(join(folder, 'doomed'), '');
  await dataPlane.start(environment);
  const refused = await dataPlane.call('PUT', '/config', state);
  assert.equal(refused.status, 500);
  assert.equal(refused.body.error.kind, 'internal');

  await dataPlane.expect('PUT', '/config', state);
  assert.equal(await dataPlane.backlog(id), 1);
  const { total } = await dataPlane.expect('POST', `/objects/workflows/${workflowId}/list`, { query: { offset: 0, limit: 10 } });
  assert.equal(total, 1);
});

test('workerd killed before it has read its configuration: nobody waits for it', async (t) => {
  const { dataPlane, folder } = await scripted(t, 'if rm doomed 2> /dev/null; then sleep 0.5; kill -9 $$; fi');
  const large = `export default { fetch: () => new Response('${'x'.repeat(2_000_000)}') }`;
  const largeWorker = worker('large', await freePort(), [version(large)]);
  for (let i = 0; i < 5; i += 1) {
    writeFileSync(join(folder, 'doomed'), '');
    const refused = await dataPlane.call('PUT', '/config', { workers: [largeWorker], queues: [], workflows: [] });
    assert.equal(refused.body.error.kind, 'internal');
  }
  await dataPlane.configure([largeWorker]);
});

test('a call before the first configuration deletes nothing', async (t) => {
  const dataPlane = await DataPlane.start(t);
  const id = newId();
  await dataPlane.configure([], [queue(id, null)]);
  await dataPlane.send(id, ['kept']);
  await dataPlane.kill();
  await dataPlane.start();
  await dataPlane.query(randomUUID(), 'SELECT 1');
  await dataPlane.configure([], [queue(id, null)]);
  assert.equal(await dataPlane.backlog(id), 1);
});

test('what a configuration does not name keeps its data; only a delete takes them', async (t) => {
  const { dataPlane, id } = await puppetShow(t);
  const [kept, workflowId] = [newId(), newId()];
  const { flow, ...state } = await flowState([id, kept], workflowId);
  await dataPlane.expect('PUT', '/config', state);
  for (const queueId of [id, kept]) await dataPlane.send(queueId, ['message']);
  await dataPlane.expect('POST', `/objects/workflows/${workflowId}/create`, { instances: [{ id: 'kept' }] });
  const left = async () => [await dataPlane.backlog(id), await dataPlane.backlog(kept), await instances(dataPlane, workflowId)];

  for (const stop of [async () => {}, () => dataPlane.stop(), () => dataPlane.kill()]) {
    await stop();
    if (!isRunning(dataPlane.pid)) await dataPlane.start();
    await dataPlane.configure([]);
    await dataPlane.expect('PUT', '/config', state);
    assert.deepEqual(await left(), [1, 1, 1]);
  }
  await dataPlane.configure([flow], [queue(kept, null)]);
  await dataPlane.expect('DELETE', `/data/queues/${id}`);
  await dataPlane.expect('DELETE', `/data/workflows/${workflowId}`);
  await dataPlane.expect('PUT', '/config', state);
  assert.deepEqual(await left(), [0, 1, 0]);
});

/** The named moments of fault_points.js, in order. A start passes the first ones as well. */
const MOMENTS = /** @type {const} */ ([
  'listening',
  'change: received',
  'change: ports open',
  'change: store started',
  'change: processes started',
  'change: routed',
  'change: told',
  'change: done',
]);

for (const moment of MOMENTS) {
  test(`node killed at "${moment}" of a start and of a change: what was acknowledged is there`, async (t) => {
    const faults = mkdtempSync(join(tmpdir(), 'faults-'));
    t.after(() => rmSync(faults, { recursive: true }));
    const environment = { EPHEMERA_FAULT_POINTS: faults };
    const dataPlane = new DataPlane();
    t.after(() => dataPlane.remove());
    const [id, other, workflowId] = [newId(), newId(), newId()];
    const { flow: _flow, ...state } = await flowState([id], workflowId);
    const changed = { ...(await flowState([id, other], workflowId)), flow: undefined };
    await dataPlane.start(environment);
    await dataPlane.expect('PUT', '/config', state);
    await dataPlane.send(id, [1, 2, 3, 4, 5]);
    await dataPlane.expect('POST', `/objects/workflows/${workflowId}/create`, { instances: [{ id: 'kept' }] });
    const assertKept = async () => {
      assert.equal(await dataPlane.backlog(id), 5);
      assert.equal(await instances(dataPlane, workflowId), 1);
    };

    /** @param {() => Promise<unknown>} action which ends at the moment */
    const killedDuring = async (action) => {
      writeFileSync(join(faults, moment), '');
      await action().catch(() => {});
      await dataPlane.ended();
      assert.deepEqual(readdirSync(faults), []);
    };
    await dataPlane.stop();
    await killedDuring(async () => {
      await dataPlane.start(environment);
      await dataPlane.expect('PUT', '/config', state);
    });
    await dataPlane.start(environment);
    await dataPlane.expect('PUT', '/config', state);
    await assertKept();

    if (moment === 'listening') return; // a change does not pass it
    await killedDuring(() => dataPlane.expect('PUT', '/config', changed));
    await dataPlane.start(environment);
    await dataPlane.expect('PUT', '/config', changed);
    await assertKept();
  });
}

/**
 * A Worker with a workflow, and queues that nobody consumes.
 *
 * @param {string[]} queueIds
 * @param {string} workflowId
 */
async function flowState(queueIds, workflowId) {
  const code = version(WAITING);
  const flow = worker('flow', await freePort(), [code]);
  const workflow = { id: workflowId, name: 'flow', class_name: 'Flow', script_name: 'flow', version_id: newId() };
  return {
    flow,
    workers: [flow],
    queues: queueIds.map((id) => queue(id, null)),
    workflows: [{ ...workflow, worker_version_id: code.id, step_limit: null }],
  };
}

/**
 * How many instances a workflow has.
 *
 * @param {DataPlane} dataPlane
 * @param {string} workflowId
 * @returns {Promise<number>}
 */
async function instances(dataPlane, workflowId) {
  return (await dataPlane.expect('POST', `/objects/workflows/${workflowId}/list`, { query: { offset: 0, limit: 10 } })).total;
}

test('its parent gone: it ends, and workerd with it', async (t) => {
  const { dataPlane, puppet, id } = await puppetShow(t);
  await dataPlane.configure([puppet], [queue(id, null)]);
  const workerd = await dataPlane.storePid();
  await dataPlane.stop();
  await until('the end of workerd', () => !isRunning(workerd));
  assert.equal(isRunning(dataPlane.pid), false);
});
