/** Errors of the internal API: their kinds, with the HTTP status of each. */

/** @typedef {keyof typeof STATUS} ErrorKind */

const STATUS = {
  bad_request: 400,
  sql: 400,
  workflow: 400,
  unauthorized: 401,
  not_found: 404,
  port_in_use: 409,
  invalid_worker: 422,
  internal: 500,
};

/** A failure that the control plane can distinguish. */
export class PlatformError extends Error {
  /**
   * @param {ErrorKind} kind
   * @param {string} message
   */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }

  get status() {
    return STATUS[this.kind];
  }
}
