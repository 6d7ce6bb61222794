/**
 * What every store does. A status moves only from the states that its method names, so that a late, repeated or
 * reordered delivery cannot move a task back; how firmly a store keeps that is in `promises.json`.
 */

/** @import { AttemptName, ClaimedTask, NewTask, Outcome, Progress, Status, TaskError, TaskRecord, TaskSummary } from '../task.js' */

/**
 * What became of a task that was to be stored: `isNew`; or there was one with its idempotency key, which is the one
 * named here; or that one was of another fingerprint (`conflict`).
 *
 * @typedef {{taskId: string, run: number, status: Status, isNew: boolean, conflict: boolean}} Insertion
 */

/**
 * A message's name for its task: the run that it is for, how often it was delivered, and whether it starts that run
 * itself (a redrive of a dead letter of the run before).
 *
 * @typedef {{taskId: string, run: number, attempts: number, redrive: boolean}} Delivery
 */

/**
 * An unfinished task that nobody works on and that is due; `sent_at_ms` is when the sweeper last handed it to the engine,
 * if it did; `due_ms` when it was to be attempted; `isHeld` whether an attempt that never ended has it.
 *
 * @typedef {{taskId: string, run: number, attempts: number, max_retries: number | null, due_ms: number,
 *   sent_at_ms: number | null, isHeld: boolean}} OpenTask
 */

/** Which tasks a list shows: all of a status and of a handler, where given; those older than a cursor, where given.
 *
 * @typedef {{status: Status | null, handler: string | null, limit: number, cursor: string | null}} Query
 */

/** Newest first; `cursor` asks for those after them, null when there are none. It may have fewer than its limit, or none,
 * and yet a cursor: looking costs, so a list looks at a bounded number of tasks. @typedef {{tasks: TaskSummary[], cursor: string | null}} Page */

/** What statistics need of a task. @typedef {Pick<TaskSummary, 'status' | 'created_ms' | 'started_ms' | 'finished_ms'>} Moments */

/**
 * The newest tasks, a bounded number, and whether these are all; of a store with former ones also those of each of them.
 *
 * @typedef {{tasks: Moments[], isAll: boolean, former?: {store: string, tasks: Moments[], isAll: boolean}[]}} Recent
 */

/** What the sweeper has done since the store has had tasks. @typedef {{expired: number, resent: number, returned: number, failed: number}} SweepCounts */

/**
 * @typedef {object} Store
 * @property {number} settling_seconds how long to wait for a task that should be there and is not yet seen
 * @property {(tasks: NewTask[]) => Promise<Insertion[]>} insert new tasks, pending, each of another idempotency key; one
 *   answer each, in their order
 * @property {(taskId: string) => Promise<TaskRecord | null>} find null when there is no such task, or its time to live is over
 * @property {(deliveries: Delivery[]) => Promise<ClaimedTask[]>} claim takes the tasks that may be worked on now, for
 *   the time of a lease: pending ones of the delivery's run, and processing ones of that run whose lease has run out or
 *   whose delivery is not the first (it comes again only after the earlier attempt has ended); a redrive also failed ones
 *   of the run before
 * @property {(deliveries: Delivery[]) => Promise<Set<string>>} existing those whose task is there, in whatever state; where the
 *   store may show an earlier one, a task that the delivery is ahead of is not yet there
 * @property {(outcomes: Outcome[]) => Promise<Set<string>>} settle writes what became of processing tasks; tells which
 *   still belonged to the attempt
 * @property {(reports: (AttemptName & {progress: Progress | null})[]) => Promise<Set<string>>} report keeps the progress of
 *   processing tasks (null: none that is new); tells which still belong to the attempt
 * @property {(taskId: string) => Promise<boolean>} cancel ends an unfinished task; false when it has ended or is not there
 * @property {(taskId: string) => Promise<number | null>} retry starts a new run of a failed or cancelled task, which is
 *   pending then, with a new time to live; its number, or null when the task is in another state or not there
 * @property {(lost: AttemptName[], error: TaskError) => Promise<void>} abandon ends open tasks that nobody will attempt again; not
 *   those that have gone on since, with another attempt or run
 * @property {(taskIds: string[]) => Promise<void>} markSent remembers that the sweeper has handed over these tasks
 * @property {(before_ms: number) => Promise<OpenTask[]>} sweep open tasks due before a Unix time, a bounded number
 * @property {() => Promise<number>} expire deletes tasks whose time to live is over, a bounded number; tells how many
 * @property {(counts: SweepCounts) => Promise<void>} countSweep adds to what the sweeper has done
 * @property {() => Promise<SweepCounts>} sweepCounts
 * @property {(query: Query) => Promise<Page>} list
 * @property {() => Promise<Recent>} recent
 */

export {};
