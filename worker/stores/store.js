/**
 * The contract of every store. A status changes only from the statuses that its method names, so that a late, repeated or reordered delivery cannot
 * move a task back. `guarantees.json` says how strictly each store ensures that.
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
 * The outcome of storing a task. `isNew`: it was stored (`isHeld`: as a held task). Otherwise a task with its idempotency key exists, and is named
 * here; `conflict`: that one has a different fingerprint; `isReplaced`: the new task has replaced it, and its run has a new number if it is due
 * earlier than before. `follows` are the runs that may start in its group, its own included if it joined the group's line.
 *
 * @typedef {{taskId: string, run: number, status: Status, isNew: boolean, conflict: boolean, isHeld: boolean, isReplaced?: boolean,
 *   follows?: Submission[]}} Insertion
 */

/**
 * A request to claim a task, on behalf of a message or of a workflow instance.
 *
 * @typedef {object} Delivery
 * @property {string} taskId
 * @property {number} run the run that it is for
 * @property {boolean} redrive whether it starts that run itself, as a redrive of a dead letter of the previous run does
 * @property {string} holder the message or instance
 * @property {number} delivery the number of its delivery, 1 for the first: it is delivered again only after the earlier attempt has ended
 * @property {string} claim a new name each time; a repetition with the same name finds what it already claimed
 * @property {Ended[]} ended other holders whose attempts have ended too: messages that it replaced, and copies
 */

/**
 * Attempts that have ended although no outcome may have been written: those claimed for a message up to that delivery. The attempt of the delivery
 * `released` ended in an isolate that lived, so that it is not a crash; 0 for none.
 *
 * @typedef {{holder: string, delivery: number, released: number}} Ended
 */

/**
 * The answer to a claim; `follows` are the runs of other tasks that may start now.
 *
 * - `claimed`: the task, for the time of a lease;
 * - `suspect`: its isolate died during an earlier attempt, so only a claim that runs it alone may have it;
 * - `wait`: it is not due before then; `later`: too much was claimed with it to fit in memory;
 * - `held`: another attempt works on it;
 * - `unreleased`: it waits to be released, or for its handler to be resumed, and is submitted again then;
 * - `over`: it has ended, or is in another run; `hasFailed` if it has failed in this one;
 * - `spent`: it has no attempts left, because their allowed number was lowered; `crashed`: its isolate died too often;
 * - `absent`: there is no such task; `unreachable`: its store does not answer.
 *
 * @typedef {({kind: 'claimed', task: ClaimedTask} | {kind: 'suspect', crashes: number} | {kind: 'wait', until_ms: number}
 *   | {kind: 'later'} | {kind: 'held', isOwn: boolean} | {kind: 'unreleased'} | {kind: 'over', hasFailed: boolean} | {kind: 'spent', attempts: number}
 *   | {kind: 'crashed', attempts: number} | {kind: 'absent'} | {kind: 'unreachable', error: Error})
 *   & {follows?: Submission[]}} ClaimAnswer
 */

/** Whether the attempt that writes still holds its task: `ours`, or not any more; `lost` if the store does not answer.
 * @typedef {'ours' | 'superseded' | 'lost'} Standing */

/** The standing of each task, and the follow-up of those that have ended. @typedef {{standings: Map<string, Standing>, followUp: FollowUp}} Settled */

/**
 * An unfinished task that is due and that nobody works on. `sent_at_ms`: when the sweeper last submitted it, if it did; `due_ms`: when it was to be
 * attempted; `isHeld`: whether an attempt that never ended holds it.
 *
 * @typedef {{taskId: string, run: number, attempts: number, max_retries: number | null, due_ms: number,
 *   sent_at_ms: number | null, isHeld: boolean, priority?: OwnPriority}} OpenTask
 */

/** An unfinished task that will not be attempted again, as a delivery (`holder`, `delivery`) or the sweeper has found.
 *
 * @typedef {Pick<AttemptName, 'taskId' | 'run' | 'attempts'> & Partial<Pick<Delivery, 'holder' | 'delivery' | 'ended'>>} Abandoned
 */

/** A probe: a task whose message the sweeper sent again before all others that may be lost. Once it has come through its queue, messages sent before
 * it have come too, or are lost. `queue` is the queue's binding.
 *
 * @typedef {{queue: string, taskId: string, run: number, attempts: number, sent_at_ms: number}} Probe
 */

/** The version of the Worker that an object runs; null if that version does not report it. @typedef {{name: string, version: string | null}} RunningVersion */

/** How full a database is; `name` is its binding, or the object's name. @typedef {{name: string, bytes: number, limit_bytes: number}} Fill */

/** Selects the tasks of a list: by status, handler, group key, parent and tags, all of which must match; older than a cursor, and not older than an id
 * or the beginning of one (`since`); with an error that contains a text, ignoring case. Each is optional.
 *
 * @typedef {{status: Status | null, handler: string | null, group?: string | null, tags?: Tags | null, parent?: string | null, limit: number, cursor: string | null, since?: string, error?: string | null}} Query
 */

/** A page, newest first. `cursor` selects the tasks after it, null if there are none. It may have fewer tasks than its limit, or none, and still have
 * a cursor: a search is expensive, so each page examines a limited number of tasks. @typedef {{tasks: TaskSummary[], cursor: string | null}} Page */

/** Whether the stored event is the one that was sent, not an earlier one of its name; and the run that waits for it, if one does.
 *
 * @typedef {{isFirst: boolean, waiting: Omit<Submission, 'taskId' | 'delay_seconds'> | null}} EventReceipt
 */

/** What the sweeper has done since the store has had tasks. @typedef {{expired: number, resent: number, returned: number, failed: number}} SweepCounts */

/**
 * Counters of one database or object, or of KV, since its creation; they only grow. `counted_ms`: the Unix time up to which the sweeper has counted;
 * `handlers` is null if they are not counted separately.
 *
 * @typedef {{name: string, counted_ms: number | null, sweeper: SweepCounts, handlers: Totals | null}} PartTotals
 */

/**
 * Statistics as of a Unix time, 0 if nothing was counted yet: tasks by status, either all (`isAll`) or the newest, the oldest of them from
 * `since_ms`; the last minutes, and the history before them. A caller that asks no sooner than `fresh_until_ms` all day stays within the Free plan. A
 * store with former stores includes their statistics.
 *
 * @typedef {{as_of_ms: number, fresh_until_ms: number, counts: StatusCounts, since_ms: number | null, isAll: boolean, minutes: Buckets, history: History, sweeper: SweepCounts, parts: PartTotals[],
 *   former?: {store: string, counts: StatusCounts, isAll: boolean}[]}} Statistics
 */

/** The outcome of a task. `length` is that of its result in bytes; the result may be left out.
 * @typedef {Pick<TaskRecord, 'taskId' | 'status' | 'handler' | 'run' | 'max_retries' | 'error' | 'result'> & {length: number}} TaskResult */

/** A stored schedule: JSON. @typedef {{name: string, schedule: string}} KeptSchedule */

/** A paused handler, `*` for all, since a Unix time. @typedef {{handler: string, paused_ms: number}} Pause */

/** A task's payload as it was submitted; null once it is deleted. @typedef {{payload: Payload | null}} KeptPayload */

/** Stored facts that a task's view does not have: its story, the lease of the running attempt, and its parameters.
 *
 * @typedef {{story: string | null, lease_expires_ms: number | null, parameters: Parameters}} KeptStory
 */

/**
 * Methods may be repeated: each recognises what it has already done. Methods on several tasks answer for each task on its own, so that a part of the
 * store that does not answer affects only its own tasks. The others throw `StoreUnavailable` or `StoreFull`.
 *
 * @typedef {object} Store
 * @property {number} settling_seconds how long to wait for a task that should exist and is not visible yet
 * @property {(tasks: NewTask[]) => Promise<(Insertion | Error)[]>} insert stores new tasks as pending, each with a different idempotency key; returns
 *     an answer for each, in their order: an error if its part of the store is down or full
 * @property {boolean} hasGroups whether tasks may have groups
 * @property {(groupOf: (name: string) => Group) => Promise<FollowUp>} refreshGroups gives the groups in which tasks wait the limits of the present
 *     deployment, and turns to the tasks that these allow
 * @property {boolean} tells whether `changed` returns as soon as something changes, wherever the change is made
 * @property {(task: TaskRecord, wait_ms: number) => Promise<void>} changed waits until a task has changed, or the time is up; only for a store that
 *     `tells`
 * @property {(taskId: string) => Promise<TaskRecord | null>} find null if there is no such task, or it has expired
 * @property {(deliveries: Delivery[], isAlone?: boolean) => Promise<Map<string, ClaimAnswer>>} claim claims the tasks that may be worked on now, each
 *     for a different delivery, as many as fit in memory; returns an answer for each
 * @property {(outcomes: Outcome[]) => Promise<Settled>} settle writes the outcomes of claimed tasks, and creates their callbacks
 * @property {(reports: (AttemptName & {progress: Progress | null})[]) => Promise<Map<string, Standing>>} report stores the progress of claimed tasks
 *     (null: no new one)
 * @property {(taskId: string) => Promise<KeptPayload | null>} payload null if there is no such task, or it has expired
 * @property {(taskId: string) => Promise<KeptStory | null>} story null if there is no such task, or it has expired
 * @property {(taskId: string) => Promise<StepRecord[]>} steps the steps of a task, in no particular order
 * @property {(attempt: AttemptName, step: StepRecord) => Promise<Standing>} keepStep stores a step of a claimed task
 * @property {(taskId: string, name: string) => Promise<TaskEvent | null>} event an event that was sent to a task
 * @property {(taskId: string, name: string, event: TaskEvent) => Promise<EventReceipt | null>} putEvent stores an event of an unfinished task, if it
 *     is the first of its name; a task that waits for it becomes due. Null if there is no such task, or it has ended
 * @property {(taskId: string) => Promise<FollowUp | null>} cancel ends an unfinished task, and creates its callback; null if it has ended or does not
 *     exist
 * @property {(taskId: string, run: number) => Promise<number | null>} retry starts the run after the given one of a failed or cancelled task. The
 *     task becomes pending, and lives at least as long as a new one. Returns the run's number, or null if the task has another status or does not
 *     exist
 * @property {(taskId: string) => Promise<boolean>} remove deletes a task that has ended, with all that belongs to it; false if it has not ended, or
 *     does not exist
 * @property {(lost: Abandoned[], error: TaskError) => Promise<FollowUp>} abandon fails unfinished tasks that nobody will attempt again, and creates
 *     their callbacks; not those that have moved on to another attempt or run
 * @property {(taskIds: string[], sent_at_ms: number) => Promise<void>} markSent records when the sweeper submitted these tasks
 * @property {(before_ms: number) => AsyncGenerator<OpenTask[]>} open pages of the unfinished tasks due before a Unix time, oldest first; a processed
 *     page is not returned again in this round
 * @property {(isTimeUp: () => boolean) => Promise<number>} expire deletes expired tasks, until there are none or the time is up; returns their number
 * @property {(counts: SweepCounts) => Promise<void>} countSweep adds to the counts of the sweeper's work
 * @property {() => Promise<Probe[]>} probes the probes that the last sweep sent
 * @property {(probes: Probe[]) => Promise<void>} setProbes
 * @property {() => Promise<Fill[]>} fill how full its databases are
 * @property {() => Promise<RunningVersion[]>} workerVersions the version of the Worker that each of its objects runs; empty for other stores
 * @property {(query: Query) => Promise<Page>} list
 * @property {() => Promise<void>} tally counts new tasks and ends; the sweeper calls it, so that `statistics` have little to read
 * @property {() => Promise<Statistics>} statistics
 * @property {boolean} holds whether it can hold tasks
 * @property {(taskIds: string[]) => Promise<Map<string, Status>>} statuses the statuses of those tasks that exist
 * @property {(taskIds: string[], bytes: number) => Promise<TaskResult[]>} results the outcomes of those tasks that exist, with results of at most so
 *     many bytes in total, for each part of the store separately
 * @property {(links: Link[]) => Promise<Map<string, Status>>} awaitEnds registers with unfinished tasks who waits for them; returns the statuses of
 *     those that exist
 * @property {(awaited: string[]) => AsyncGenerator<Link[]>} dependents pages of the tasks that wait for the end of these
 * @property {(ends: LinkEnd[]) => Promise<FollowUp>} tell releases tasks that wait for no others any more, and cancels those that needed the
 *     completion of a task that did not complete
 * @property {() => Promise<Link[]>} waiting the next waiting tasks, in the sweeper's round through all of them
 * @property {() => Promise<KeptSchedule[]>} schedules all schedules, by name
 * @property {() => Promise<KeptSchedule[]>} sweptSchedules the schedules that the sweep of this store is to run
 * @property {(name: string, before: string | null, after: string | null) => Promise<boolean>} changeSchedule compare-and-set: false if it is not as
 *     it was read; null: it does not exist
 * @property {() => Promise<Pause[]>} pauses the pauses, by handler
 * @property {(handler: string, paused_ms: number | null) => Promise<void>} setPause pauses a handler from a Unix time on; null resumes it
 * @property {() => Promise<void>} carryOver after a deployment that changes the parts of the store: copies pauses to new parts, and moves schedules
 *     out of former ones
 * @property {(name: string) => Promise<string | null>} note a note, which the sweeper stores by name as JSON; null: there is none
 * @property {(name: string, before: string | null, after: string | null) => Promise<boolean>} changeNote compare-and-set: false if it is not as it
 *     was read
 */

export {};
