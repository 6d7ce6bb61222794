/** Cron expressions in Cloudflare's dialect, and the clock that fires them. */

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { mock, test } from 'node:test';

import { CronClock } from '../../local/runtime/cron_clock.js';
import { cronMatches, parseCron } from '../../local/runtime/cron.js';
import { DataPlane, freePort, module, sleep, until, version, worker } from './data_plane.js';

/** @import { Worker } from '../../local/runtime/desired_state.js' */

/** Time for a data plane to start and to be configured. */
const UNTIL_NEXT_MINUTE_MS = 15_000; // a slow machine takes long to start

/**
 * A module that puts the clock of a process forward.
 *
 * @param {number} milliseconds
 */
const shiftedClock = (milliseconds) => `const { now } = Date; Date.now = () => now() + ${milliseconds};`;

/** expression, a minute that it fires in, a minute that it does not. @type {[string, string, string][]} */
const CASES = [
  ['*/5 * * * *', '2026-01-01T10:35', '2026-01-01T10:36'],
  ['0-10/5,30 9-17 * * *', '2026-01-01T17:30', '2026-01-01T18:30'],
  ['50-10/10 * * * *', '2026-01-01T00:00', '2026-01-01T00:20'], // wraps around: 50, 0, 10
  ['0 0 1,15 * *', '2026-03-15T00:00', '2026-03-16T00:00'],
  ['0 0 * JAN-mar *', '2026-02-02T00:00', '2026-04-02T00:00'],
  ['0 0 * 11-2 *', '2026-01-02T00:00', '2026-03-02T00:00'],
  ['0 0 * * 1', '2026-11-22T00:00', '2026-11-23T00:00'], // 1 is Sunday
  ['0 0 * * 7', '2026-11-21T00:00', '2026-11-22T00:00'],
  ['0 0 * * L', '2026-11-21T00:00', '2026-11-20T00:00'], // Saturday
  ['0 0 * * MON-FRI', '2026-11-20T00:00', '2026-11-22T00:00'],
  ['0 0 * * FRI-SUN', '2026-11-22T00:00', '2026-11-23T00:00'],
  ['0 0 * * 6L', '2026-11-27T00:00', '2026-11-20T00:00'], // the last Friday
  ['0 0 * * MON#2', '2026-11-09T00:00', '2026-11-16T00:00'],
  ['0 0 L * *', '2028-02-29T00:00', '2028-02-28T00:00'],
  ['0 0 L-2 * *', '2026-11-28T00:00', '2026-11-30T00:00'],
  ['0 0 LW * *', '2026-02-27T00:00', '2026-02-28T00:00'], // the 28th is a Saturday
  ['0 0 15W * *', '2026-11-16T00:00', '2026-11-15T00:00'], // the 15th is a Sunday
  ['0 0 1W * *', '2026-08-03T00:00', '2026-08-01T00:00'], // the 1st is a Saturday; stays in its month
  ['0 0 31W * *', '2026-05-29T00:00', '2026-05-31T00:00'], // the 31st is a Sunday
  ['0 0 13 * FRI', '2026-11-20T00:00', '2026-11-21T00:00'], // either day field is enough
  ['0 0 13 * FRI', '2026-10-13T00:00', '2026-10-14T00:00'],
  ['59 23 31 12 *', '2026-12-31T23:59', '2026-12-31T23:58'],
];

for (const [expression, yes, no] of CASES) {
  test(`${expression} fires in ${yes}, not in ${no}`, () => {
    const cron = parseCron(expression);
    assert.equal(cronMatches(cron, new Date(`${yes}Z`)), true);
    assert.equal(cronMatches(cron, new Date(`${no}Z`)), false);
  });
}

const REFUSED = [
  '',
  '* * * *',
  '* * * * * *',
  '60 * * * *',
  '* 24 * * *',
  '* * 0 * *',
  '* * 32 * *',
  '* * * 13 *',
  '* * * * 0',
  '* * * * 8',
  '* * * * MON#6',
  '* * * FOO *',
  '*/0 * * * *',
  '1- * * * *',
  'a * * * *',
  '*-5 * * * *',
  '@daily',
  '* * L,3 * *',
];

for (const expression of REFUSED) {
  test(`"${expression}" is refused`, () => {
    assert.throws(() => parseCron(expression), { kind: 'bad_request' });
  });
}

test('the clock fires at the start of each minute, for each Worker that is deployed', () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-01-01T00:00:30Z') });
  try {
    /** @type {string[]} */
    const fired = [];
    const clock = new CronClock((worker, cron, time) =>
      fired.push(`${worker.name} ${cron} ${new Date(time).toISOString()}`),
    );
    const versions = /** @type {any} */ ([{}]);
    /** @type {Worker[]} */
    const workers = [
      { name: 'a', port: 1, schedules: ['* * * * *', '2 * * * *'], versions },
      { name: 'b', port: 2, schedules: ['* * * * *'], versions: [] },
    ];
    clock.set(workers);
    mock.timers.tick(29_999);
    assert.deepEqual(fired, []);
    for (let i = 0; i < 3; i += 1) mock.timers.tick(30_001);
    assert.deepEqual(fired, [
      'a * * * * * 2026-01-01T00:01:00.000Z',
      'a * * * * * 2026-01-01T00:02:00.000Z',
      'a 2 * * * * 2026-01-01T00:02:00.000Z',
    ]);
    clock.set([]);
    mock.timers.tick(120_000);
    assert.equal(fired.length, 3);
  } finally {
    mock.timers.reset();
  }
});

test('the clock has one timer, however often its triggers change', () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const others = timers();
  const clock = new CronClock(() => {});
  for (let i = 0; i < 10; i += 1) clock.set([{ name: 'a', port: 1, schedules: ['* * * * *'], versions: /** @type {any} */ ([{}]) }]);
  assert.equal(timers(), others + 1);
  clock.set([]);
  assert.equal(timers(), others);
});

test('a change of triggers right after the start of a minute skips no minute, and runs none twice', () => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-01-01T00:00:30Z') });
  try {
    /** @type {string[]} */
    const fired = [];
    const clock = new CronClock((worker, _cron, time) => fired.push(`${worker.name} ${new Date(time).toISOString()}`));
    const versions = /** @type {any} */ ([{}]);
    const a = { name: 'a', port: 1, schedules: ['* * * * *'], versions };
    const b = { ...a, name: 'b' };
    clock.set([a]);
    mock.timers.setTime(Date.parse('2026-01-01T00:01:00.005Z')); // the timer is due, and has not run
    clock.set([a, b]);
    clock.set([a, b]);
    assert.deepEqual(fired, ['a 2026-01-01T00:01:00.000Z']);
    mock.timers.tick(60_000);
    assert.deepEqual(fired.slice(1), ['a 2026-01-01T00:02:00.000Z', 'b 2026-01-01T00:02:00.000Z']);
    clock.set([]);
  } finally {
    mock.timers.reset();
  }
});

test('a cron that fires during a reload runs after it, in what is deployed then, of whatever form', async (context) => {
  const dataPlane = new DataPlane();
  context.after(() => dataPlane.remove());
  const nextMinute = Date.now() + UNTIL_NEXT_MINUTE_MS;
  const offset = 60_000 - (nextMinute % 60_000);
  await dataPlane.start({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(shiftedClock(offset))}` });
  const port = await freePort();
  const scheduled = (/** @type {string} */ name) =>
    version(`export default {
      async fetch() { await scheduler.wait(3_000); return new Response(''); },
      scheduled() { console.log('${name} ran'); } }`);
  mkdirSync(join(dataPlane.stateDir, 'assets/sites/site'), { recursive: true });
  const assets = { site: 'site', run_worker_first: null, html_handling: null, not_found_handling: null, base_path: null };
  const script = "addEventListener('scheduled', ({ cron, scheduledTime, waitUntil }) => console.log(`${cron} ${scheduledTime % 60_000} ran`))";
  const classic = version(script, { service_worker: true, modules: [{ ...module('index.js', script), content_type: 'application/javascript' }] });
  const others = [
    { ...worker('classic', await freePort(), [classic]), schedules: ['*/1 * * * *'] },
    { ...worker('site', await freePort(), [{ ...scheduled('site'), assets }]), schedules: ['* * * * *'] },
    { ...worker('page', await freePort(), [version('', { main_module: null, modules: [], assets })]), schedules: ['* * * * *'] },
  ];
  const state = (/** @type {string} */ name) => [{ ...worker('w', port, [scheduled(name)]), schedules: ['* * * * *'] }, ...others];
  await dataPlane.configure(state('one'));
  await sleep(nextMinute - Date.now() - 4_000);
  const request = fetch(`http://127.0.0.1:${port}`); // it keeps the process of the former version
  await sleep(500);
  await dataPlane.configure(state('two'));
  await request;
  const ran = () => dataPlane.logs.map(({ message }) => message).filter((message) => / ran$/.test(message)).sort();
  await until('their logs', () => ran().length >= 3);
  assert.deepEqual(ran(), ['*/1 * * * * 0 ran', 'site ran', 'two ran']);
});
