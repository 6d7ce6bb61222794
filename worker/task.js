/**
 * A task: a unit of work with an id, a payload and a status.
 *
 *   pending ──> processing ──> completed
 *      ^            │
 *      └── retry ───┴────────> failed
 */

/** @typedef {'pending' | 'processing' | 'completed' | 'failed'} Status */

/** The request body as it came: a string when it is UTF-8 text, else its bytes. @typedef {string | Uint8Array<ArrayBuffer>} Payload */

/** A task that an attempt may work on. @typedef {{taskId: string, payload: Payload, attempts: number}} ClaimedTask */

/**
 * What does a task's work: gets the payload, returns its result (anything that JSON can hold) or throws.
 *
 * @typedef {(payload: Payload) => unknown} Handler
 */

/** A task as it is kept, beside its payload. `result` is JSON; `error` that of the last attempt that failed.
 *
 * @typedef {{status: Status, attempts: number, result: string | null, error: TaskError | null}} TaskRecord
 */

/** The error of an attempt, as it is kept. @typedef {{name: string, message: string}} TaskError */

/**
 * What an attempt made of a task: `pending` waits for the next attempt, `completed` and `failed` are final.
 * `result` is JSON text; `error` belongs to the attempt that failed.
 *
 * @typedef {{taskId: string, status: 'completed', result: string}
 *   | {taskId: string, status: 'pending' | 'failed', error: TaskError}} Outcome
 */

/** How long a task is kept, from its creation: a day, after which nobody polls for it. */
export const TASK_TTL_SECONDS = 86_400;

/**
 * How long an attempt may hold a task before another one may take it: the wall-clock limit of a queue consumer
 * (https://developers.cloudflare.com/queues/platform/limits/), past which the holder is surely gone.
 */
export const LEASE_SECONDS = 15 * 60;

/** How long the sweeper leaves a young task alone: its POST may still be handing it over. */
export const SWEEP_GRACE_SECONDS = 60;

/** Longest request body. A D1 row may have 2 MB (https://developers.cloudflare.com/d1/platform/limits/). */
export const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** Longest result of a task, as JSON: small enough that a store takes it beside the payload. */
export const MAX_RESULT_BYTES = 256 * 1024;

/** Longest error message kept with a task, in UTF-16 code units. */
const MAX_ERROR_LENGTH = 1_000;

/**
 * @param {unknown} thrown whatever a handler threw
 * @returns {TaskError}
 */
export function describeError(thrown) {
  const isError = thrown instanceof Error;
  return { name: isError ? textOf(thrown.name) : 'Error', message: textOf(isError ? thrown.message : thrown) };
}

/** @param {unknown} value anything: a handler may throw what cannot even be made a string */
function textOf(value) {
  try {
    return String(value).slice(0, MAX_ERROR_LENGTH);
  } catch {
    return 'a value that cannot be shown';
  }
}
