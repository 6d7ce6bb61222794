/**
 * Old code runs on the new schema: migrations are applied before the code that needs them, and a rollout or a rollback has
 * former code on it for as long as it likes. `former_code/` has the statements of the code before each migration.
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { migrate, MIGRATIONS, NAMES, record, run } from './former_code/record.js';

/** @import { Row } from '../../worker/stores/task_table.js' */
/** @import { Recording, Transaction } from './former_code/record.js' */

/** A migration that has it says that old code cannot run on it: no rollout or rollback goes across. See `components/rollout.py`. */
const BREAKING = '-- breaks earlier code';

/** Columns that SQLite fills in with the present time. */
const TIMES = ['created_at', 'created_ms'];

/** @param {Row[][]} rows */
function steady(rows) {
  return rows.map((each) => each.map((row) => Object.fromEntries(Object.entries(row).filter(([name]) => !TIMES.includes(name)))));
}

/**
 * @param {Transaction[]} transactions
 * @param {string[]} before migrations that there are at first
 * @param {string[]} after migrations that come before the transaction with the number `at`
 * @param {number} at
 */
function replay(transactions, before, after, at) {
  const database = new DatabaseSync(':memory:');
  migrate(database, before);
  return transactions.map((transaction, number) => {
    if (number === at) migrate(database, after);
    return steady(run(database, transaction));
  });
}

for (const [number, name] of NAMES.entries()) {
  if (number === 0 || readFileSync(MIGRATIONS + name, 'utf8').split('\n').includes(BREAKING)) continue;
  describe(`before ${name}`, () => {
    const file = fileURLToPath(new URL(`former_code/${name.replace('.sql', '.json')}`, import.meta.url).href);

    test('the statements of the code are recorded', () => {
      assert.ok(existsSync(file), 'check out the code before the migration, and run tests/worker/former_code/record.js');
      assert.equal(/** @type {Recording} */ (JSON.parse(readFileSync(file, 'utf8'))).through, NAMES[number - 1]);
    });

    test('that code does the same on the schema of today, from whichever moment on it has it', () => {
      const { transactions } = /** @type {Recording} */ (JSON.parse(readFileSync(file, 'utf8')));
      const [former, newer] = [NAMES.slice(0, number), NAMES.slice(number)];
      const expected = replay(transactions, former, [], -1);
      assert.ok(expected.flat(2).length > 10, 'the recording has answers');
      for (let at = 0; at <= transactions.length; at++) {
        assert.deepEqual(replay(transactions, former, newer, at), expected, `migrated before transaction ${at}`);
      }
    });
  });
}

test('the present code can be recorded for the next migration', async () => {
  const { through, transactions } = await record();
  assert.equal(through, NAMES.at(-1));
  assert.doesNotThrow(() => replay(transactions, NAMES, [], -1));
  const written = transactions.flat().map(({ sql }) => /** @type {RegExpMatchArray} */ (/^\s*(?:WITH|INSERT|UPDATE|DELETE|SELECT)/.exec(sql))[0].trim());
  assert.deepEqual([...new Set(written)].toSorted(), ['DELETE', 'INSERT', 'SELECT', 'UPDATE', 'WITH']);
});
