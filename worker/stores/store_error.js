/** What a store throws when the platform is at fault: nothing of it counts against a task or a caller. */

/** The store did not answer, or answered that it cannot now; what was asked may have been done all the same. */
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

/** This invocation may ask the store no more; the next one may. */
export class InvocationSpent extends StoreUnavailable {}

/** The store has no room for more. */
export class StoreFull extends Error {
  /** @override */
  name = 'StoreFull';
}

/** @param {unknown} error */
export function isStoreError(error) {
  return error instanceof StoreUnavailable || error instanceof StoreFull;
}

/** SQLite's codes that come and go: https://www.sqlite.org/rescode.html. Every other one is the statement's fault. */
const PASSING_SQLITE = /SQLITE_(?:BUSY|LOCKED|IOERR|INTERRUPT|NOMEM|PROTOCOL|CANTOPEN|READONLY)/;
const SQLITE = /SQLITE_[A-Z]+|D1_(?:TYPE_ERROR|COLUMN_NOTFOUND)/;

/** D1's text (https://developers.cloudflare.com/d1/observability/debug-d1/#error-list), and SQLite's in a Durable Object. */
const FULL = /SQLITE_FULL|Exceeded maximum DB size|database or disk is full/i;

/** A key-value operation that KV will never take (https://developers.cloudflare.com/kv/api/write-key-value-pairs/). */
const REFUSED_BY_KV = /^KV \w+ failed: 4(?!08|29)\d\d /;

/** An invocation has a number of calls (https://developers.cloudflare.com/workers/platform/limits/#subrequests): another one
 * in the same invocation is refused just so. */
const INVOCATION_SPENT = /too many (?:subrequests|api requests)|single worker invocation/i;

/**
 * Tells what is at fault when a call to D1, to a Durable Object or to KV throws. What is not known is held for passing: to
 * try again costs little, and a message given up costs a task.
 *
 * @param {unknown} error
 * @returns {'bug' | 'full' | 'spent' | 'passing'} `bug`: the call itself; `spent`: this invocation may make no further calls
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
