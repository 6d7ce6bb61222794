/**
 * A task: a unit of work with an id, a payload and a status.
 *
 *   pending ──> processing ──> completed
 *    ^  ^ │         │  │
 *    │  └─│─ retry ─┘  ├─────> failed
 *    │    └────────────┴─────> cancelled
 *    └─── a new run, of what has failed or was cancelled
 *
 * A run begins with a submission, a retry by hand or a redrive; each run has its own attempts. An attempt holds its task by a claim, whose name is
 * stored in the task: an attempt that has lost its task cannot write to it. An attempt that did not end, because its isolate died, is a crash: the
 * same attempt starts again.
 */

export { describeError } from './thrown.js';

/** @import { Callback } from './callback.js' */
/** @import { After } from './dependencies.js' */
/** @import { Group } from './group.js' */
/** @import { Tags } from './tags.js' */
/** @import { OwnPriority } from './priority.js' */

/** @typedef {'pending' | 'processing' | 'completed' | 'failed' | 'cancelled'} Status */

/** The request body, unchanged: a string if it is UTF-8 text, else its bytes. @typedef {string | Uint8Array<ArrayBuffer>} Payload */

/** What a handler receives besides the payload, by name. @typedef {Record<string, string>} Parameters */

/** The error of an attempt, as it is stored. @typedef {{name: string, message: string}} TaskError */

/** The progress of an attempt, in the handler's words. `percent` is 0 to 100. @typedef {{percent: number, note: string | null}} Progress */

/**
 * A task to be stored.
 *
 * @typedef {object} NewTask
 * @property {string} taskId
 * @property {string} handler the name of a handler
 * @property {Parameters} parameters
 * @property {Payload} payload
 * @property {number} delay_seconds the delay before the first attempt
 * @property {number | null} ttl_seconds from the end of the delay; null: {@link TASK_TTL_SECONDS}
 * @property {number | null} max_retries null: the stack's default
 * @property {Idempotency | null} idempotency
 * @property {Callback | null} [callback] the URL to call when it has ended
 * @property {Group | null} [group] the group whose limits apply to it
 * @property {OwnPriority | null} [priority] null: normal
 * @property {boolean} [replacesPending] whether it replaces the task with its idempotency key that has not started; if that one has started, whether
 *   it takes over the key
 * @property {boolean} [mayBeThere] whether it may be stored already; a stored one stays unchanged
 * @property {boolean} [isHeld] whether it must not be attempted until it is released; its delay and its time to live count from then on
 * @property {After | null} [after] the tasks that it starts after
 * @property {string[]} [awaits] those of them that have not ended
 * @property {Tags | null} [tags]
 * @property {string} [submittedBy] the id of the task whose handler submitted it
 */

/**
 * The identity of a submission: the same key makes two submissions the same. The fingerprint is that of the submitted data; a different fingerprint
 * with the same key is a mistake of the caller's.
 *
 * @typedef {{key: string, fingerprint: string}} Idempotency
 */

/** A task as lists show it. Times are Unix times in milliseconds.
 *
 * @typedef {object} TaskSummary
 * @property {string} taskId
 * @property {Status} status
 * @property {string} handler
 * @property {number} run 1 for the first
 * @property {number} attempts the attempts of this run; at most one more than its retries
 * @property {number} crashes the attempts of this run whose isolate died; they are not counted in `attempts`
 * @property {number | null} max_retries the setting of this task; null: the stack's default
 * @property {Progress | null} progress
 * @property {TaskError | null} error the error of the last failed attempt
 * @property {string | null} group the key of its group
 * @property {OwnPriority | null} priority null: normal
 * @property {'group' | null} waiting_for what a held task waits for, if that is its turn in its group
 * @property {Tags} [tags] its tags, if it has any
 * @property {number} created_ms
 * @property {number | null} started_ms when the first attempt of this run began
 * @property {number | null} finished_ms
 * @property {number | null} next_attempt_ms when a pending task is due, if it waits for its delay or its backoff; null for a held one
 * @property {number | null} expires_ms null while it is held
 */

/** A task's callback: `taskId` and `status` are null until the callback's task is created.
 * @typedef {Callback & {taskId: string | null, status: Status | null}} CallbackState */

/** The tasks that a task starts after, and those of them that it still waits for. @typedef {After & {awaits: string[]}} AfterState */

/** A task as it is stored, without its payload. `result` is JSON text; `parent` is, for a callback, the id of the task that ended, and for a task that
 * a handler submitted, the id of the handler's task.
 *
 * @typedef {TaskSummary & {result: string | null, callback: CallbackState | null, parent: string | null, after: AfterState | null}} TaskRecord
 */

/**
 * A task that an attempt has claimed.
 *
 * @typedef {object} ClaimedTask
 * @property {string} taskId
 * @property {number} run
 * @property {number} attempts the number of this attempt in its run, from 1
 * @property {number} crashes the earlier crashes of this run
 * @property {string} claim the name of the claim, a new one each time
 * @property {string} handler
 * @property {Parameters} parameters
 * @property {Payload} payload
 * @property {number | null} max_retries
 * @property {Callback | null} [callback]
 * @property {string | null} [group] the name of its group
 * @property {OwnPriority} [priority]
 * @property {string | null} [parent] for a callback: the id of the task that ended
 * @property {string | null} [story] the story of its earlier attempts, see `story.js`
 * @property {After | null} [after]
 */

/**
 * A step of a task, as it is stored. `waiting`: for its time, its event, or its next attempt, until `due_ms`. `result` is JSON text.
 *
 * @typedef {{name: string, kind: 'step' | 'sleep' | 'event', status: 'waiting' | 'completed' | 'failed', run: number, attempts: number,
 *   started_ms: number, finished_ms: number | null, due_ms: number | null, error: TaskError | null, result: string | null}} StepRecord
 */

/** An event that was sent to a task; `payload` is JSON text. @typedef {{payload: string, received_ms: number}} TaskEvent */

/** The name of an attempt. @typedef {Pick<ClaimedTask, 'taskId' | 'run' | 'attempts' | 'crashes' | 'claim'>} AttemptName */

/**
 * The outcome of an attempt. `pending`: the task waits for the next attempt, due at `next_attempt_ms`; `completed` and `failed` are final. `result`
 * is JSON text; `ended_ms` is when the handler ended; `callback`, `group` and `priority` are the task's, if it has them; `story` is the task's with
 * this attempt, null if there is nothing to tell. A `suspended` task waits for steps, which uses up no attempt; it becomes due as soon as one of the
 * `events` has come.
 *
 * @typedef {AttemptName & {progress: Progress | null, ended_ms: number, callback?: Callback, group?: string, priority?: OwnPriority, story?: string | null} & ({status: 'completed', result: string}
 *   | {status: 'failed', error: TaskError}
 *   | {status: 'pending', error: TaskError | null, next_attempt_ms: number, suspended?: boolean, events?: string[]})} Outcome
 */

/** @type {readonly Status[]} */
export const STATUSES = ['pending', 'processing', 'completed', 'failed', 'cancelled'];

/** @type {ReadonlySet<Status>} */
export const ENDED = new Set(/** @type {const} */ (['completed', 'failed', 'cancelled']));

/** How long a task is kept by default, from its creation or the end of its delay: a day. */
export const TASK_TTL_SECONDS = 86_400;

/** The shortest time to live (KV accepts no shorter one, https://developers.cloudflare.com/kv/api/write-key-value-pairs/) and the longest: a week. */
export const MIN_TTL_SECONDS = 60;
export const MAX_TTL_SECONDS = 604_800;

/** The longest delay of a message (https://developers.cloudflare.com/queues/platform/limits/). */
export const MAX_DELAY_SECONDS = 86_400;

/**
 * The due time of a held task: the latest time that a Date can have (https://tc39.es/ecma262/#sec-time-values-and-time-range). A held task is pending
 * and must not be attempted until it is released.
 */
export const HELD_UNTIL_MS = 8_640_000_000_000_000;

/** The longest wait of a step: a year, as in Cloudflare Workflows (https://developers.cloudflare.com/workflows/reference/limits/). */
export const MAX_WAIT_SECONDS = 31_536_000;

/** The most retries of a task: Cloudflare's maximum for a queue's consumer. */
export const MAX_RETRIES = 100;

/**
 * The lease: how long an attempt may hold a task before another one may claim it. It is the wall-clock limit of a queue consumer
 * (https://developers.cloudflare.com/queues/platform/limits/), after which the holder is certainly gone.
 */
export const LEASE_SECONDS = 15 * 60;

/** How long the sweeper leaves a new task alone: its POST may still be submitting it. */
export const SWEEP_GRACE_SECONDS = 60;

/** How often a task's isolate may die before the task counts as the cause, and fails. */
export const MAX_CRASHES = 3;

/** The longest request body of one task. A D1 row may have 2 MB (https://developers.cloudflare.com/d1/platform/limits/). */
export const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** The longest result of a task, as JSON. It is small enough to be stored besides the payload. */
export const MAX_RESULT_BYTES = 256 * 1024;
