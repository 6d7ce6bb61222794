/**
 * What every store does. A status moves only from the states that its method names, so that a late, repeated or
 * reordered delivery cannot move a task back; how firmly a store keeps that is in `promises.json`.
 */

/** @import { ClaimedTask, Outcome, Payload, TaskError, TaskRecord } from '../task.js' */

/** A delivery's name for its task and how often it was delivered. @typedef {{taskId: string, attempts: number}} Delivery */

/**
 * An unfinished task that nobody works on; `sent_at_ms` is when the sweeper last handed it to the engine, if it did.
 *
 * @typedef {{taskId: string, attempts: number, sent_at_ms: number | null}} OpenTask
 */

/**
 * @typedef {object} Store
 * @property {number} settling_seconds how long to wait for a task that should be there and is not yet seen
 * @property {(taskId: string, payload: Payload) => Promise<void>} insert a new task, pending
 * @property {(taskId: string) => Promise<TaskRecord | null>} find null when there is no such task
 * @property {(deliveries: Delivery[]) => Promise<ClaimedTask[]>} claim takes the tasks that may be worked on now, for
 *   the time of a lease: pending ones, and processing ones whose lease has run out or whose delivery is not the first
 *   (it comes again only after the earlier attempt has ended)
 * @property {(taskIds: string[]) => Promise<Set<string>>} existing those that are there, in whatever state
 * @property {(outcomes: Outcome[]) => Promise<void>} settle writes what became of processing tasks
 * @property {(taskIds: string[], error: TaskError) => Promise<void>} abandon ends open tasks that nobody will attempt again
 * @property {(taskIds: string[]) => Promise<void>} markSent remembers that the sweeper has handed over these tasks
 * @property {(before_ms: number) => Promise<OpenTask[]>} sweep open tasks created before a Unix time, a bounded number
 * @property {() => Promise<number>} expire deletes tasks whose time to live is over, a bounded number; tells how many
 */

export {};
