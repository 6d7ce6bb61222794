/** Workflows: instances by the internal API and by a Worker's binding, and that they go on after any restart. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { DataPlane, Puppeteer, freePort, until, version, worker } from './data_plane.js';

/** @import { TestContext } from 'node:test' */

/** Its instances do what their params say, and report each attempt of a step to the puppeteer. */
const FLOWS = `
  import { WorkflowEntrypoint } from 'cloudflare:workers';
  import { NonRetryableError } from 'cloudflare:workflows';

  export class Flow extends WorkflowEntrypoint {
    async run(event, step) {
      const { retries = { limit: 2, delay: 10, backoff: 'constant' }, plan = [] } = event.payload;
      const outputs = [];
      for (const part of plan) {
        if (part.sleep) await step.sleep(part.name, part.sleep);
        else if (part.event) outputs.push((await step.waitForEvent(part.name, { type: part.event, timeout: '1 hour' })).payload);
        else outputs.push(await step.do(part.name, { retries }, async ({ attempt }) => {
          const report = { workflow: event.workflowName, instance: event.instanceId, step: part.name, attempt };
          const told = await (await fetch(this.env.PUPPETEER, { method: 'POST', body: JSON.stringify(report) })).json();
          if (told.final) throw new NonRetryableError('final');
          if (told.throw) throw new TypeError(told.throw);
          return part.output ?? part.name;
        }));
      }
      return outputs;
    }
  }

  export default {
    async fetch(request, env) {
      const [method, ...args] = await request.json();
      try {
        if (method === 'create' || method === 'get') return Response.json(await (await env.FLOW[method](...args)).status());
        if (method === 'createBatch') {
          const made = await env.FLOW.createBatch(...args);
          const ids = (handles) => handles.map(({ id }) => id);
          return Response.json(Array.isArray(made) ? ids(made) : { ...made, created: ids(made.created) });
        }
        if (method === 'deleteBatch') return Response.json(await env.FLOW.deleteBatch(...args));
        const instance = await env.FLOW.get(args[0]);
        await instance[method](...args.slice(1));
        return Response.json((await instance.status()).status);
      } catch (error) {
        return Response.json({ refused: error.message });
      }
    },
  };
`;

/** @param {TestContext} t */
async function show(t) {
  const dataPlane = await DataPlane.start(t);
  const puppeteer = await Puppeteer.start(t);
  const port = await freePort();
  const bindings = [
    { type: 'plain_text', name: 'PUPPETEER', text: puppeteer.url },
    { type: 'workflow', name: 'FLOW', workflow_name: 'flow' },
  ];
  const code = version(FLOWS, { bindings });
  const flow = workflow('flow', 'flows', code.id);
  const flows = worker('flows', port, [code]);
  await dataPlane.configure([flows], [], [flow]);
  return { dataPlane, puppeteer, flow, flows, port };
}

/**
 * @param {string} name
 * @param {string} scriptName
 * @param {string | null} workerVersionId
 */
function workflow(name, scriptName, workerVersionId, overrides = {}) {
  return {
    id: randomUUID(), name, version_id: randomUUID(), script_name: scriptName, class_name: 'Flow',
    worker_version_id: workerVersionId, step_limit: null, ...overrides,
  };
}

/**
 * @param {DataPlane} dataPlane
 * @param {{id: string}} flow
 * @param {string} id
 * @param {object} params
 */
function create(dataPlane, flow, id, params) {
  return dataPlane.expect('POST', `/objects/workflows/${flow.id}/create`, { instances: [{ id, params }] });
}

/**
 * @param {DataPlane} dataPlane
 * @param {{id: string}} flow
 * @param {string} id
 */
function describe(dataPlane, flow, id) {
  return dataPlane.expect('POST', `/objects/workflows/${flow.id}/describe`, { instance_id: id });
}

/**
 * @param {DataPlane} dataPlane
 * @param {{id: string}} flow
 * @param {string} id
 * @param {string} status
 */
function reaches(dataPlane, flow, id, status) {
  return until(`${id} ${status}`, async () => {
    const told = await describe(dataPlane, flow, id);
    return told.status === status ? told : null;
  });
}

/**
 * A call of the Worker's binding.
 *
 * @param {number} port
 * @param {unknown[]} call
 * @returns {Promise<any>}
 */
async function bound(port, ...call) {
  return (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: JSON.stringify(call) })).json();
}

test('an instance runs its steps and tells of them', async (t) => {
  const { dataPlane, puppeteer, flow } = await show(t);
  await create(dataPlane, flow, 'one', { plan: [{ name: 'a', output: { n: 1 } }, { name: 'nap', sleep: 20 }, { name: 'b' }] });
  const told = await reaches(dataPlane, flow, 'one', 'complete');
  assert.deepEqual(told.output, [{ n: 1 }, 'b']);
  assert.equal(told.success, true);
  assert.equal(told.trigger_source, 'api');
  assert.equal(told.version_id, flow.version_id);
  assert.deepEqual(told.steps.map((/** @type {any} */ { name, type, output }) => [name, type, output]), [
    ['a-1', 'step', '{"n":1}'],
    ['nap-1', 'sleep', undefined],
    ['b-1', 'step', '"b"'],
  ]);
  assert.deepEqual(puppeteer.deliveries.map((/** @type {any} */ { workflow, instance, step }) => [workflow, instance, step]), [
    ['flow', 'one', 'a'],
    ['flow', 'one', 'b'],
  ]);
  const { instances } = await dataPlane.expect('POST', `/objects/workflows/${flow.id}/list`, { query: { direction: 'desc', offset: 0, limit: 10 } });
  assert.equal(instances[0].status, 'complete');
});

test('a step that fails is tried again, and its instance ends errored after the last retry', async (t) => {
  const { dataPlane, puppeteer, flow } = await show(t);
  puppeteer.plan = () => ({ throw: 'no' });
  await create(dataPlane, flow, 'poison', { plan: [{ name: 'a' }] });
  const told = await reaches(dataPlane, flow, 'poison', 'errored');
  assert.deepEqual(told.error, { name: 'TypeError', message: 'no' });
  assert.deepEqual([told.success, told.output], [false, null]);
  assert.deepEqual(told.steps[0].attempts.map((/** @type {any} */ { success, error }) => [success, error.message]), [
    [false, 'no'],
    [false, 'no'],
    [false, 'no'],
  ]);
  assert.ok(told.steps[0].attempts.every((/** @type {any} */ { start, end }) => start <= end));
  assert.equal(told.steps[0].success, false);
});

test('a NonRetryableError ends the instance at once', async (t) => {
  const { dataPlane, puppeteer, flow } = await show(t);
  puppeteer.plan = () => /** @type {any} */ ({ final: true });
  await create(dataPlane, flow, 'final', { plan: [{ name: 'a' }] });
  const told = await reaches(dataPlane, flow, 'final', 'errored');
  assert.equal(told.steps[0].attempts.length, 1);
});

test('an id is taken once, and has a form', async (t) => {
  const { dataPlane, flow, port } = await show(t);
  const path = `/objects/workflows/${flow.id}/create`;
  const { created, errors } = await dataPlane.expect('POST', path, { instances: [{ id: 'a' }, { id: 'a' }, {}] });
  assert.equal(created.length, 2);
  assert.deepEqual(errors, [{ index: 1, id: 'a', reason: 'instance.duplicate_in_batch' }]);
  assert.deepEqual((await dataPlane.expect('POST', path, { instances: [{ id: 'a' }] })).errors[0].reason, 'instance.already_exists');
  for (const id of ['', '-a', 'a b', 'ä', 'a'.repeat(101), `cf_${'0'.repeat(64)}`]) {
    const { status, body } = await dataPlane.call('POST', path, { instances: [{ id }] });
    assert.deepEqual([status, body.error], [400, { kind: 'workflow', message: 'instance.invalid_id' }]);
  }
  assert.deepEqual(await bound(port, 'create', { id: 'a' }), { refused: '(instance.already_exists) Instance already exists' });
  assert.deepEqual(await bound(port, 'createBatch', [{ id: 'a' }, { id: 'b' }]), ['b']);
  assert.deepEqual(await bound(port, 'createBatch', { instances: [{ id: 'b' }, { id: 'c' }] }), {
    created: ['c'],
    errors: [{ index: 0, id: 'b', code: 10405, message: 'workflows.api.error.instance.already_exists' }],
  });
  assert.match((await bound(port, 'createBatch', [])).refused, /1 to 100/);
});

test('a binding creates, finds, watches and deletes what the API sees, and the other way round', async (t) => {
  const { dataPlane, flow, port } = await show(t);
  await bound(port, 'create', { id: 'mine', params: { plan: [{ name: 'a' }] } });
  assert.equal((await reaches(dataPlane, flow, 'mine', 'complete')).trigger_source, 'binding');
  assert.deepEqual(await bound(port, 'get', 'mine'), { status: 'complete', output: ['a'] });
  assert.deepEqual(await bound(port, 'get', 'none'), { refused: '(instance.not_found) Instance does not exist' });
  assert.deepEqual(await bound(port, 'deleteBatch', ['mine', 'none']), {
    deleted: [{ id: 'mine' }],
    errors: [{ id: 'none', code: 10400, message: 'workflows.api.error.instance.not_found' }],
  });
  assert.deepEqual((await bound(port, 'get', 'mine')).refused, '(instance.not_found) Instance does not exist');
  await bound(port, 'create', { id: 'mine', params: {} });
  assert.deepEqual((await reaches(dataPlane, flow, 'mine', 'complete')).output, []);
});

test('a binding may come before its workflow, and outlive it', async (t) => {
  const { dataPlane, flow, flows, port } = await show(t);
  await dataPlane.configure([flows], []);
  assert.deepEqual(await bound(port, 'create', {}), { refused: '(workflow.not_found) There is no workflow flow' });
  await dataPlane.configure([flows], [], [flow]);
  assert.equal((await bound(port, 'create', { id: 'a' })).refused, undefined);
});

test('an instance is paused, resumed, terminated and restarted', async (t) => {
  const { dataPlane, puppeteer, flow, port } = await show(t);
  await create(dataPlane, flow, 'a', { plan: [{ name: 'first' }, { name: 'nap', sleep: 1500 }, { name: 'last' }] });
  await reaches(dataPlane, flow, 'a', 'waiting');
  /** @param {string} command */
  const command = (command, options = {}) =>
    dataPlane.call('POST', `/objects/workflows/${flow.id}/command`, { instance_id: 'a', command, options });
  await command('pause');
  await reaches(dataPlane, flow, 'a', 'paused');
  await command('resume');
  await reaches(dataPlane, flow, 'a', 'complete');
  assert.deepEqual(puppeteer.deliveries.map((/** @type {any} */ { step }) => step), ['first', 'last']);

  assert.deepEqual((await command('terminate')).body.error, { kind: 'workflow', message: 'instance.cannot_terminate' });
  await command('restart');
  await reaches(dataPlane, flow, 'a', 'waiting');
  assert.equal(await bound(port, 'terminate', 'a'), 'terminated');
  const told = await reaches(dataPlane, flow, 'a', 'terminated');
  assert.deepEqual(told.steps.at(-1), { type: 'termination', trigger: { source: 'api' } });
  const { counts } = await dataPlane.expect('POST', `/objects/workflows/${flow.id}/summary`, {});
  assert.deepEqual(counts, { terminated: 1 });
});

test('a command that comes right after the creation is obeyed', async (t) => {
  const { dataPlane, flow } = await show(t);
  const ids = Array.from({ length: 10 }, (_, index) => `${index}`);
  for (const { command, status } of [{ command: 'pause', status: 'paused' }, { command: 'terminate', status: 'terminated' }]) {
    await Promise.all(ids.map(async (number) => {
      const id = `${command}-${number}`;
      await create(dataPlane, flow, id, { plan: [{ name: 'nap', sleep: '1 hour' }] });
      await dataPlane.expect('POST', `/objects/workflows/${flow.id}/command`, { instance_id: id, command });
    }));
    for (const number of ids) await reaches(dataPlane, flow, `${command}-${number}`, status);
  }
});

test('an event wakes an instance that waits for it', async (t) => {
  const { dataPlane, flow, port } = await show(t);
  for (const id of ['a', 'b']) await create(dataPlane, flow, id, { plan: [{ name: 'wait', event: 'go' }] });
  await reaches(dataPlane, flow, 'a', 'waiting');
  await dataPlane.expect('POST', `/objects/workflows/${flow.id}/sendEvent`, { instance_id: 'a', type: 'go', payload: { n: 1 } });
  const told = await reaches(dataPlane, flow, 'a', 'complete');
  assert.deepEqual(told.output, [{ n: 1 }]);
  assert.deepEqual([told.steps[0].type, told.steps[0].event_type, told.steps[0].finished], ['waitForEvent', 'go', true]);
  await reaches(dataPlane, flow, 'b', 'waiting');
  await bound(port, 'sendEvent', 'b', { type: 'go', payload: 2 });
  assert.deepEqual((await reaches(dataPlane, flow, 'b', 'complete')).output, [2]);
});

test('instances are listed by status, time and page', async (t) => {
  const { dataPlane, flow } = await show(t);
  for (const id of ['a', 'b', 'c']) await create(dataPlane, flow, id, {});
  await create(dataPlane, flow, 'd', { plan: [{ name: 'nap', sleep: '1 hour' }] });
  for (const id of ['a', 'b', 'c']) await reaches(dataPlane, flow, id, 'complete');
  /** @param {object} query */
  const list = async (query) => {
    const body = { query: { direction: 'desc', offset: 0, limit: 10, ...query } };
    const { total, instances } = await dataPlane.expect('POST', `/objects/workflows/${flow.id}/list`, body);
    return [total, instances.map((/** @type {any} */ { id }) => id).join('')];
  };
  assert.deepEqual(await list({}), [4, 'dcba']);
  assert.deepEqual(await list({ direction: 'asc', offset: 1, limit: 2 }), [4, 'bc']);
  assert.deepEqual(await list({ status: 'complete', limit: 2 }), [3, 'cb']);
  assert.deepEqual(await list({ status: 'waiting' }), [1, 'd']);
  assert.deepEqual(await list({ date_start_ms: Date.now() + 1000 }), [0, '']);
});

/**
 * Sleeping, waiting, between two attempts, in an attempt, paused, and over.
 *
 * @param {Awaited<ReturnType<typeof show>>} stage
 */
async function inEveryState({ dataPlane, puppeteer, flow }) {
  let blocked = true;
  let letPause = () => {};
  let letFail = () => {};
  puppeteer.plan = (/** @type {any} */ { instance, attempt, step }) => {
    if (instance === 'attempting' && blocked) return new Promise(() => {});
    // both held, so that on no machine, however slow, a second attempt or the end comes before the others are ready
    const held = step === 'first' && attempt === 1;
    if (instance === 'retrying' && held) return new Promise((resolve) => (letFail = () => resolve({ throw: 'not yet' })));
    if (instance === 'paused' && held) return new Promise((resolve) => (letPause = () => resolve({})));
    return {};
  };
  const first = { name: 'first' };
  const last = { name: 'last' };
  const slow = { limit: 1, delay: 1500, backoff: 'constant' };
  await create(dataPlane, flow, 'waiting', { plan: [first, { name: 'wait', event: 'go' }, last] });
  await create(dataPlane, flow, 'retrying', { retries: slow, plan: [{ name: 'first' }, last] });
  await create(dataPlane, flow, 'attempting', { plan: [{ name: 'first' }, last] });
  await create(dataPlane, flow, 'paused', { plan: [first, { name: 'nap', sleep: 100 }, last] });
  await create(dataPlane, flow, 'over', { plan: [first] });
  await create(dataPlane, flow, 'sleeping', { plan: [first, { name: 'nap', sleep: 1500 }, last] });
  await reaches(dataPlane, flow, 'sleeping', 'waiting');
  await until('an attempt of each', () => puppeteer.deliveries.length >= 6);
  await dataPlane.expect('POST', `/objects/workflows/${flow.id}/command`, { instance_id: 'paused', command: 'pause' });
  await reaches(dataPlane, flow, 'paused', 'waitingForPause');
  letPause();
  await reaches(dataPlane, flow, 'waiting', 'waiting');
  await reaches(dataPlane, flow, 'paused', 'paused');
  await reaches(dataPlane, flow, 'over', 'complete');
  letFail();
  await until('a failure', async () => (await describe(dataPlane, flow, 'retrying')).steps[0].attempts[0].end);
  return () => {
    blocked = false;
    return puppeteer.deliveries.length;
  };
}

/**
 * Each goes on by itself where it was: what was done is not done again, and times are kept.
 *
 * @param {Awaited<ReturnType<typeof show>>} stage
 * @param {number} before deliveries before the restart
 */
async function goOn({ dataPlane, puppeteer, flow }, before) {
  await reaches(dataPlane, flow, 'attempting', 'complete');
  const sleeping = await reaches(dataPlane, flow, 'sleeping', 'complete');
  const retrying = await reaches(dataPlane, flow, 'retrying', 'complete');
  assert.equal((await describe(dataPlane, flow, 'paused')).status, 'paused');
  assert.equal((await describe(dataPlane, flow, 'waiting')).status, 'waiting');
  await dataPlane.expect('POST', `/objects/workflows/${flow.id}/sendEvent`, { instance_id: 'waiting', type: 'go', payload: 1 });
  await dataPlane.expect('POST', `/objects/workflows/${flow.id}/command`, { instance_id: 'paused', command: 'resume' });
  await reaches(dataPlane, flow, 'waiting', 'complete');
  await reaches(dataPlane, flow, 'paused', 'complete');

  const nap = sleeping.steps[1];
  assert.ok(Date.parse(nap.end) - Date.parse(nap.start) >= 1490, JSON.stringify(nap));
  const [one, two] = retrying.steps[0].attempts;
  assert.deepEqual([one.success, two.success, retrying.steps[0].attempts.length], [false, true, 2]);
  assert.ok(Date.parse(two.start) - Date.parse(one.end) >= 1490, JSON.stringify([one, two]));
  const [interrupted, second] = (await describe(dataPlane, flow, 'attempting')).steps[0].attempts;
  assert.deepEqual([interrupted.success, interrupted.error.name, second.success], [false, 'WorkflowInternalError', true]);
  const again = puppeteer.deliveries.slice(before).filter((/** @type {any} */ { step }) => step === 'first');
  assert.deepEqual(again.map((/** @type {any} */ { instance }) => instance).sort(), ['attempting', 'retrying']);
}

test('workerd killed: instances go on by themselves', async (t) => {
  const stage = await show(t);
  const unblock = await inEveryState(stage);
  const pids = async () => [await stage.dataPlane.storePid(), ...(await stage.dataPlane.processes()).map((one) => one.pid)];
  const killed = /** @type {number[]} */ (await pids());
  const before = unblock();
  for (const pid of killed) process.kill(pid, 'SIGKILL');
  await until('another workerd', async () => (await pids()).every((pid) => pid && !killed.includes(pid)));
  await goOn(stage, before);
});

test('node killed: instances go on after the next start', async (t) => {
  const stage = await show(t);
  const unblock = await inEveryState(stage);
  await stage.dataPlane.kill();
  const before = unblock();
  await stage.dataPlane.start();
  await stage.dataPlane.configure([stage.flows], [], [stage.flow]);
  await goOn(stage, before);
});

test('new code: attempts may end before the reload, and instances go on in the new version', async (t) => {
  const stage = await show(t);
  const { dataPlane, puppeteer, flow, flows, port } = stage;
  let letGo = () => {};
  puppeteer.plan = () => new Promise((resolve) => (letGo = () => resolve({})));
  await create(dataPlane, flow, 'a', { plan: [{ name: 'first' }, { name: 'wait', event: 'go' }, { name: 'last' }] });
  await until('the attempt', () => puppeteer.deliveries.length === 1);
  const [old] = /** @type {any[]} */ (flows.versions);
  const next = version(FLOWS.replace('part.output ?? part.name', '"new " + part.name'), { bindings: old.bindings });
  const applied = dataPlane.configure([worker('flows', port, [next])], [], [{ ...flow, worker_version_id: next.id }]);
  setTimeout(() => {
    letGo();
    puppeteer.plan = () => ({}); // the next step may come before the reload has been told of
  }, 200);
  await applied;
  await reaches(dataPlane, flow, 'a', 'waiting');
  await dataPlane.expect('POST', `/objects/workflows/${flow.id}/sendEvent`, { instance_id: 'a', type: 'go', payload: 1 });
  const told = await reaches(dataPlane, flow, 'a', 'complete');
  assert.deepEqual(told.output, ['first', 1, 'new last']);
  assert.equal(told.steps[0].attempts.length, 1);
});

test('without code, instances stay where they are', async (t) => {
  const { dataPlane, puppeteer, flow, flows } = await show(t);
  const nap_ms = 6_000; // longer than a slow machine takes to configure it
  await create(dataPlane, flow, 'a', { plan: [{ name: 'nap', sleep: nap_ms }, { name: 'last' }] });
  await reaches(dataPlane, flow, 'a', 'waiting');
  await dataPlane.configure([], [], [{ ...flow, worker_version_id: null }]);
  await create(dataPlane, flow, 'b', { plan: [{ name: 'last' }] });
  await new Promise((resolve) => setTimeout(resolve, nap_ms + 1_000));
  assert.equal((await describe(dataPlane, flow, 'a')).status, 'waiting');
  assert.equal((await describe(dataPlane, flow, 'b')).status, 'queued');
  assert.deepEqual(puppeteer.deliveries, []);
  await dataPlane.configure([flows], [], [flow]);
  await reaches(dataPlane, flow, 'a', 'complete');
  await reaches(dataPlane, flow, 'b', 'complete');
});

test('a deleted workflow leaves no instance, also when it was deleted while nothing ran', async (t) => {
  const { dataPlane, flow, flows } = await show(t);
  const other = workflow('other', 'flows', flow.worker_version_id);
  const folder = (/** @type {{id: string}} */ { id }) => join(dataPlane.stateDir, 'resources', 'workflows', `miniflare-workflows-${id}`);
  await dataPlane.configure([flows], [], [flow, other]);
  for (const each of [flow, other]) await create(dataPlane, each, 'a', { plan: [{ name: 'nap', sleep: '1 hour' }] });
  assert.deepEqual([existsSync(folder(flow)), existsSync(folder(other))], [true, true]);
  await dataPlane.configure([flows], [], [flow]);
  await dataPlane.configure([flows], [], [flow, other]); // the change was taken back
  assert.equal((await describe(dataPlane, other, 'a')).status, 'waiting');
  await dataPlane.configure([flows], [], [flow]);
  await dataPlane.expect('DELETE', `/data/workflows/${other.id}`);
  assert.deepEqual([existsSync(folder(flow)), existsSync(folder(other))], [true, false]);
  await dataPlane.configure([flows], [], [flow, other]);
  assert.equal((await dataPlane.call('POST', `/objects/workflows/${other.id}/describe`, { instance_id: 'a' })).body.error.message, 'instance.not_found');
  await dataPlane.stop();
  await dataPlane.start();
  await dataPlane.configure([flows], [], [other]);
  assert.equal(existsSync(folder(flow)), true, 'nobody has asked for its end');
  await dataPlane.expect('DELETE', `/data/workflows/${flow.id}`);
  assert.equal(existsSync(folder(flow)), false);
});

test('instances go when their retention is over', async (t) => {
  const { dataPlane, flow, flows, port } = await show(t);
  const kept = { retention: { successRetention: '1 hour', errorRetention: 3_600_000 } };
  await dataPlane.configure([flows], [], [{ ...flow, retention: { successRetention: '1 second' } }]);
  await create(dataPlane, flow, 'goes', {});
  await dataPlane.expect('POST', `/objects/workflows/${flow.id}/create`, { instances: [{ id: 'stays', params: {}, ...kept }] });
  assert.match((await bound(port, 'create', { id: 'wrong', retention: { successRetention: 'a while' } })).refused, /retention/);
  await bound(port, 'create', { id: 'goes-too', retention: { successRetention: 1 } });
  for (const id of ['goes', 'stays', 'goes-too']) await until(`${id} ends`, async () => {
    const told = await dataPlane.call('POST', `/objects/workflows/${flow.id}/describe`, { instance_id: id });
    return told.status === 400 || told.body.status === 'complete';
  });
  const folder = join(dataPlane.stateDir, 'resources', 'workflows', `miniflare-workflows-${flow.id}`);
  const files = () => readdirSync(folder).filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name)).length;
  await until('two are gone', async () => {
    const { instances } = await dataPlane.expect('POST', `/objects/workflows/${flow.id}/list`, { query: { direction: 'asc', offset: 0, limit: 10 } });
    return instances.length === 1 && instances[0].id === 'stays' && files() === 1;
  });
  await create(dataPlane, flow, 'goes', {});
  await reaches(dataPlane, flow, 'goes', 'complete');
});

test('no more instances run at once than the workflow lets', async (t) => {
  const { dataPlane, puppeteer, flow, flows } = await show(t);
  await dataPlane.configure([flows], [], [{ ...flow, concurrency: 2 }]);
  puppeteer.plan = () => new Promise((resolve) => setTimeout(() => resolve({}), 300));
  const ids = ['a', 'b', 'c', 'd', 'e'];
  await dataPlane.expect('POST', `/objects/workflows/${flow.id}/create`, {
    instances: [{ id: 'sleeps', params: { plan: [{ name: 'pause', sleep: '1 hour' }] } }, ...ids.map((id) => ({ id, params: { plan: [{ name: 'work' }] } }))],
  });
  assert.equal((await describe(dataPlane, flow, 'e')).status, 'queued');
  for (const id of ids) await reaches(dataPlane, flow, id, 'complete');
  assert.equal(puppeteer.mostRunning, 2, 'one that sleeps does not count');
});
