/**
 * The messages of one queue, in the SQLite of its Durable Object.
 *
 * Nothing here awaits. workerd commits all writes of one turn as one transaction, so each method is atomic, and so is a sequence of methods without
 * an `await` in between.
 *
 * A message can be delivered from `visible_at` on. A delay, a retry and a pull consumer's lease set it to a future time; NULL means that a consumer
 * Worker holds the message now.
 */

/**
 * @typedef {{body: Uint8Array, contentType: string, delaySeconds: number | null}} IncomingMessage
 * @typedef {{id: string, sentAt: number, contentType: string, body: ArrayBuffer}} DeadLetter
 * @typedef {DeadLetter & {seq: number, storedAt: number, attempts: number}} StoredMessage
 * @typedef {Pick<StoredMessage, 'seq' | 'id' | 'attempts'>} NamedMessage
 * @typedef {{
 *   body: Uint8Array | ArrayBuffer,
 *   contentType: string,
 *   delaySeconds: number,
 *   id?: string,
 *   sentAt?: number,
 * }} NewMessage
 * @typedef {{backlogCount: number, backlogBytes: number, oldestMessageTimestamp: number}} QueueMetrics
 */

/** A message's id is the queue's key and its `seq`; `own_id` is the id of a message that came from another queue. */
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS queued (
    seq INTEGER PRIMARY KEY,
    own_id TEXT,
    sent_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    visible_at INTEGER,
    lease_id TEXT,
    size INTEGER NOT NULL,
    body BLOB NOT NULL
  );
  CREATE INDEX IF NOT EXISTS queued_by_visible_at ON queued (visible_at) WHERE visible_at IS NOT NULL;
  CREATE UNIQUE INDEX IF NOT EXISTS queued_by_own_id ON queued (own_id) WHERE own_id IS NOT NULL;
  CREATE TABLE IF NOT EXISTS dead_letters (
    id TEXT PRIMARY KEY,
    sent_at INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    body BLOB NOT NULL
  );
  CREATE TABLE IF NOT EXISTS ids (key TEXT NOT NULL, reserved_until INTEGER NOT NULL);
`;

/** The table of earlier releases, in which each message had a random id. */
const EARLIER = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'messages'";
const TAKE_OVER = `
  INSERT INTO queued (seq, own_id, sent_at, stored_at, content_type, attempts, visible_at, lease_id, size, body)
    SELECT seq, id, sent_at, stored_at, content_type, attempts, visible_at, lease_id, size, body FROM messages;
  DROP TABLE messages;
`;

/** The columns that are read of a message if its body is not needed. */
const NAME_COLUMNS = 'seq, own_id, attempts';
const MESSAGE_COLUMNS = `${NAME_COLUMNS}, sent_at AS sentAt, stored_at AS storedAt, content_type AS contentType, body`;

/** The `?` of a statement is a JSON list that SQLite can search. */
const LISTED = 'IN (SELECT value FROM json_each(?))';

/** An id is as long as Cloudflare's: this many hexadecimal digits of the queue's key, the rest from `seq`. */
const KEY_DIGITS = 20;
const SEQ_DIGITS = 12;

/** How many values of `seq` are reserved at once: a value is never used again, not even after a restart. */
const RESERVED = 65_536;

export class QueueStore {
  #sql;
  #count;
  #bytes;
  #key;
  #nextSeq;
  #reservedUntil;

  /** @param {SqlStorage} sql */
  constructor(sql) {
    this.#sql = sql;
    sql.exec(SCHEMA);
    if (sql.exec(EARLIER).toArray().length > 0) sql.exec(TAKE_OVER);
    const totals = sql.exec('SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes, max(seq) AS last FROM queued').one();
    this.#count = Number(totals.count);
    this.#bytes = Number(totals.bytes);
    const [ids] = sql.exec('SELECT key, reserved_until FROM ids');
    this.#key = ids ? String(ids.key) : crypto.randomUUID().replaceAll('-', '').slice(0, KEY_DIGITS);
    this.#reservedUntil = Number(ids?.reserved_until ?? totals.last ?? 0);
    this.#nextSeq = this.#reservedUntil + 1;
    if (!ids) sql.exec('INSERT INTO ids (key, reserved_until) VALUES (?, ?)', this.#key, this.#reservedUntil);
  }

  /** @returns {QueueMetrics} */
  metrics() {
    const [oldest] = this.#sql.exec('SELECT sent_at FROM queued ORDER BY seq LIMIT 1');
    return {
      backlogCount: this.#count,
      backlogBytes: this.#bytes,
      oldestMessageTimestamp: Number(oldest?.sent_at ?? 0),
    };
  }

  /**
   * Stores messages, each visible after its own delay.
   *
   * @param {NewMessage[]} messages a message whose `id` exists already is left unchanged
   * @param {number} now
   */
  add(messages, now) {
    for (const message of messages) {
      const added = this.#sql.exec(
        `INSERT INTO queued (seq, own_id, sent_at, stored_at, content_type, visible_at, size, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING size`,
        this.#takeSeq(),
        message.id ?? null,
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

  #takeSeq() {
    if (this.#nextSeq > this.#reservedUntil) {
      this.#reservedUntil += RESERVED;
      this.#sql.exec('UPDATE ids SET reserved_until = ?', this.#reservedUntil);
    }
    return this.#nextSeq++;
  }

  /**
   * @param {any} row a row of `MESSAGE_COLUMNS`, or of `NAME_COLUMNS`
   * @returns {any} a `StoredMessage`, or a `NamedMessage`
   */
  #message({ own_id, ...message }) {
    return { ...message, id: own_id ?? this.#key + message.seq.toString(16).padStart(SEQ_DIGITS, '0') };
  }

  /**
   * @param {string} id
   * @returns {number | null} the `seq` of a message of this queue; null for another one
   */
  #seqOf(id) {
    return id.startsWith(this.#key) ? Number.parseInt(id.slice(KEY_DIGITS), 16) : null;
  }

  /**
   * Returns how many messages are due, counted up to a limit, and since when the first one is.
   *
   * @param {number} now
   * @param {number} limit
   */
  due(now, limit) {
    const rows = this.#sql
      .exec('SELECT visible_at FROM queued WHERE visible_at <= ? ORDER BY visible_at LIMIT ?', now, limit)
      .toArray();
    return { count: rows.length, since: Number(rows[0]?.visible_at ?? now) };
  }

  /**
   * Returns when the next hidden message becomes visible; Infinity if there is none.
   *
   * @param {number} now
   */
  nextVisibleAt(now) {
    const { at } = this.#sql.exec('SELECT min(visible_at) AS at FROM queued WHERE visible_at > ?', now).one();
    return at === null ? Infinity : Number(at);
  }

  /**
   * Returns the due messages, in their order.
   *
   * @param {number} now
   * @param {number} limit
   * @returns {StoredMessage[]}
   */
  visible(now, limit) {
    const sql = `SELECT ${MESSAGE_COLUMNS} FROM queued WHERE visible_at <= ? ORDER BY visible_at, seq LIMIT ?`;
    return this.#sql.exec(sql, now, limit).toArray().map((row) => this.#message(row));
  }

  /**
   * Returns the oldest messages, whatever their state.
   *
   * @param {number} limit
   * @returns {StoredMessage[]}
   */
  oldest(limit) {
    const rows = this.#sql.exec(`SELECT ${MESSAGE_COLUMNS} FROM queued ORDER BY seq LIMIT ?`, limit).toArray();
    return rows.map((row) => this.#message(row));
  }

  /**
   * Gives messages to a consumer Worker: counts an attempt for each, and hides them.
   *
   * @param {number[]} seqs
   */
  hold(seqs) {
    this.#sql.exec(
      `UPDATE queued SET visible_at = NULL, lease_id = NULL, attempts = attempts + 1 WHERE seq ${LISTED}`,
      JSON.stringify(seqs),
    );
  }

  /**
   * Leases one message to a pull consumer until a time.
   *
   * @param {number} seq
   * @param {string} leaseId
   * @param {number} until
   */
  lease(seq, leaseId, until) {
    this.#sql.exec(
      'UPDATE queued SET visible_at = ?, lease_id = ?, attempts = attempts + 1 WHERE seq = ?',
      until,
      leaseId,
      seq,
    );
  }

  /**
   * Returns the message of a lease that is still valid, or null.
   *
   * @param {string} id
   * @param {string} leaseId
   * @param {number} now
   * @returns {NamedMessage | null}
   */
  leased(id, leaseId, now) {
    const [row] = this.#sql.exec(
      `SELECT ${NAME_COLUMNS} FROM queued
       WHERE (own_id = ? OR (own_id IS NULL AND seq = ?)) AND lease_id = ? AND visible_at > ?`,
      id,
      this.#seqOf(id),
      leaseId,
      now,
    );
    return row ? this.#message(row) : null;
  }

  /**
   * Makes messages visible again from a time on.
   *
   * @param {number[]} seqs
   * @param {number} visibleAt
   */
  release(seqs, visibleAt) {
    this.#sql.exec(
      `UPDATE queued SET visible_at = ?, lease_id = NULL WHERE seq ${LISTED}`,
      visibleAt,
      JSON.stringify(seqs),
    );
  }

  /**
   * Makes messages of a batch that its consumer has not seen visible again from a time on, without counting an attempt.
   *
   * @param {number[]} seqs
   * @param {number} visibleAt
   */
  giveBack(seqs, visibleAt) {
    this.#sql.exec(
      `UPDATE queued SET visible_at = ?, attempts = attempts - 1 WHERE visible_at IS NULL AND seq ${LISTED}`,
      visibleAt,
      JSON.stringify(seqs),
    );
  }

  /**
   * Releases the messages that consumer Workers held when the runtime stopped.
   *
   * @param {number} now
   */
  releaseHeld(now) {
    this.#sql.exec('UPDATE queued SET visible_at = ? WHERE visible_at IS NULL', now);
  }

  /** @param {number[]} seqs */
  remove(seqs) {
    this.#grow(this.#sql.exec(`DELETE FROM queued WHERE seq ${LISTED} RETURNING size`, JSON.stringify(seqs)), -1);
  }

  removeAll() {
    this.#sql.exec('DELETE FROM queued');
    this.#count = 0;
    this.#bytes = 0;
  }

  /**
   * Returns messages with no deliveries left that became visible again in a span of time because a lease ended.
   *
   * @param {number} maxAttempts
   * @param {number} after
   * @param {number} until
   * @returns {NamedMessage[]}
   */
  spent(maxAttempts, after, until) {
    const sql = `SELECT ${NAME_COLUMNS} FROM queued WHERE visible_at > ? AND visible_at <= ? AND attempts >= ?`;
    return this.#sql.exec(sql, after, until, maxAttempts).toArray().map((row) => this.#message(row));
  }

  /**
   * Removes messages that are older than the retention, unless a consumer Worker holds them.
   *
   * @param {number} storedUntil
   */
  expire(storedUntil) {
    // Rows are in the order of their arrival, so the scan ends at the first recent one.
    const expired = [];
    for (const row of this.#sql.exec('SELECT seq, stored_at, visible_at FROM queued ORDER BY seq')) {
      if (Number(row.stored_at) > storedUntil) break;
      if (row.visible_at !== null) expired.push(Number(row.seq));
    }
    this.remove(expired);
  }

  /** Returns the arrival time of the oldest message; Infinity if there is none. */
  oldestStoredAt() {
    const [row] = this.#sql.exec('SELECT stored_at FROM queued ORDER BY seq LIMIT 1');
    return row === undefined ? Infinity : Number(row.stored_at);
  }

  /**
   * Moves messages out of the queue into the table from which they go to the dead letter queue.
   *
   * @param {Pick<StoredMessage, 'seq' | 'id'>[]} messages
   */
  deadLetter(messages) {
    this.#sql.exec(
      `INSERT OR IGNORE INTO dead_letters (id, sent_at, content_type, body)
       SELECT dead.value ->> 'id', sent_at, content_type, body FROM json_each(?) AS dead JOIN queued ON seq = dead.value ->> 'seq'`,
      JSON.stringify(messages.map(({ seq, id }) => ({ seq, id }))),
    );
    this.remove(messages.map(({ seq }) => seq));
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
    this.#sql.exec(`DELETE FROM dead_letters WHERE id ${LISTED}`, JSON.stringify(ids));
  }

  /**
   * Updates the totals, so that metrics need not count the backlog.
   *
   * @param {Iterable<Record<string, SqlStorageValue>>} rows rows with `size`
   * @param {1 | -1} sign
   */
  #grow(rows, sign) {
    for (const { size } of rows) {
      this.#count += sign;
      this.#bytes += sign * Number(size);
    }
  }
}
