/**
 * Records the statements of the present code, before a new migration is written:
 * `node tests/worker/former_code/record.js > tests/worker/former_code/NNNN_name.json`, where that is the new
 * migration's name without its ending. `migrations.test.js` runs them on the schema that the migration makes.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';

import { TaskTable } from '../../../worker/stores/task_table.js';
import { newTaskId } from '../../../worker/task_id.js';

/** @import { Row, Statement } from '../../../worker/stores/task_table.js' */

/** A transaction's statements; parameters are texts, numbers and nulls. @typedef {{sql: string, parameters: (string | number | null)[]}[]} Transaction */

/** `through` is the last migration that the recorded code knew. @typedef {{through: string, transactions: Transaction[]}} Recording */

export const MIGRATIONS = fileURLToPath(new URL('../../../worker/migrations/', import.meta.url).href);

/** The names of all migrations, in order. */
export const NAMES = readdirSync(MIGRATIONS).filter((name) => name.endsWith('.sql')).toSorted();

/**
 * @param {DatabaseSync} database
 * @param {string[]} names of migrations
 */
export function migrate(database, names) {
  for (const name of names) database.exec(readFileSync(MIGRATIONS + name, 'utf8'));
}

/**
 * @param {DatabaseSync} database
 * @param {Transaction} transaction
 * @returns {Row[][]} of each statement
 */
export function run(database, transaction) {
  database.exec('BEGIN');
  try {
    const rows = transaction.map(({ sql, parameters }) => {
      const named = parameters.map((value, index) => /** @type {const} */ ([`?${index + 1}`, value]));
      const used = Object.fromEntries(named.filter(([name]) => new RegExp(`\\${name}\\b`).test(sql)));
      return database.prepare(sql).all(used).map((row) => ({ ...row }));
    });
    database.exec('COMMIT');
    return rows;
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

/**
 * Does with a table of tasks all that the code does, at a time that stands still.
 *
 * @returns {Promise<Recording>}
 */
export async function record() {
  const database = new DatabaseSync(':memory:');
  migrate(database, NAMES);
  /** @type {Transaction[]} */
  const transactions = [];
  const store = new TaskTable(async (/** @type {Statement[]} */ statements) => {
    const transaction = /** @type {Transaction} */ (statements.map(({ sql, parameters }) => ({ sql, parameters })));
    transactions.push(transaction);
    return run(database, transaction);
  }, { MAX_RETRIES: '2' });
  await live(store, Date.now());
  return { through: NAMES.at(-1) ?? '', transactions };
}

/**
 * @param {TaskTable} store
 * @param {number} now_ms
 */
async function live(store, now_ms) {
  const plain = { handler: 'default', parameters: {}, payload: 'text', delay_seconds: 0, ttl_seconds: null, max_retries: null, idempotency: null };
  const [done, failed, retried, cancelled, late, keyed, expiring] = Array.from({ length: 7 }, (_, age) => newTaskId(now_ms - 100_000 + age * 1000));
  await store.insert([done, failed, retried, cancelled].map((taskId) => ({ ...plain, taskId: String(taskId) })));
  await store.insert([{ ...plain, taskId: String(late), delay_seconds: 60, ttl_seconds: 3600, max_retries: 7, parameters: { a: 'b' } }]);
  const idempotency = { key: 'a'.repeat(64), fingerprint: 'b'.repeat(64) };
  await store.insert([{ ...plain, taskId: String(keyed), idempotency }]);
  await store.insert([{ ...plain, taskId: newTaskId(now_ms), idempotency }]);
  await store.insert([{ ...plain, taskId: String(expiring), ttl_seconds: 60 }]);
  const told = newTaskId(now_ms - 90_000);
  await store.insert([{ ...plain, taskId: told, callback: { url: 'https://hook.example/', on: ['cancelled'] } }]);
  await store.cancel(told);
  await store.find(told);
  const deliveries = [done, failed, retried, late].map((taskId) => (
    { taskId: String(taskId), run: 1, holder: `message ${taskId}`, delivery: 1, ended: true, claim: `claim ${taskId}` }
  ));
  const answers = await store.claim(/** @type {any} */ (deliveries));
  const names = [done, failed, retried].flatMap((taskId) => {
    const answer = answers.get(String(taskId));
    return answer?.kind === 'claimed' ? [answer.task] : [];
  });
  if (names.length !== 3) throw new Error(`expected three claimed tasks, got ${JSON.stringify([...answers])}`);
  const [one, two, three] = names.map(({ taskId, run: number, attempts, crashes, claim }) => ({ taskId, run: number, attempts, crashes, claim }));
  const error = { name: 'Error', message: 'no' };
  const progress = { percent: 50, note: 'half' };
  await store.report([{ .../** @type {any} */ (one), progress }, { .../** @type {any} */ (two), progress: null }]);
  await store.report([{ .../** @type {any} */ (two), progress: null }]);
  const ended = { progress, ended_ms: now_ms };
  await store.settle(/** @type {any} */ ([
    { ...one, ...ended, status: 'completed', result: '{"n":1}' },
    { ...two, ...ended, status: 'failed', error },
    { ...three, ...ended, status: 'pending', error, next_attempt_ms: now_ms + 1000 },
  ]));
  await store.cancel(String(cancelled));
  await store.retry(String(failed), 1);
  for (const taskId of [done, failed, retried, cancelled, late, keyed, expiring]) await store.find(String(taskId));
  await store.claim(/** @type {any} */ ([{ taskId: failed, run: 2, holder: 'another', delivery: 1, claim: 'another' }]), true);
  await store.abandon([{ taskId: String(failed), run: 2, attempts: 1 }], error);
  for await (const page of store.open(now_ms + 3_600_000)) await store.markSent(page.map(({ taskId }) => taskId), now_ms);
  await store.setProbes([{ queue: 'TASK_QUEUE', taskId: String(late), run: 1, attempts: 0, sent_at_ms: now_ms }]);
  await store.probes();
  await store.countSweep({ expired: 1, resent: 2, returned: 0, failed: 1 });
  await store.tally();
  await store.list({ status: null, handler: null, limit: 3, cursor: null });
  await store.list({ status: 'failed', handler: 'default', limit: 3, cursor: null });
  await store.statistics();
  await store.expire(() => false);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(JSON.stringify(await record(), null, 1));
}
