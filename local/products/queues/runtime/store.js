/**
 * The messages of one queue, in the SQLite of its Durable Object.
 *
 * Nothing here awaits: workerd commits all writes of one turn as one transaction, so each method, and each run of
 * them without an `await` between, is atomic.
 *
 * A message can be delivered when `visible_at` has come. A delay, a retry and a pull consumer's lease put it into the
 * future; NULL means that a consumer Worker holds the message right now.
 */

/**
 * @typedef {{body: Uint8Array, contentType: string, delaySeconds: number | null}} IncomingMessage
 * @typedef {{id: string, sentAt: number, contentType: string, body: ArrayBuffer}} DeadLetter
 * @typedef {DeadLetter & {storedAt: number, attempts: number}} StoredMessage
 * @typedef {{
 *   body: Uint8Array | ArrayBuffer,
 *   contentType: string,
 *   delaySeconds: number,
 *   id?: string,
 *   sentAt?: number,
 * }} NewMessage
 * @typedef {{backlogCount: number, backlogBytes: number, oldestMessageTimestamp: number}} QueueMetrics
 */

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    sent_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    visible_at INTEGER,
    lease_id TEXT,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
  );
  CREATE INDEX IF NOT EXISTS messages_by_visible_at ON messages (visible_at);
  CREATE TABLE IF NOT EXISTS dead_letters (
    id TEXT PRIMARY KEY,
    sent_at INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    body BLOB NOT NULL
  );
`;

const MESSAGE_COLUMNS = `
  id, sent_at AS sentAt, stored_at AS storedAt, content_type AS contentType, attempts, body`;

/** The `?` of a statement, as a list that SQLite can search. */
const LISTED_IDS = 'IN (SELECT value FROM json_each(?))';

export class QueueStore {
  #sql;
  #count;
  #bytes;

  /** @param {SqlStorage} sql */
  constructor(sql) {
    this.#sql = sql;
    sql.exec(SCHEMA);
    const totals = sql.exec('SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes FROM messages').one();
    this.#count = Number(totals.count);
    this.#bytes = Number(totals.bytes);
  }

  /** @returns {QueueMetrics} */
  metrics() {
    const [oldest] = this.#sql.exec('SELECT sent_at FROM messages ORDER BY seq LIMIT 1');
    return {
      backlogCount: this.#count,
      backlogBytes: this.#bytes,
      oldestMessageTimestamp: Number(oldest?.sent_at ?? 0),
    };
  }

  /**
   * Stores messages, each visible after its own delay.
   *
   * @param {NewMessage[]} messages a message whose `id` is there already is left as it is
   * @param {number} now
   */
  add(messages, now) {
    for (const message of messages) {
      const added = this.#sql.exec(
        `INSERT INTO messages (id, sent_at, stored_at, content_type, visible_at, size, body)
         VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING size`,
        message.id ?? crypto.randomUUID().replaceAll('-', ''),
        message.sentAt ?? now,
        now,
        message.contentType,
        now + message.delaySeconds * 1000,
        message.body.byteLength,
        message.body,
      );
      this.#grow(added, 1);
    }
  }

  /**
   * How many messages could go now, counted up to a limit, and since when the first of them could.
   *
   * @param {number} now
   * @param {number} limit
   */
  due(now, limit) {
    const rows = this.#sql
      .exec('SELECT visible_at FROM messages WHERE visible_at <= ? ORDER BY visible_at LIMIT ?', now, limit)
      .toArray();
    return { count: rows.length, since: Number(rows[0]?.visible_at ?? now) };
  }

  /**
   * When the next message that is hidden now becomes visible; Infinity when there is none.
   *
   * @param {number} now
   */
  nextVisibleAt(now) {
    const { at } = this.#sql.exec('SELECT min(visible_at) AS at FROM messages WHERE visible_at > ?', now).one();
    return at === null ? Infinity : Number(at);
  }

  /**
   * The messages that could go now, in their order.
   *
   * @param {number} now
   * @param {number} limit
   * @returns {StoredMessage[]}
   */
  visible(now, limit) {
    return /** @type {any} */ (
      this.#sql
        .exec(
          `SELECT ${MESSAGE_COLUMNS} FROM messages WHERE visible_at <= ? ORDER BY visible_at, seq LIMIT ?`,
          now,
          limit,
        )
        .toArray()
    );
  }

  /**
   * The oldest messages, whatever their state.
   *
   * @param {number} limit
   * @returns {StoredMessage[]}
   */
  oldest(limit) {
    return /** @type {any} */ (
      this.#sql.exec(`SELECT ${MESSAGE_COLUMNS} FROM messages ORDER BY seq LIMIT ?`, limit).toArray()
    );
  }

  /**
   * Gives messages to a consumer Worker: one more attempt each, and out of everyone else's sight.
   *
   * @param {string[]} ids
   */
  hold(ids) {
    this.#sql.exec(
      `UPDATE messages SET visible_at = NULL, lease_id = NULL, attempts = attempts + 1 WHERE id ${LISTED_IDS}`,
      JSON.stringify(ids),
    );
  }

  /**
   * Gives one message to a pull consumer until a time.
   *
   * @param {string} id
   * @param {string} leaseId
   * @param {number} until
   */
  lease(id, leaseId, until) {
    this.#sql.exec(
      'UPDATE messages SET visible_at = ?, lease_id = ?, attempts = attempts + 1 WHERE id = ?',
      until,
      leaseId,
      id,
    );
  }

  /**
   * The message of a lease that still holds, or null.
   *
   * @param {string} id
   * @param {string} leaseId
   * @param {number} now
   * @returns {{id: string, attempts: number, storedAt: number} | null}
   */
  leased(id, leaseId, now) {
    const [row] = this.#sql.exec(
      `SELECT id, attempts, stored_at AS storedAt FROM messages WHERE id = ? AND lease_id = ? AND visible_at > ?`,
      id,
      leaseId,
      now,
    );
    return /** @type {any} */ (row ?? null);
  }

  /**
   * Makes messages visible again, from a time on.
   *
   * @param {string[]} ids
   * @param {number} visibleAt
   */
  release(ids, visibleAt) {
    this.#sql.exec(
      `UPDATE messages SET visible_at = ?, lease_id = NULL WHERE id ${LISTED_IDS}`,
      visibleAt,
      JSON.stringify(ids),
    );
  }

  /**
   * Releases what consumer Workers held when the runtime went down.
   *
   * @param {number} now
   */
  releaseHeld(now) {
    this.#sql.exec('UPDATE messages SET visible_at = ? WHERE visible_at IS NULL', now);
  }

  /** @param {string[]} ids */
  remove(ids) {
    this.#grow(this.#sql.exec(`DELETE FROM messages WHERE id ${LISTED_IDS} RETURNING size`, JSON.stringify(ids)), -1);
  }

  removeAll() {
    this.#sql.exec('DELETE FROM messages');
    this.#count = 0;
    this.#bytes = 0;
  }

  /**
   * Messages whose deliveries are spent and that became visible again in a span of time, as a lease's end makes them.
   *
   * @param {number} maxAttempts
   * @param {number} after
   * @param {number} until
   * @returns {string[]} ids
   */
  spent(maxAttempts, after, until) {
    return this.#sql
      .exec(
        'SELECT id FROM messages WHERE visible_at > ? AND visible_at <= ? AND attempts >= ?',
        after,
        until,
        maxAttempts,
      )
      .toArray()
      .map((row) => String(row.id));
  }

  /**
   * Removes messages that are older than the retention and that no consumer Worker holds.
   *
   * @param {number} storedUntil
   */
  expire(storedUntil) {
    // Rows lie in the order of their arrival, so the scan ends at the first young one.
    const expired = [];
    for (const row of this.#sql.exec('SELECT id, stored_at, visible_at FROM messages ORDER BY seq')) {
      if (Number(row.stored_at) > storedUntil) break;
      if (row.visible_at !== null) expired.push(String(row.id));
    }
    this.remove(expired);
  }

  /** The arrival of the oldest message; Infinity when there is none. */
  oldestStoredAt() {
    const [row] = this.#sql.exec('SELECT stored_at FROM messages ORDER BY seq LIMIT 1');
    return row === undefined ? Infinity : Number(row.stored_at);
  }

  /**
   * Moves messages out of the queue into the box from which they go to the dead letter queue.
   *
   * @param {string[]} ids
   */
  deadLetter(ids) {
    const listed = JSON.stringify(ids);
    this.#sql.exec(
      `INSERT OR IGNORE INTO dead_letters (id, sent_at, content_type, body)
       SELECT id, sent_at, content_type, body FROM messages WHERE id ${LISTED_IDS}`,
      listed,
    );
    this.remove(ids);
  }

  /**
   * @param {number} limit
   * @returns {DeadLetter[]}
   */
  deadLetters(limit) {
    return /** @type {any} */ (
      this.#sql
        .exec(
          'SELECT id, sent_at AS sentAt, content_type AS contentType, body FROM dead_letters ORDER BY rowid LIMIT ?',
          limit,
        )
        .toArray()
    );
  }

  /** @param {string[]} ids */
  forgetDeadLetters(ids) {
    this.#sql.exec(`DELETE FROM dead_letters WHERE id ${LISTED_IDS}`, JSON.stringify(ids));
  }

  /**
   * Keeps the totals: no metric ever counts the backlog.
   *
   * @param {Iterable<Record<string, SqlStorageValue>>} rows of `size`
   * @param {1 | -1} sign
   */
  #grow(rows, sign) {
    for (const { size } of rows) {
      this.#count += sign;
      this.#bytes += sign * Number(size);
    }
  }
}
