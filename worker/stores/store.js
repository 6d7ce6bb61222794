/**
 * What every store does. A status moves only from the states that its method names, so that a late, repeated or
 * reordered delivery cannot move a task back; how firmly a store keeps that is in `guarantees.json`.
 */

/** @import { AttemptName, ClaimedTask, NewTask, Outcome, Parameters, Payload, Progress, Status, StepRecord, TaskError, TaskEvent, TaskRecord, TaskSummary } from '../task.js' */
/** @import { Link, LinkEnd } from '../dependencies.js' */
/** @import { Submission } from '../engines/engine.js' */
/** @import { FollowUp } from '../follow_up.js' */
/** @import { Group } from '../group.js' */
/** @import { Tags } from '../tags.js' */
/** @import { OwnPriority } from '../priority.js' */
/** @import { Buckets } from './buckets.js' */
/** @import { History } from './history.js' */
/** @import { StatusCounts, Totals } from './tally.js' */

/**
 * What became of a task that was to be stored: `isNew` (`isHeld`: and held); or there was one with its idempotency key, which is the one
 * named here; or that one was of another fingerprint (`conflict`). One that it has taken the place of `isReplaced`: its run is
 * another one where it is due earlier now than it was. `follows` are the runs that may start in its group; its own is one of them, where it
 * came to the group's line.
 *
 * @typedef {{taskId: string, run: number, status: Status, isNew: boolean, conflict: boolean, isHeld: boolean, isReplaced?: boolean,
 *   follows?: Submission[]}} Insertion
 */

/**
 * What asks for a task, on behalf of a message or of a workflow's instance.
 *
 * @typedef {object} Delivery
 * @property {string} taskId
 * @property {number} run that it is for
 * @property {boolean} redrive whether it starts that run itself: a redrive of a dead letter of the run before
 * @property {string} holder the message or instance
 * @property {number} delivery how often that was delivered, 1 for the first time: it comes again only after the earlier
 *   attempt has ended
 * @property {string} claim a new name each time; a repetition with the same name finds what it already holds
 * @property {Ended[]} ended whose attempts have ended as well: those of messages whose place it took, and of copies
 */

/**
 * Attempts that have ended though no outcome may be written: those claimed for a message up to that delivery. That of the delivery
 * `released` ended in an isolate that lived, so that it is no crash; 0 for none.
 *
 * @typedef {{holder: string, delivery: number, released: number}} Ended
 */

/**
 * What a claim gets; `follows` are the runs of other tasks that may start now.
 *
 * - `claimed`: the task, for the time of a lease;
 * - `suspect`: its attempt was lost with its isolate, so it may be claimed only by one that runs it alone;
 * - `wait`: it is not due before then; `later`: too much was claimed with it to fit in memory;
 * - `held`: another attempt works on it;
 * - `unreleased`: it waits for something to release it, or for its handler to be resumed, after which it is handed over anew;
 * - `over`: it has ended, or gone on to another run; `hasFailed` when it has failed in this one;
 * - `spent`: it has no attempts left, which happens when fewer are allowed than were; `crashed`: its isolate died too often;
 * - `absent`: there is no such task; `unreachable`: its store does not answer.
 *
 * @typedef {({kind: 'claimed', task: ClaimedTask} | {kind: 'suspect', crashes: number} | {kind: 'wait', until_ms: number}
 *   | {kind: 'later'} | {kind: 'held', isOwn: boolean} | {kind: 'unreleased'} | {kind: 'over', hasFailed: boolean} | {kind: 'spent', attempts: number}
 *   | {kind: 'crashed', attempts: number} | {kind: 'absent'} | {kind: 'unreachable', error: Error})
 *   & {follows?: Submission[]}} ClaimAnswer
 */

/** Whose a task is that an attempt writes to: `ours`, or no longer; `lost` when its store does not answer. @typedef {'ours' | 'superseded' | 'lost'} Standing */

/** Whose each task was, and what follows the end of those that have ended. @typedef {{standings: Map<string, Standing>, followUp: FollowUp}} Settled */

/**
 * An unfinished task that nobody works on and that is due; `sent_at_ms` is when the sweeper last handed it to the engine,
 * if it did; `due_ms` when it was to be attempted; `isHeld` whether an attempt that never ended has it.
 *
 * @typedef {{taskId: string, run: number, attempts: number, max_retries: number | null, due_ms: number,
 *   sent_at_ms: number | null, isHeld: boolean, priority?: OwnPriority}} OpenTask
 */

/** An open task that will not be attempted again; by the delivery that found it, or by the sweeper.
 *
 * @typedef {Pick<AttemptName, 'taskId' | 'run' | 'attempts'> & Partial<Pick<Delivery, 'holder' | 'delivery' | 'ended'>>} Abandoned
 */

/** A task whose message the sweeper sent again, first of all that may be lost: once it has arrived in its queue, so have those
 * sent before it, or they are lost. `queue` is its binding.
 *
 * @typedef {{queue: string, taskId: string, run: number, attempts: number, sent_at_ms: number}} Probe
 */

/** Which version of the Worker an object runs; null while it is one that does not tell. @typedef {{name: string, version: string | null}} RunningVersion */

/** How full a database is; `name` is its binding, or the object's. @typedef {{name: string, bytes: number, limit_bytes: number}} Fill */

/** Which tasks a list shows: all of a status, of a handler, of a group's key, of a parent and with all of some tags, where given; those older than a cursor, where given, and no older than an id
 * or the beginning of one (`since`); those whose error has a text in it, whatever its letters' case.
 *
 * @typedef {{status: Status | null, handler: string | null, group?: string | null, tags?: Tags | null, parent?: string | null, limit: number, cursor: string | null, since?: string, error?: string | null}} Query
 */

/** Newest first; `cursor` asks for those after them, null when there are none. It may have fewer than its limit, or none,
 * and yet a cursor: looking costs, so a list looks at a bounded number of tasks. @typedef {{tasks: TaskSummary[], cursor: string | null}} Page */

/** Whether the event is the one that was sent, and not an earlier one of its name; the run that waits for it, if one does.
 *
 * @typedef {{isFirst: boolean, waiting: Omit<Submission, 'taskId' | 'delay_seconds'> | null}} EventReceipt
 */

/** What the sweeper has done since the store has had tasks. @typedef {{expired: number, resent: number, returned: number, failed: number}} SweepCounts */

/**
 * What has happened in one database or object, or in KV, since it is there: what only grows. `counted_ms` is the Unix time up to which the
 * sweeper has counted its tasks; `handlers` null where that is not kept.
 *
 * @typedef {{name: string, counted_ms: number | null, sweeper: SweepCounts, handlers: Totals | null}} PartTotals
 */

/**
 * What there is, as it was at a Unix time, 0 where nobody has counted yet: tasks by status, all of them or (not `isAll`) the newest, the
 * oldest of them from `since_ms`; and what was done in the last minutes and before. Who asks no sooner than `fresh_until_ms` all day stays within
 * the Free plan. A store with former ones tells of each of those as well.
 *
 * @typedef {{as_of_ms: number, fresh_until_ms: number, counts: StatusCounts, since_ms: number | null, isAll: boolean, minutes: Buckets, history: History, sweeper: SweepCounts, parts: PartTotals[],
 *   former?: {store: string, counts: StatusCounts, isAll: boolean}[]}} Statistics
 */

/** What became of a task. `length` is that of its result in bytes, which may be left out. @typedef {Pick<TaskRecord, 'taskId' | 'status' | 'handler' | 'run' | 'max_retries' | 'error' | 'result'> & {length: number}} TaskResult */

/** A schedule as a store has it: JSON. @typedef {{name: string, schedule: string}} KeptSchedule */

/** A handler whose tasks wait, `*` for all, since a Unix time. @typedef {{handler: string, paused_ms: number}} Pause */

/** A task's payload as it was submitted; null once it is not kept any more. @typedef {{payload: Payload | null}} KeptPayload */

/** What is kept of a task beside what it shows: its story, until when the attempt that runs may hold it, and its parameters.
 *
 * @typedef {{story: string | null, lease_expires_ms: number | null, parameters: Parameters}} KeptStory
 */

/**
 * Methods may be repeated: each finds what it has already done. Those of several tasks tell of each on its own, so that a part
 * of the store that is down hurts its own tasks alone; the others throw `StoreUnavailable` or `StoreFull`.
 *
 * @typedef {object} Store
 * @property {number} settling_seconds how long to wait for a task that should be there and is not yet seen
 * @property {(tasks: NewTask[]) => Promise<(Insertion | Error)[]>} insert new tasks, pending, each of another idempotency key; one
 *   answer each, in their order: an error where its part of the store is down or full
 * @property {boolean} hasGroups whether tasks may have groups
 * @property {(groupOf: (name: string) => Group) => Promise<FollowUp>} refreshGroups gives the groups in which tasks wait the limits of the
 *   present deployment, and turns to those tasks that these allow
 * @property {boolean} tells whether `changed` comes back as soon as something changes, wherever that is done
 * @property {(task: TaskRecord, wait_ms: number) => Promise<void>} changed waits until a task is not as it was, or the time is up; to be
 *   asked of a store that `tells` alone
 * @property {(taskId: string) => Promise<TaskRecord | null>} find null when there is no such task, or its time to live is over
 * @property {(deliveries: Delivery[], isAlone?: boolean) => Promise<Map<string, ClaimAnswer>>} claim takes the tasks that may be
 *   worked on now, each of another delivery, as many as fit in memory; an answer for each
 * @property {(outcomes: Outcome[]) => Promise<Settled>} settle writes what became of claimed tasks, and makes their callbacks
 * @property {(reports: (AttemptName & {progress: Progress | null})[]) => Promise<Map<string, Standing>>} report keeps the progress
 *   of claimed tasks (null: none that is new)
 * @property {(taskId: string) => Promise<KeptPayload | null>} payload null when there is no such task, or its time to live is over
 * @property {(taskId: string) => Promise<KeptStory | null>} story null when there is no such task, or its time to live is over
 * @property {(taskId: string) => Promise<StepRecord[]>} steps those of a task, in no order
 * @property {(attempt: AttemptName, step: StepRecord) => Promise<Standing>} keepStep writes a step of a claimed task
 * @property {(taskId: string, name: string) => Promise<TaskEvent | null>} event that was sent to a task
 * @property {(taskId: string, name: string, event: TaskEvent) => Promise<EventReceipt | null>} putEvent keeps an event of an unfinished
 *   task, the first one of its name; a task that waits for it is due then. Null when there is no such task, or it has ended
 * @property {(taskId: string) => Promise<FollowUp | null>} cancel ends an unfinished task, and makes its
 *   callback; null when it has ended or is not there
 * @property {(taskId: string, run: number) => Promise<number | null>} retry starts the run after that one of a failed or cancelled
 *   task, which is pending then and lives at least as long as a new one; its number, or null when the task is in another
 *   state or not there
 * @property {(taskId: string) => Promise<boolean>} remove deletes a task that has ended, with all that belongs to it; false when it has not, or is
 *   not there
 * @property {(lost: Abandoned[], error: TaskError) => Promise<FollowUp>} abandon fails open tasks that nobody will attempt
 *   again, and makes their callbacks; not those that have gone on since, with another attempt or run
 * @property {(taskIds: string[], sent_at_ms: number) => Promise<void>} markSent remembers when the sweeper handed over these tasks
 * @property {(before_ms: number) => AsyncGenerator<OpenTask[]>} open pages of the open tasks due before a Unix time, oldest first;
 *   each page that was worked off is not shown again in this round
 * @property {(isTimeUp: () => boolean) => Promise<number>} expire deletes tasks whose time to live is over, until there are none or
 *   the time is up; tells how many
 * @property {(counts: SweepCounts) => Promise<void>} countSweep adds to what the sweeper has done
 * @property {() => Promise<Probe[]>} probes those that the last sweep sent
 * @property {(probes: Probe[]) => Promise<void>} setProbes
 * @property {() => Promise<Fill[]>} fill how full its databases are
 * @property {() => Promise<RunningVersion[]>} workerVersions which version of the Worker each of its objects runs; none of other stores
 * @property {(query: Query) => Promise<Page>} list
 * @property {() => Promise<void>} tally counts what is new; the sweeper does it, so that `statistics` have little to read
 * @property {() => Promise<Statistics>} statistics
 * @property {boolean} holds whether tasks can be held in it
 * @property {(taskIds: string[]) => Promise<Map<string, Status>>} statuses of those tasks that are there
 * @property {(taskIds: string[], bytes: number) => Promise<TaskResult[]>} results what became of those tasks that are there, with results of
 *   at most so many bytes together, each part of the store on its own
 * @property {(links: Link[]) => Promise<Map<string, Status>>} awaitEnds has tasks that have not ended remember who waits for them; the
 *   statuses of those that are there
 * @property {(awaited: string[]) => AsyncGenerator<Link[]>} dependents pages of the tasks that were to be told when these end
 * @property {(ends: LinkEnd[]) => Promise<FollowUp>} tell releases those tasks that wait for none any more, and cancels those that were to
 *   start when one had completed that has not
 * @property {() => Promise<Link[]>} waiting the next ones, of the sweeper's round through all tasks that wait
 * @property {() => Promise<KeptSchedule[]>} schedules all there are, by name
 * @property {() => Promise<KeptSchedule[]>} sweptSchedules those that the sweep of this store is to run
 * @property {(name: string, before: string | null, after: string | null) => Promise<boolean>} changeSchedule false where it is not as it was
 *   read; null: it is not there
 * @property {() => Promise<Pause[]>} pauses by handler
 * @property {(handler: string, paused_ms: number | null) => Promise<void>} setPause lets the tasks of a handler wait, from a Unix time on;
 *   null: no longer
 * @property {() => Promise<void>} carryOver after a deployment that changes the parts of the store: pauses in new parts what is paused, and moves
 *   schedules out of former ones
 * @property {(name: string) => Promise<string | null>} note what the sweeper remembers by a name, JSON; null: nothing
 * @property {(name: string, before: string | null, after: string | null) => Promise<boolean>} changeNote false where it is not as it was read
 */

export {};
