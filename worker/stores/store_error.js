/** The errors of a store when the platform is at fault: they never count against a task or a caller. */

/** The store did not answer, or cannot answer now. The operation may have been done all the same. */
export class StoreUnavailable extends Error {
  /** @override */
  name = 'StoreUnavailable';

  /**
   * @param {string} message
   * @param {{retry_after_seconds?: number, cause?: unknown}} [more]
   */
  constructor(message, { retry_after_seconds = 1, cause } = {}) {
    super(message, { cause });
    this.retry_after_seconds = retry_after_seconds;
  }
}

/** This invocation may make no more calls to the store; the next one may. */
export class InvocationSpent extends StoreUnavailable {}

/** The store is full. */
export class StoreFull extends Error {
  /** @override */
  name = 'StoreFull';
}

/** @param {unknown} error */
export function isStoreError(error) {
  return error instanceof StoreUnavailable || error instanceof StoreFull;
}

/** SQLite's transient error codes: https://www.sqlite.org/rescode.html. All other codes mean that the statement is wrong. */
const PASSING_SQLITE = /SQLITE_(?:BUSY|LOCKED|IOERR|INTERRUPT|NOMEM|PROTOCOL|CANTOPEN|READONLY)/;
const SQLITE = /SQLITE_[A-Z]+|D1_(?:TYPE_ERROR|COLUMN_NOTFOUND)/;

/** The message of D1 (https://developers.cloudflare.com/d1/observability/debug-d1/#error-list), and that of SQLite in a Durable Object. */
const FULL = /SQLITE_FULL|Exceeded maximum DB size|database or disk is full/i;

/** An operation that KV will always refuse (https://developers.cloudflare.com/kv/api/write-key-value-pairs/). */
const REFUSED_BY_KV = /^KV \w+ failed: 4(?!08|29)\d\d /;

/** An invocation may make a limited number of calls (https://developers.cloudflare.com/workers/platform/limits/#subrequests): further calls in the
 * same invocation are refused too. */
const INVOCATION_SPENT = /too many (?:subrequests|api requests)|single worker invocation/i;

/**
 * Classifies an error of a call to D1, to a Durable Object or to KV. An unknown error counts as transient: a retry costs little, while giving up a
 * message costs a task.
 *
 * @param {unknown} error
 * @returns {'bug' | 'full' | 'spent' | 'passing'} `bug`: the call itself is wrong; `spent`: this invocation may make no further calls
 */
export function faultOf(error) {
  const text = String(error);
  if (FULL.test(text)) return 'full';
  if (INVOCATION_SPENT.test(text)) return 'spent';
  if (PASSING_SQLITE.test(text)) return 'passing';
  const isBug = SQLITE.test(text) || REFUSED_BY_KV.test(text.replace(/^Error: /, ''))
    || error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError || error instanceof SyntaxError;
  return isBug ? 'bug' : 'passing';
}
