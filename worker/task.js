/**
 * A task: a unit of work with an id, a payload and a status.
 *
 *   pending ──> processing ──> completed
 *    ^  ^ │         │  │
 *    │  └─│─ retry ─┘  ├─────> failed
 *    │    └────────────┴─────> cancelled
 *    └─── a new run, of what has failed or was cancelled
 *
 * A run is what one submission, retry by hand or redrive starts; each run has attempts of its own. An attempt holds its task
 * by a claim, whose name is in the task: one that has lost its task cannot write to it. An attempt that did not end, because
 * its isolate died, is a crash: the same attempt starts again.
 */

export { describeError } from './thrown.js';

/** @import { Callback } from './callback.js' */
/** @import { After } from './dependencies.js' */
/** @import { Group } from './group.js' */
/** @import { Tags } from './tags.js' */
/** @import { OwnPriority } from './priority.js' */

/** @typedef {'pending' | 'processing' | 'completed' | 'failed' | 'cancelled'} Status */

/** The request body as it came: a string when it is UTF-8 text, else its bytes. @typedef {string | Uint8Array<ArrayBuffer>} Payload */

/** What a handler is told beside the payload, by name. @typedef {Record<string, string>} Parameters */

/** The error of an attempt, as it is kept. @typedef {{name: string, message: string}} TaskError */

/** How far an attempt has come, in its own words. `percent` is 0 to 100. @typedef {{percent: number, note: string | null}} Progress */

/**
 * A task to be stored.
 *
 * @typedef {object} NewTask
 * @property {string} taskId
 * @property {string} handler the name of a handler
 * @property {Parameters} parameters
 * @property {Payload} payload
 * @property {number} delay_seconds wait before the first attempt
 * @property {number | null} ttl_seconds from the end of the delay; null: {@link TASK_TTL_SECONDS}
 * @property {number | null} max_retries null: the stack's
 * @property {Idempotency | null} idempotency
 * @property {Callback | null} [callback] where it is told that it has ended
 * @property {Group | null} [group] whose limits hold for it
 * @property {OwnPriority | null} [priority] null: normal
 * @property {boolean} [replacesPending] whether it takes the place of the task with its idempotency key that has not started yet, and the key
 *   from one that has
 * @property {boolean} [mayBeThere] whether it may be stored already, and is to stay as it is then
 * @property {boolean} [isHeld] whether it is not to be attempted before something releases it; its delay and its time to live count
 *   from then on
 * @property {After | null} [after] after which tasks it starts
 * @property {string[]} [awaits] those of them that have not ended
 * @property {Tags | null} [tags]
 * @property {string} [submittedBy] the id of the task whose handler submitted it
 */

/**
 * What makes two submissions one: the same key. The fingerprint is of what was submitted; another one with the same key
 * is a mistake of the caller's.
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
 * @property {number} attempts of this run; never more than the retries that it may have and one
 * @property {number} crashes attempts of this run whose isolate died, apart from the attempts
 * @property {number | null} max_retries of this task; null: the stack's
 * @property {Progress | null} progress
 * @property {TaskError | null} error of the last attempt that failed
 * @property {string | null} group the key of its group
 * @property {OwnPriority | null} priority null: normal
 * @property {'group' | null} waiting_for what a held task waits for, where that is its turn in its group
 * @property {Tags} [tags] where it has some
 * @property {number} created_ms
 * @property {number | null} started_ms when the first attempt of this run began
 * @property {number | null} finished_ms
 * @property {number | null} next_attempt_ms when a pending task is due that waits for its delay or its backoff; null of a held one
 * @property {number | null} expires_ms null while it is held
 */

/** A task's callback: `taskId` and `status` are null while there is no task of it. @typedef {Callback & {taskId: string | null, status: Status | null}} CallbackState */

/** After which tasks a task starts, and which of them it still waits for. @typedef {After & {awaits: string[]}} AfterState */

/** A task as it is kept, beside its payload. `result` is JSON text; `parent` of a callback is the id of the task that it tells of,
 * of a task that a handler submitted that of the handler's task.
 *
 * @typedef {TaskSummary & {result: string | null, callback: CallbackState | null, parent: string | null, after: AfterState | null}} TaskRecord
 */

/**
 * A task that an attempt may work on.
 *
 * @typedef {object} ClaimedTask
 * @property {string} taskId
 * @property {number} run
 * @property {number} attempts 1 for the first of a run
 * @property {number} crashes earlier ones of this run
 * @property {string} claim the name of the claim, another one each time
 * @property {string} handler
 * @property {Parameters} parameters
 * @property {Payload} payload
 * @property {number | null} max_retries
 * @property {Callback | null} [callback]
 * @property {string | null} [group] the name of its group
 * @property {OwnPriority} [priority]
 * @property {string | null} [parent] of a callback: the id of the task that it tells of
 * @property {string | null} [story] of its earlier attempts, see `story.js`
 * @property {After | null} [after]
 */

/**
 * A step of a task, as it is kept. `waiting`: for its time, for its event, or for its next attempt, until `due_ms`. `result` is JSON text.
 *
 * @typedef {{name: string, kind: 'step' | 'sleep' | 'event', status: 'waiting' | 'completed' | 'failed', run: number, attempts: number,
 *   started_ms: number, finished_ms: number | null, due_ms: number | null, error: TaskError | null, result: string | null}} StepRecord
 */

/** An event that was sent to a task; `payload` is JSON text. @typedef {{payload: string, received_ms: number}} TaskEvent */

/** The name of an attempt. @typedef {Pick<ClaimedTask, 'taskId' | 'run' | 'attempts' | 'crashes' | 'claim'>} AttemptName */

/**
 * What an attempt made of a task: `pending` waits for the next attempt, due at `next_attempt_ms`; `completed` and
 * `failed` are final. `result` is JSON text; `ended_ms` is when the handler ended; `callback`, `group` and `priority` are the task's, where it has them; `story` the task's with this attempt, null
 * where there is none to tell. One that is `suspended` waits for steps and is no
 * attempt that was spent; it is due as soon as one of the `events` is there.
 *
 * @typedef {AttemptName & {progress: Progress | null, ended_ms: number, callback?: Callback, group?: string, priority?: OwnPriority, story?: string | null} & ({status: 'completed', result: string}
 *   | {status: 'failed', error: TaskError}
 *   | {status: 'pending', error: TaskError | null, next_attempt_ms: number, suspended?: boolean, events?: string[]})} Outcome
 */

/** @type {readonly Status[]} */
export const STATUSES = ['pending', 'processing', 'completed', 'failed', 'cancelled'];

/** @type {ReadonlySet<Status>} */
export const ENDED = new Set(/** @type {const} */ (['completed', 'failed', 'cancelled']));

/** How long a task is kept that asks for nothing else, from its creation or the end of its delay: a day. */
export const TASK_TTL_SECONDS = 86_400;

/** The shortest time to live (KV takes no shorter one, https://developers.cloudflare.com/kv/api/write-key-value-pairs/)
 * and the longest: a week. */
export const MIN_TTL_SECONDS = 60;
export const MAX_TTL_SECONDS = 604_800;

/** The longest wait of a message (https://developers.cloudflare.com/queues/platform/limits/). */
export const MAX_DELAY_SECONDS = 86_400;

/**
 * When a held task is due: the latest time that there is (https://tc39.es/ecma262/#sec-time-values-and-time-range). It is one that is
 * pending and must not be attempted before something releases it.
 */
export const HELD_UNTIL_MS = 8_640_000_000_000_000;

/** The longest that a step may wait: a year, as Cloudflare's own (https://developers.cloudflare.com/workflows/reference/limits/). */
export const MAX_WAIT_SECONDS = 31_536_000;

/** Most retries that a task may ask for: what Cloudflare lets a queue's consumer have. */
export const MAX_RETRIES = 100;

/**
 * How long an attempt may hold a task before another one may take it: the wall-clock limit of a queue consumer
 * (https://developers.cloudflare.com/queues/platform/limits/), past which the holder is surely gone.
 */
export const LEASE_SECONDS = 15 * 60;

/** How long the sweeper leaves a young task alone: its POST may still be handing it over. */
export const SWEEP_GRACE_SECONDS = 60;

/** How often a task's isolate may die before the task is held to be the cause, and fails. */
export const MAX_CRASHES = 3;

/** Longest request body of one task. A D1 row may have 2 MB (https://developers.cloudflare.com/d1/platform/limits/). */
export const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** Longest result of a task, as JSON: small enough that a store takes it beside the payload. */
export const MAX_RESULT_BYTES = 256 * 1024;
