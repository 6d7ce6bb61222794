/** What a store throws when it cannot do what it was asked: the platform's faults, and no others. */

/** The store did not answer, or asked to be left alone for a while. What it was asked may be asked again. */
export class StoreUnavailable extends Error {
  /** @override */
  name = 'StoreUnavailable';

  /**
   * @param {string} message
   * @param {object} [more]
   * @param {number} [more.retry_after_seconds] when to ask again
   * @param {unknown} [more.cause] what the platform threw
   */
  constructor(message, { retry_after_seconds = 1, cause } = {}) {
    super(message, { cause });
    this.retry_after_seconds = retry_after_seconds;
  }
}

/** The store has no room for what was to be written. */
export class StoreFull extends Error {
  /** @override */
  name = 'StoreFull';
}
