/** A queue's messages in SQLite, apart from their object. */

import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';

// Its types are the Workers runtime's, which those of Node.js do not go with.
const { QueueStore } = /** @type {any} */ (await import(String(new URL('../../local/products/queues/runtime/store.js', import.meta.url))));

/** @typedef {{id: string, seq: number, attempts: number, contentType: string}} Message */

/** The table of earlier releases. */
const EARLIER = `
  CREATE TABLE messages (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sent_at INTEGER NOT NULL, stored_at INTEGER NOT NULL, content_type TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, visible_at INTEGER, lease_id TEXT, size INTEGER NOT NULL, body BLOB NOT NULL);
  CREATE INDEX messages_by_visible_at ON messages (visible_at);
  INSERT INTO messages (seq, id, sent_at, stored_at, content_type, attempts, visible_at, lease_id, size, body) VALUES
    (7, 'aa', 1, 1, 'text', 2, NULL, NULL, 3, x'010203'), (9, 'bb', 2, 2, 'json', 0, 5, 'bb.lease', 1, x'31');`;

/**
 * @param {DatabaseSync} database
 * @returns {any} as `SqlStorage`
 */
function storageOf(database) {
  return {
    exec(/** @type {string} */ sql, /** @type {any[]} */ ...parameters) {
      if (parameters.length === 0 && !/^\s*SELECT/.test(sql)) return void database.exec(sql);
      const rows = database.prepare(sql).all(...parameters.map((value) => (value instanceof ArrayBuffer ? new Uint8Array(value) : value)));
      return { toArray: () => rows, one: () => rows[0], [Symbol.iterator]: () => rows[Symbol.iterator]() };
    },
  };
}

/** @param {string} [id] @param {number} [delaySeconds] */
function message(id, delaySeconds = 0) {
  return { body: new Uint8Array([1]), contentType: 'text', delaySeconds, ...(id !== undefined && { id }) };
}

test('ids are of 32 hexadecimal digits, each given once, in whatever runs of the queue', () => {
  const database = new DatabaseSync(':memory:');
  const seen = new Set();
  for (let run = 0; run < 3; run++) {
    const store = new QueueStore(storageOf(database));
    store.add([message(), message()], 1);
    const messages = store.visible(1, 10);
    assert.equal(messages.length, 2);
    for (const { id } of messages) assert.match(id, /^[0-9a-f]{32}$/);
    for (const { id } of messages) seen.add(id);
    store.remove(messages.map((/** @type {Message} */ { seq }) => seq));
  }
  assert.equal(seen.size, 6);
  assert.notEqual(new QueueStore(storageOf(new DatabaseSync(':memory:'))).metrics(), null);
});

test('a message of another queue keeps its id, is taken once, and can be leased, retried and become a dead letter', () => {
  const store = new QueueStore(storageOf(new DatabaseSync(':memory:')));
  const id = 'f'.repeat(32);
  for (let time = 0; time < 2; time++) store.add([message(id)], 1);
  const [found] = store.visible(1, 10);
  assert.equal(found?.id, id);
  assert.equal(store.metrics().backlogCount, 1);
  store.lease(found?.seq ?? 0, `${id}.lease`, 100);
  assert.equal(store.leased(id, `${id}.lease`, 50)?.attempts, 1);
  assert.equal(store.leased(id, `${id}.other`, 50), null);
  store.deadLetter([found]);
  assert.deepEqual(store.deadLetters(10).map((/** @type {Message} */ letter) => letter.id), [id]);
  assert.equal(store.metrics().backlogCount, 0);
});

test('a message that comes back to its first queue is found by its id', () => {
  const store = new QueueStore(storageOf(new DatabaseSync(':memory:')));
  store.add([message()], 1);
  const [first] = store.visible(1, 1);
  const id = first?.id ?? '';
  store.remove([first?.seq ?? 0]);
  store.add([message(), message(id)], 1);
  const back = store.visible(1, 10).find((/** @type {Message} */ each) => each.id === id);
  store.lease(back?.seq ?? 0, `${id}.lease`, 100);
  assert.equal(store.leased(id, `${id}.lease`, 50)?.id, id);
});

test('messages of earlier releases are there, with their ids and leases', () => {
  const database = new DatabaseSync(':memory:');
  database.exec(EARLIER);
  for (let run = 0; run < 2; run++) {
    const store = new QueueStore(storageOf(database));
    assert.deepEqual(store.oldest(10).map((/** @type {Message} */ { id, attempts, contentType }) => [id, attempts, contentType]), [['aa', 2, 'text'], ['bb', 0, 'json']]);
    assert.deepEqual([store.metrics().backlogCount, store.metrics().backlogBytes], [2, 4]);
    assert.equal(store.leased('bb', 'bb.lease', 4)?.id, 'bb');
  }
  const store = new QueueStore(storageOf(database));
  store.releaseHeld(3);
  assert.deepEqual(store.visible(3, 10).map((/** @type {Message} */ { id }) => id), ['aa']);
  store.add([message()], 6);
  assert.deepEqual(store.oldest(10).map((/** @type {Message} */ { id }) => id.length), [2, 2, 32], 'new ones come after them');
});
