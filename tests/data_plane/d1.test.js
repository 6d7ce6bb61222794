/** D1 by database id, beside a Worker's binding to the same database. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { DataPlane, Ending, freePort, version, worker } from './data_plane.js';

describe('D1', () => {
  const ending = new Ending(after);
  /** @type {DataPlane} */ let dataPlane;

  before(async () => {
    dataPlane = await DataPlane.start(ending);
  });

  const folder = (product = 'do') => join(dataPlane.stateDir, 'resources', product, 'miniflare-D1DatabaseObject');

  /**
   * @param {string} id
   * @param {object[]} queries
   * @param {string} [format]
   */
  const query = (id, queries, format = 'objects') => dataPlane.call('POST', `/objects/d1/${id}/query`, { queries, format });

  test('needs neither a configuration nor a Worker', async () => {
    const id = randomUUID();
    const { body } = await query(id, [
      { sql: 'CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)' },
      { sql: 'INSERT INTO t VALUES (?, ?), (?, ?)', params: [1, 'one', 2, null] },
      { sql: 'SELECT * FROM t' },
    ]);
    assert.deepEqual(body.results[2].results, [
      { a: 1, b: 'one' },
      { a: 2, b: null },
    ]);
    const { meta } = body.results[1];
    assert.equal(meta.changes, 2);
    assert.equal(meta.last_row_id, 2);
    assert.equal(meta.changed_db, true);
    assert.equal(meta.rows_written, 2);
    assert.equal(body.results[2].meta.rows_read, 2);
    for (const field of ['duration', 'size_after', 'served_by']) assert.ok(field in meta, field);

    const arrays = await query(
      id,
      [{ sql: 'SELECT b, a FROM t WHERE b IS ?', params: [true] }, { sql: 'SELECT b, a FROM t' }],
      'arrays',
    );
    assert.deepEqual(arrays.body.results[0].results, { columns: ['b', 'a'], rows: [] });
    assert.deepEqual(arrays.body.results[1].results, {
      columns: ['b', 'a'],
      rows: [
        ['one', 1],
        [null, 2],
      ],
    });
  });

  test("speaks of errors in D1's words, and undoes the whole call", async () => {
    const id = randomUUID();
    await query(id, [{ sql: 'CREATE TABLE t (a INTEGER UNIQUE)' }, { sql: 'INSERT INTO t VALUES (1)' }]);
    /** @type {[string, string][]} */
    const cases = [
      ['SELEC', 'near "SELEC": syntax error at offset 0: SQLITE_ERROR'],
      ['SELECT * FROM nope', 'no such table: nope: SQLITE_ERROR'],
      [
        'INSERT INTO t VALUES (1)',
        'UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)',
      ],
    ];
    for (const [sql, message] of cases) {
      const { status, body } = await query(id, [{ sql: 'INSERT INTO t VALUES (2)' }, { sql }]);
      assert.equal(status, 400);
      assert.deepEqual(body.error, { kind: 'sql', message });
    }
    assert.deepEqual(await dataPlane.query(id, 'SELECT a FROM t'), [{ a: 1 }]);
  });

  test("is the database of a Worker's binding, and gone from the disk once deleted", async () => {
    const id = randomUUID();
    const port = await freePort();
    const source = `export default { async fetch(request, env) {
      return Response.json((await env.DB.prepare('INSERT INTO t VALUES (2) RETURNING a').all()).results); } }`;
    await dataPlane.configure([worker('w', port, [version(source, { bindings: [{ type: 'd1', name: 'DB', id }] })])]);
    await dataPlane.query(id, 'CREATE TABLE t (a INTEGER)');
    assert.deepEqual(await (await fetch(`http://127.0.0.1:${port}/`)).json(), [{ a: 2 }]);
    assert.deepEqual(await dataPlane.query(id, 'SELECT a FROM t'), [{ a: 2 }]);

    const files = () => readdirSync(folder());
    const before = files().length;
    await dataPlane.expect('DELETE', `/data/d1/${id}`);
    assert.ok(files().length < before);
  });

  test('has sessions, each of which goes on from a bookmark', async () => {
    const id = randomUUID();
    const port = await freePort();
    const source = `export default { async fetch(request, env) {
      const first = env.DB.withSession('first-primary');
      await first.prepare('INSERT INTO t VALUES (3)').run();
      const bookmark = first.getBookmark();
      const second = env.DB.withSession(bookmark);
      const { results } = await second.prepare('SELECT a FROM t').all();
      return Response.json({ results, bookmarks: [bookmark, second.getBookmark()] }); } }`;
    await dataPlane.configure([worker('w', port, [version(source, { bindings: [{ type: 'd1', name: 'DB', id }] })])]);
    await dataPlane.query(id, 'CREATE TABLE t (a INTEGER)');
    const { results, bookmarks } = /** @type {any} */ (await (await fetch(`http://127.0.0.1:${port}/`)).json());
    assert.deepEqual(results, [{ a: 3 }]);
    for (const bookmark of bookmarks) assert.match(bookmark, /^[0-9a-f]{8}(-[0-9a-f]+){3}$/);
    await dataPlane.configure([]);
  });

  test('takes statements by themselves, and values of each kind', async () => {
    const id = randomUUID();
    await dataPlane.query(id, 'CREATE TABLE t (a PRIMARY KEY, b BLOB)');
    /** @type {[string, unknown[], object][]} sql, parameters, and what of the answer matters */
    const cases = [
      ['INSERT INTO t VALUES (?, ?)', ['x', [0, 255]], { changes: 1, last_row_id: 1, rows_written: 2, changed_db: true }],
      ['INSERT OR IGNORE INTO t VALUES (?, ?)', ['x', null], { changes: 0, last_row_id: 1, changed_db: false }],
      ['WITH v(a) AS (SELECT 2.5) INSERT INTO t SELECT a, NULL FROM v', [], { changes: 1, last_row_id: 2, changed_db: true }],
      ['UPDATE t SET b = NULL WHERE a = ?', [2.5], { changes: 1, last_row_id: 2, changed_db: true }],
      ['  select * from t ORDER BY 1', [], { changes: 0, last_row_id: 2, rows_written: 0, changed_db: false }],
      ['DELETE FROM t', [], { changes: 2, last_row_id: 2, changed_db: true }],
      ['SELECT count(*) FROM t', [], { changes: 0, last_row_id: 2, changed_db: false }],
    ];
    const read = [];
    for (const [sql, params, wanted] of cases) {
      const { body } = await query(id, [{ sql, params }]);
      const [{ meta, results }] = body.results;
      assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((name) => [name, meta[name]])), wanted, sql);
      read.push(results);
    }
    assert.deepEqual(read[4], [{ a: 2.5, b: null }, { a: 'x', b: [0, 255] }]);
    for (const sql of ['', ' \n', '-- nothing']) assert.equal((await query(id, [{ sql }])).body.error.message, 'No SQL statements detected.');
    const { body: two } = await query(id, [{ sql: 'SELECT 1; INSERT INTO t VALUES (?, NULL); SELECT 2 AS b' }, { sql: 'SELECT a FROM t' }]);
    assert.match(two.error.message, /only the last statement can have parameters/);
    const { body: several } = await query(id, [{ sql: "SELECT 1; INSERT INTO t VALUES ('y', NULL); SELECT 2 AS b" }, { sql: 'SELECT a FROM t' }]);
    assert.deepEqual(several.results.map((/** @type {any} */ { results }) => results), [[{ b: 2 }], [{ a: 'y' }]]);
    assert.equal(several.results[0].meta.changes, 1);
  });

  test('checks deferred foreign keys at the end of a call, and undoes all of it', async () => {
    const id = randomUUID();
    await query(id, [{ sql: 'CREATE TABLE a (id PRIMARY KEY)' }, { sql: 'CREATE TABLE b (a REFERENCES a DEFERRABLE INITIALLY DEFERRED)' }]);
    assert.equal((await query(id, [{ sql: "INSERT INTO b VALUES ('x')" }, { sql: "INSERT INTO a VALUES ('x')" }])).status, 200);
    const { status, body } = await query(id, [{ sql: "INSERT INTO b VALUES ('y')" }]);
    assert.equal(status, 400);
    assert.match(body.error.message, /FOREIGN KEY constraint failed/);
    const late = await query(id, [{ sql: 'PRAGMA defer_foreign_keys = TRUE' }, { sql: "DELETE FROM a WHERE id = 'x'" }]);
    assert.match(late.body.error.message, /FOREIGN KEY constraint failed/);
    assert.deepEqual(await dataPlane.query(id, 'SELECT a FROM b'), [{ a: 'x' }]);
  });

  test('goes on with the files that an earlier release kept elsewhere', async () => {
    const id = randomUUID();
    await query(id, [{ sql: 'CREATE TABLE t (a)' }, { sql: 'INSERT INTO t VALUES (7)' }]);
    await dataPlane.stop();
    mkdirSync(dirname(folder('d1')), { recursive: true });
    renameSync(folder(), folder('d1'));
    await dataPlane.start();
    assert.deepEqual(await dataPlane.query(id, 'SELECT a FROM t'), [{ a: 7 }]);
  });
});
