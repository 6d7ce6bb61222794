/** An error of a call that the control plane can distinguish: one of the kinds of PlatformError, and a text. */
export class CallError extends Error {
  /**
   * @param {'bad_request' | 'sql' | 'workflow' | 'not_found'} kind
   * @param {string} message
   */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}
