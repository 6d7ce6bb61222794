import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';

import { attemptAll as attemptAndSettle } from '../../worker/attempt.js';
import { PermanentError, requireHandlers } from '../../worker/handler.js';
import { startWorker, STORES } from './worker_under_test.js';

/** @import { HandlerModule, Handlers } from '../../worker/handler.js' */
/** @import { Parts, Settlement } from '../../worker/attempt.js' */
/** @import { Settled, Standing, Store } from '../../worker/stores/store.js' */
/** @import { AttemptName, ClaimedTask, Outcome } from '../../worker/task.js' */

const ENV = { MAX_RETRIES: '2', RETRY_DELAY_SECONDS: '10', RETRY_BACKOFF: 'exponential', RETRY_MAX_DELAY_SECONDS: '3600', API_TOKENS: 'secret', OTHER: 'open' };

/** @param {Standing} standing of every attempt */
const standingOf = (standing) => async (/** @type {AttemptName[]} */ attempts) => new Map(attempts.map(({ taskId }) => [taskId, standing]));

/** @param {Standing} standing @returns {(outcomes: Outcome[]) => Promise<Settled>} */
const settledAs = (standing) => async (outcomes) => ({ standings: await standingOf(standing)(outcomes), followUp: { runs: [], ended: [] } });

const STORE = /** @type {Store} */ (/** @type {unknown} */ ({ settling_seconds: 0, report: standingOf('superseded'), settle: settledAs('ours') }));

/**
 * @param {Partial<ClaimedTask>} [parts]
 * @returns {ClaimedTask}
 */
function task(parts) {
  return { taskId: 'task', run: 1, attempts: 1, crashes: 0, claim: 'claim', handler: 'default', parameters: {}, payload: 'payload', max_retries: null, ...parts };
}

/**
 * @param {Pick<Parts, 'store' | 'handlers' | 'env'>} parts of handlers that submit nothing
 * @param {ClaimedTask[]} tasks
 * @param {number} [end_ms]
 * @returns {Promise<Settlement[]>} in the order in which they were written
 */
async function settleAll(parts, tasks, end_ms = Date.now() + 60_000) {
  /** @type {Settlement[]} */
  const settlements = [];
  await attemptAndSettle(/** @type {Parts} */ (parts), tasks, end_ms, (settled) => settlements.push(...settled));
  return settlements;
}

/**
 * @param {Pick<Parts, 'store' | 'handlers' | 'env'>} parts
 * @param {ClaimedTask[]} tasks
 * @returns {Promise<Outcome[]>} in the order of the tasks
 */
async function attemptAll(parts, tasks) {
  const settlements = await settleAll(parts, tasks);
  return tasks.map((each) => /** @type {Settlement} */ (settlements.find(({ task }) => task === each)).outcome);
}

/**
 * @param {HandlerModule['default'] | Handlers} handlers one is the default
 * @param {Partial<ClaimedTask>[]} tasks
 */
async function attempt(handlers, ...tasks) {
  const error = mock.method(console, 'error', () => {});
  const parts = { store: STORE, handlers: typeof handlers === 'function' ? { default: { default: handlers } } : handlers, env: ENV };
  const outcomes = await attemptAll(parts, (tasks.length > 0 ? tasks : [{}]).map(task));
  error.mock.restore();
  return { outcomes, outcome: /** @type {any} */ (outcomes[0]), logged: error.mock.calls.map(({ arguments: line }) => line) };
}

test('what a handler is told', async () => {
  const { outcome } = await attempt((payload, context) => {
    assert.ok(Object.isFrozen(context.bindings));
    assert.equal(context.signal.aborted, false);
    const { taskId, attempt: number, parameters, bindings } = context;
    return { payload, taskId, number, parameters, bindings: Object.keys(bindings) };
  }, { attempts: 2, run: 3, parameters: { size: '10' } });
  assert.deepEqual([outcome.taskId, outcome.run, outcome.attempts, outcome.status], ['task', 3, 2, 'completed']);
  assert.deepEqual(JSON.parse(outcome.result), {
    payload: 'payload', taskId: 'task', number: 2, parameters: { size: '10' },
    bindings: ['MAX_RETRIES', 'RETRY_DELAY_SECONDS', 'RETRY_BACKOFF', 'RETRY_MAX_DELAY_SECONDS', 'OTHER'],
  });
});

test('a handler that looks at its signal only after its time finds it aborted', async () => {
  const { promise: seen, resolve } = Promise.withResolvers();
  /** @type {HandlerModule['default']} */
  const late = async (_payload, context) => {
    await setTimeout(30);
    resolve(context.signal.reason);
  };
  const { outcome } = await attempt({ default: { default: late, timeout_seconds: 0.01 } });
  assert.equal(outcome.error.name, 'TimeoutError');
  assert.equal((await seen).name, 'TimeoutError');
});

test('its log names the attempt', async () => {
  const levels = /** @type {const} */ (['debug', 'info', 'warn', 'error']);
  const spies = levels.map((level) => mock.method(console, level, () => {}));
  /** @type {HandlerModule['default']} */
  const chatter = (_, { log }) => levels.forEach((level) => log[level]('at work', { size: 1 }));
  await attemptAll({ store: STORE, handlers: { default: { default: chatter } }, env: ENV }, [task()]);
  for (const spy of spies) {
    assert.deepEqual(spy.mock.calls.map((call) => call.arguments), [['at work', { taskId: 'task', handler: 'default', attempt: 1, size: 1 }]]);
    spy.mock.restore();
  }
});

test('an attempt that fails is followed by another one, after its backoff', async () => {
  const before_ms = Date.now();
  const { outcome, logged } = await attempt(() => { throw new RangeError('cannot do the payload'); });
  const { next_attempt_ms, ended_ms, story, ...rest } = outcome;
  const [told] = JSON.parse(story);
  assert.deepEqual([told.run, told.attempt, told.end, told.error.name, told.error.cause], [1, 1, 'failed', 'RangeError', null]);
  assert.match(told.error.stack, /^at .*attempt\.test\.js:\d+:\d+/);
  assert.ok(ended_ms >= before_ms && ended_ms <= Date.now());
  const error = { name: 'RangeError', message: 'cannot do the payload' };
  assert.deepEqual(rest, { taskId: 'task', run: 1, attempts: 1, crashes: 0, claim: 'claim', progress: null, status: 'pending', error });
  assert.ok(next_attempt_ms >= before_ms + 5_000 && next_attempt_ms <= Date.now() + 10_000);
  assert.deepEqual(logged, [['attempt failed', { taskId: 'task', handler: 'default', attempts: 1, status: 'pending', error: 'RangeError' }]]);
});

test('the last attempt is the one after the retries, those of the task before those of the stack', async () => {
  const fail = () => Promise.reject(new Error('no'));
  const tasks = [{ attempts: 2 }, { attempts: 3 }, { attempts: 1, max_retries: 0 }, { attempts: 3, max_retries: 3 }, { attempts: 4, max_retries: 3 }];
  const { outcomes } = await attempt(fail, ...tasks);
  assert.deepEqual(outcomes.map(({ status }) => status), ['pending', 'failed', 'failed', 'pending', 'failed']);
  assert.ok(!('next_attempt_ms' in /** @type {object} */ (outcomes[1])));
});

test('an attempt that has lost its task is logged as stopped, not as failed', async () => {
  const warn = mock.method(console, 'warn', () => {});
  const { logged } = await attempt((_, { signal }) => new Promise((resolve) => { signal.addEventListener('abort', resolve); }));
  assert.deepEqual(logged, []);
  const attributes = { taskId: 'task', handler: 'default', attempts: 1, reason: 'Cancelled' };
  assert.deepEqual(warn.mock.calls.map(({ arguments: line }) => line), [['attempt stopped', attributes]]);
  warn.mock.restore();
});

test('a handler may say when it is to be run again', async () => {
  for (const [asked, seconds] of /** @type {[unknown, [number, number]][]} */ ([
    [90, [90, 90]], [0, [0, 0]], [0.5, [1, 1]], [1e9, [86_400, 86_400]], [-1, [5, 10]], [NaN, [5, 10]], ['9', [5, 10]],
  ])) {
    const before_ms = Date.now();
    const { outcome } = await attempt(() => { throw Object.assign(new Error('later'), { retry_after_seconds: asked }); });
    const waits_seconds = (outcome.next_attempt_ms - before_ms) / 1000;
    assert.ok(waits_seconds >= seconds[0] && waits_seconds < seconds[1] + 1, `${asked}: ${waits_seconds}`);
  }
});

test('after a permanent error there is no other attempt', async () => {
  for (const thrown of [new PermanentError('never'), Object.assign(new Error('never'), { permanent: true }), { permanent: true }]) {
    assert.equal((await attempt(() => { throw thrown; })).outcome.status, 'failed');
  }
  for (const thrown of [Object.assign(new Error('later'), { permanent: 'no' }), null, undefined, 'text', Object.create(null)]) {
    assert.equal((await attempt(() => { throw thrown; })).outcome.status, 'pending');
  }
});

test('nor where the handler is not there any more', async () => {
  for (const handler of ['gone', 'constructor']) {
    const { outcome } = await attempt(() => null, { handler });
    assert.deepEqual([outcome.status, outcome.error], ['failed', { name: 'UnknownHandler', message: `there is no handler ${handler} any more` }]);
  }
});

test('attempts run at the same time, each on its own, and their outcomes are in order', async () => {
  /** @type {((value: string) => void)[]} */
  const waiting = [];
  const { outcomes } = await attempt((payload) => {
    if (payload === 'bad') throw new Error('no');
    if (payload === 'last') for (const go of waiting.reverse()) go('went');
    return payload === 'last' ? 'last' : new Promise((resolve) => waiting.push(resolve));
  }, { taskId: 'a' }, { taskId: 'b', payload: 'bad' }, { taskId: 'c' }, { taskId: 'd', payload: 'last' });
  assert.deepEqual(outcomes.map(({ taskId, status }) => `${taskId} ${status}`), ['a completed', 'b pending', 'c completed', 'd completed']);
});

test('the latest progress comes with the outcome', async () => {
  const { outcomes } = await attempt((payload, { progress }) => {
    progress(10);
    progress(62.5, 'half done');
    if (payload === 'bad') throw new Error('no');
  }, {}, { payload: 'bad' });
  for (const { progress } of outcomes) assert.deepEqual(progress, { percent: 62.5, note: 'half done' });
});

test('progress that is none is refused where it is told', async () => {
  for (const [told, name, message] of /** @type {[unknown[], string, string][]} */ ([
    [[-1], 'RangeError', 'expected percent to be from 0 to 100, got -1'],
    [[100.1], 'RangeError', 'expected percent to be from 0 to 100, got 100.1'],
    [[NaN], 'RangeError', 'expected percent to be from 0 to 100, got NaN'],
    [['50'], 'TypeError', 'expected percent to be a number, got string'],
    [[], 'TypeError', 'expected percent to be a number, got undefined'],
    [[50, 7], 'TypeError', 'expected note to be a string, got number'],
    [[50, 'x'.repeat(201)], 'RangeError', 'expected note to have at most 200 characters, got 201'],
  ])) {
    const { outcome } = await attempt((_, { progress }) => /** @type {any} */ (progress)(...told));
    assert.deepEqual(outcome.error, { name, message });
    assert.equal(outcome.progress, null);
  }
});

test('a module that is no handler is refused, by name', () => {
  const good = { default: () => null };
  requireHandlers({ one: good, two: { ...good, timeout_seconds: 0.5, parameters: { size: 'how large' }, check: () => null } });
  requireHandlers({ slow: { ...good, timeout_seconds: 840 } });
  for (const [module, sentence] of /** @type {[object, string][]} */ ([
    [{}, 'expected the default export to be a function, got undefined'],
    [{ ...good, timeout_seconds: 0 }, 'expected timeout_seconds to be a number above 0 and up to 840, got 0'],
    [{ ...good, timeout_seconds: 841 }, 'expected timeout_seconds to be a number above 0 and up to 840, got 841'],
    [{ ...good, timeout_seconds: '5' }, 'expected timeout_seconds to be a number above 0 and up to 840, got 5'],
    [{ ...good, check: true }, 'expected check to be a function, got boolean'],
  ])) {
    assert.throws(() => requireHandlers({ good, resize: /** @type {any} */ (module) }), { name: 'TypeError', message: `handler resize: ${sentence}` });
  }
});

/** What the handlers saw stays in the Worker; `recall` tells it. */
const HANDLERS = {
  hold: `
    const seen = globalThis.seen ??= {};
    export const parameters = { heeds: 'whether it heeds its signal' };
    export default (payload, { taskId, signal, progress, parameters }) => new Promise((_, reject) => {
      progress(25, 'holding');
      signal.addEventListener('abort', () => {
        seen[taskId] = signal.reason.name;
        if (parameters.heeds) reject(signal.reason);
      });
    });`,
  hasty: `
    export const timeout_seconds = 0.5;
    const seen = globalThis.seen ??= {};
    export default (payload, { taskId, signal }) => new Promise(() => {
      signal.addEventListener('abort', () => { seen[taskId] = signal.reason.name; });
    });`,
  recall: `
    export default () => globalThis.seen;`,
};

for (const store of STORES) describe(`with state in ${store}`, () => {
  /** @type {import('./worker_under_test.js').WorkerUnderTest} */
  let worker;
  before(async () => { worker = await startWorker({ store, handlers: HANDLERS }); });
  after(() => worker.stop());

  /** @param {string} query */
  async function submit(query) {
    const reply = await worker.fetch(`/task?${query}`, { method: 'POST', body: 'work' });
    return /** @type {{taskId: string}} */ (await reply.json()).taskId;
  }

  /** @returns {Promise<Record<string, string>>} the reasons that the handlers' signals were aborted for, by task */
  async function seen() {
    const taskId = await submit('handler=recall');
    await worker.deliver({ body: { taskId } });
    return (await worker.task(taskId)).result;
  }

  test('a running task shows its progress, and is cancelled through its signal, whether or not it heeds it', async () => {
    const [heeding, heedless, other] = [await submit('handler=hold&heeds=yes'), await submit('handler=hold'), await submit('handler=default')];
    const delivery = worker.deliver(...[heeding, heedless, other].map((taskId) => ({ body: { taskId } })));
    let shown = null;
    for (let look = 0; look < 100 && !shown; look++) {
      await setTimeout(100);
      shown = (await worker.task(heeding)).progress;
    }
    assert.deepEqual(shown, { percent: 25, note: 'holding' });
    for (const taskId of [heeding, heedless]) assert.equal((await worker.fetch(`/task/${taskId}`, { method: 'DELETE' })).status, 200);
    assert.deepEqual(await delivery, ['ack', 'ack', 'ack']);
    const reasons = await seen();
    for (const taskId of [heeding, heedless]) {
      const { status, error, attempts, progress } = await worker.task(taskId);
      assert.deepEqual({ status, error, attempts, progress }, { status: 'cancelled', error: null, attempts: 1, progress: shown });
      assert.equal(reasons[taskId], 'Cancelled');
    }
    assert.equal(await worker.status(other), 'completed');
  });

  test('an attempt whose time is up fails, though its handler goes on', async () => {
    const [hasty, other] = [await submit('handler=hasty'), await submit('handler=default')];
    assert.deepEqual(await worker.deliver({ body: { taskId: hasty } }, { body: { taskId: other } }), ['retry', 'ack']);
    const { status, error } = await worker.task(hasty);
    assert.deepEqual({ status, error }, { status: 'pending', error: { name: 'TimeoutError', message: 'expected an end within 0.5 seconds, got none' } });
    assert.equal((await seen())[hasty], 'TimeoutError');
  });
});

test('what has ended is written at once, together with what ends meanwhile', async () => {
  const gates = new Map(['first', 'second', 'third', 'last'].map((name) => [name, Promise.withResolvers()]));
  /** @type {PromiseWithResolvers<void>[]} */
  const writing = [];
  /** @type {(string | false)[][]} */
  const writes = [];
  const begun = [Promise.withResolvers(), Promise.withResolvers(), Promise.withResolvers()];
  const settle = async (/** @type {Outcome[]} */ outcomes) => {
    writes.push(outcomes.map((outcome) => 'result' in outcome && outcome.result));
    const end = Promise.withResolvers();
    writing.push(end);
    begun[writes.length - 1]?.resolve(null);
    await end.promise;
    return settledAs('ours')(outcomes);
  };
  /** @type {Handlers} */
  const handlers = { default: { default: (payload) => gates.get(String(payload))?.promise } };
  const settled = settleAll({ store: { ...STORE, settle }, handlers, env: ENV }, [...gates.keys()].map((payload) => task({ taskId: payload, payload })));
  /** @type {Record<string, number[]>} */
  const times = {};
  const end = async (/** @type {string} */ name) => {
    const before_ms = Date.now();
    gates.get(name)?.resolve(name);
    await setImmediate();
    times[name] = [before_ms, Date.now()];
  };
  await end('first');
  await begun[0]?.promise; // the others run on
  await end('second');
  await end('third');
  await setTimeout(20); // a write that lasts
  writing[0]?.resolve();
  await begun[1]?.promise;
  writing[1]?.resolve();
  await end('last');
  await begun[2]?.promise;
  writing[2]?.resolve();
  const settlements = await settled;
  assert.deepEqual(writes, [['"first"'], ['"second"', '"third"'], ['"last"']]);
  for (const { task: { taskId }, outcome: { ended_ms } } of settlements) {
    const [from_ms = 0, to_ms = 0] = times[taskId] ?? [];
    assert.ok(from_ms <= ended_ms && ended_ms <= to_ms, `${taskId} ended between ${from_ms} and ${to_ms}, and was told to have ended at ${ended_ms}`);
  }
});

test('a store that is away gets the outcome when it is back, and handlers go on meanwhile', async () => {
  let refusals = 0;
  /** @param {Outcome[]} outcomes */
  const settle = (outcomes) => settledAs(refusals++ < 2 ? 'lost' : 'ours')(outcomes);
  const handlers = { default: { default: () => 'done' }, slow: { default: () => setTimeout(500, 'late') } };
  const settlements = await settleAll({ store: { ...STORE, settle }, handlers, env: ENV }, [task({ taskId: 'quick' }), task({ taskId: 'slow', handler: 'slow' })]);
  assert.deepEqual(settlements.map(({ outcome: { taskId, status }, standing }) => [taskId, status, standing]), [
    ['quick', 'completed', 'ours'], ['slow', 'completed', 'ours'],
  ]);
});

test('when the time is up what could not be written is lost, and handlers that run are told by their signal', async () => {
  const warn = mock.method(console, 'warn', () => {});
  /** @type {string[]} */
  const reasons = [];
  const handlers = {
    default: { default: () => 'done' },
    slow: { default: (/** @type {unknown} */ _, /** @type {any} */ { signal }) => new Promise(() => { signal.addEventListener('abort', () => reasons.push(signal.reason.name)); }) },
  };
  const store = { ...STORE, settle: settledAs('lost') };
  const settlements = await settleAll({ store, handlers, env: ENV }, [task({ taskId: 'quick' }), task({ taskId: 'slow', handler: 'slow' })], Date.now() + 200);
  assert.deepEqual(settlements.map(({ task: { taskId }, standing }) => [taskId, standing]).sort(), [['quick', 'lost'], ['slow', 'lost']]);
  assert.deepEqual(reasons, ['StoreLost']);
  warn.mock.restore();
});

test('a store that is broken stops the handlers that run', async () => {
  let reason = '';
  const handlers = {
    default: { default: () => 'done' },
    slow: { default: (/** @type {unknown} */ _, /** @type {any} */ { signal }) => new Promise(() => { signal.addEventListener('abort', () => { reason = signal.reason.name; }); }) },
  };
  const store = { ...STORE, settle: async () => { throw new TypeError('a bug'); } };
  const warn = mock.method(console, 'warn', () => {});
  await assert.rejects(settleAll({ store, handlers, env: ENV }, [task(), task({ handler: 'slow' })]), { message: 'a bug' });
  assert.equal(reason, 'StoreLost');
  warn.mock.restore();
});
