/** A store that consists of shards: a task's id determines its shard. */

import { mergeFollowUps } from '../follow_up.js';
import { shardOf } from '../shards.js';
import { askAll, claimFrom, mergePages, mergeSettled, mergeStandings, mergeStatuses, pagesOf } from './merge.js';
import { isStoreError } from './store_error.js';
import { mergeStatistics } from './tally.js';

/** @import { Link, LinkEnd } from '../dependencies.js' */
/** @import { Group } from '../group.js' */
/** @import { AttemptName, NewTask, Outcome, Progress, StepRecord, TaskError, TaskEvent, TaskRecord } from '../task.js' */
/** @import { Abandoned, ClaimAnswer, Delivery, Insertion, Probe, Query, Standing, Store, SweepCounts } from './store.js' */

/** @implements {Store} */
export class ShardedStore {
  /**
   * @param {Store[]} shards
   * @param {number[]} counts over how many of them new tasks are spread, then the numbers of earlier deployments: a task is searched in each shard
   *   that may have it
   */
  constructor(shards, counts = [shards.length]) {
    this.shards = shards;
    this.counts = counts;
    this.hasGroups = shards.every(({ hasGroups }) => hasGroups);
    this.tells = shards.every(({ tells }) => tells);
    this.holds = shards.every(({ holds }) => holds);
    this.settling_seconds = Math.max(...shards.map(({ settling_seconds }) => settling_seconds));
  }

  /**
   * @param {NewTask[]} tasks the tasks; those with the same idempotency key belong to the same shard, see `newTaskId`
   * @returns {Promise<(Insertion | Error)[]>}
   */
  async insert(tasks) {
    const groups = Map.groupBy(tasks, ({ taskId }) => shardOf(taskId, this.counts[0] ?? 1));
    /** @type {Map<NewTask, Insertion | Error | undefined>} */
    const insertions = new Map();
    await Promise.all([...groups].map(async ([number, group]) => {
      const inserted = await this.#shard(number).insert(group).catch((error) => {
        if (!isStoreError(error)) throw error;
        return group.map(() => error);
      });
      group.forEach((task, index) => insertions.set(task, inserted[index]));
    }));
    return tasks.map((task) => /** @type {Insertion | Error} */ (insertions.get(task)));
  }

  /**
   * @param {TaskRecord} task
   * @param {number} wait_ms
   */
  async changed(task, wait_ms) {
    await Promise.race([...this.#homes(task.taskId)].map((number) => this.#shard(number).changed(task, wait_ms)));
  }

  /** @param {string} taskId */
  find(taskId) {
    return this.#first(taskId, (shard) => shard.find(taskId), null);
  }

  /** @param {string} taskId */
  story(taskId) {
    return this.#first(taskId, (shard) => shard.story(taskId), null);
  }

  /** @param {string} taskId */
  payload(taskId) {
    return this.#first(taskId, (shard) => shard.payload(taskId), null);
  }

  /**
   * @param {Delivery[]} deliveries
   * @param {boolean} [isAlone]
   */
  async claim(deliveries, isAlone = false) {
    const parts = await this.#each(deliveries, ({ taskId }) => taskId, (shard, group) => claimFrom(shard, group, isAlone));
    return mergeClaims(parts);
  }

  /** @param {Outcome[]} outcomes */
  async settle(outcomes) {
    return mergeSettled(await this.#each(outcomes, ({ taskId }) => taskId, (shard, group) => shard.settle(group)));
  }

  /** @param {(AttemptName & {progress: Progress | null})[]} reports */
  async report(reports) {
    return mergeStandings(await this.#each(reports, ({ taskId }) => taskId, (shard, group) => shard.report(group)));
  }

  /** @param {string} taskId */
  async steps(taskId) {
    return (await this.#each([taskId], (id) => id, (shard) => shard.steps(taskId))).flat();
  }

  /**
   * @param {AttemptName} attempt
   * @param {StepRecord} step
   * @returns {Promise<Standing>}
   */
  async keepStep(attempt, step) {
    const standings = await this.#each([attempt], ({ taskId }) => taskId, (shard) => shard.keepStep(attempt, step));
    return standings.includes('ours') ? 'ours' : 'superseded';
  }

  /**
   * @param {string} taskId
   * @param {string} name
   */
  event(taskId, name) {
    return this.#first(taskId, (shard) => shard.event(taskId, name), null);
  }

  /**
   * @param {string} taskId
   * @param {string} name
   * @param {TaskEvent} event
   */
  putEvent(taskId, name, event) {
    return this.#first(taskId, (shard) => shard.putEvent(taskId, name, event), null);
  }

  /** @param {string} taskId */
  cancel(taskId) {
    return this.#first(taskId, (shard) => shard.cancel(taskId), null);
  }

  /**
   * @param {string} taskId
   * @param {number} run
   */
  retry(taskId, run) {
    return this.#first(taskId, (shard) => shard.retry(taskId, run), null);
  }

  /** @param {string} taskId */
  remove(taskId) {
    return this.#first(taskId, (shard) => shard.remove(taskId), false);
  }

  /**
   * @param {Abandoned[]} lost
   * @param {TaskError} error
   */
  async abandon(lost, error) {
    return mergeFollowUps(await this.#each(lost, ({ taskId }) => taskId, (shard, group) => shard.abandon(group, error)));
  }

  /**
   * @param {string[]} taskIds
   * @param {number} sent_at_ms
   */
  async markSent(taskIds, sent_at_ms) {
    await this.#each(taskIds, (taskId) => taskId, (shard, group) => shard.markSent(group, sent_at_ms));
  }

  /** @param {number} before_ms */
  open(before_ms) {
    return pagesOf(this.shards.map((shard) => shard.open(before_ms)));
  }

  /** @param {() => boolean} isTimeUp */
  async expire(isTimeUp) {
    const counts = await askAll(this.shards, (shard) => shard.expire(isTimeUp));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** @param {SweepCounts} counts */
  async countSweep(counts) {
    await this.shards[0]?.countSweep(counts);
  }

  async probes() {
    return this.#shard(0).probes();
  }

  /** @param {Probe[]} probes */
  setProbes(probes) {
    return this.#shard(0).setProbes(probes);
  }

  async fill() {
    return (await askAll(this.shards, (shard) => shard.fill())).flat();
  }

  async workerVersions() {
    return (await askAll(this.shards, (shard) => shard.workerVersions())).flat();
  }

  /** @param {Query} query */
  async list(query) {
    return mergePages(await askAll(this.shards, (shard) => shard.list(query)), query.limit);
  }

  /** @param {(name: string) => Group} groupOf */
  async refreshGroups(groupOf) {
    return mergeFollowUps(await askAll(this.shards, (shard) => shard.refreshGroups(groupOf)));
  }

  async tally() {
    await askAll(this.shards, (shard) => shard.tally());
  }

  /** @param {string[]} taskIds */
  async statuses(taskIds) {
    return mergeStatuses(await this.#each(taskIds, (taskId) => taskId, (shard, group) => shard.statuses(group)));
  }

  /**
   * @param {string[]} taskIds
   * @param {number} bytes
   */
  async results(taskIds, bytes) {
    return (await this.#each(taskIds, (taskId) => taskId, (shard, group) => shard.results(group, bytes))).flat();
  }

  /** @param {Link[]} links */
  async awaitEnds(links) {
    return mergeStatuses(await this.#each(links, ({ awaited }) => awaited, (shard, group) => shard.awaitEnds(group)));
  }

  /** @param {string[]} awaited */
  dependents(awaited) {
    return pagesOf([...this.#groups(awaited, (taskId) => taskId)].map(([number, group]) => this.#shard(number).dependents(group)));
  }

  /** @param {LinkEnd[]} ends */
  async tell(ends) {
    return mergeFollowUps(await this.#each(ends, ({ taskId }) => taskId, (shard, group) => shard.tell(group)));
  }

  async waiting() {
    return (await askAll(this.shards, (shard) => shard.waiting())).flat();
  }

  schedules() {
    return this.#shard(0).schedules();
  }

  sweptSchedules() {
    return this.#shard(0).sweptSchedules();
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} after
   */
  changeSchedule(name, before, after) {
    return this.#shard(0).changeSchedule(name, before, after);
  }

  pauses() {
    return this.#shard(0).pauses();
  }

  /**
   * The first shard, which lists the pauses, comes last: if another one fails, the pause is not listed, and the caller can repeat it.
   *
   * @param {string} handler
   * @param {number | null} paused_ms
   */
  async setPause(handler, paused_ms) {
    await askAll(this.shards.slice(1), (shard) => shard.setPause(handler, paused_ms));
    await this.#shard(0).setPause(handler, paused_ms);
  }

  async carryOver() {
    for (const { handler, paused_ms } of await this.pauses()) {
      await askAll(this.shards.slice(1), (shard) => shard.setPause(handler, paused_ms));
    }
  }

  /** @param {string} name */
  note(name) {
    return this.#shard(0).note(name);
  }

  /**
   * @param {string} name
   * @param {string | null} before
   * @param {string | null} after
   */
  changeNote(name, before, after) {
    return this.#shard(0).changeNote(name, before, after);
  }

  async statistics() {
    return mergeStatistics(await askAll(this.shards, (shard) => shard.statistics()));
  }

  /** @param {number} number */
  #shard(number) {
    return /** @type {Store} */ (this.shards[number]);
  }

  /** @param {string} taskId */
  #homes(taskId) {
    return new Set(this.counts.map((count) => shardOf(taskId, count)));
  }

  /**
   * Calls one shard after the other that may have a task, until one has an answer.
   *
   * @template Result
   * @param {string} taskId
   * @param {(shard: Store) => Promise<Result>} ask
   * @param {Result} none the answer of a shard that does not have it
   */
  async #first(taskId, ask, none) {
    for (const number of this.#homes(taskId)) {
      const answer = await ask(this.#shard(number));
      if (answer !== none) return answer;
    }
    return none;
  }

  /**
   * @template Item, Result
   * @param {Item[]} items
   * @param {(item: Item) => string} idOf
   * @param {(shard: Store, group: Item[]) => Promise<Result>} ask
   * @returns {Promise<Result[]>} the answers of each shard that may have one of the items
   */
  #each(items, idOf, ask) {
    return askAll([...this.#groups(items, idOf)], ([number, group]) => ask(this.#shard(number), group));
  }

  /**
   * @template Item
   * @param {Item[]} items
   * @param {(item: Item) => string} idOf
   * @returns {Map<number, Item[]>} the items by the shards that may have them
   */
  #groups(items, idOf) {
    /** @type {Map<number, Item[]>} */
    const groups = new Map();
    for (const item of items) {
      for (const number of this.#homes(idOf(item))) groups.set(number, [...(groups.get(number) ?? []), item]);
    }
    return groups;
  }
}

/**
 * @param {Map<string, ClaimAnswer>[]} parts the answers of all shards that may have the task; one that does not answer may have it
 * @returns {Map<string, ClaimAnswer>}
 */
export function mergeClaims(parts) {
  /** @type {Map<string, ClaimAnswer>} */
  const merged = new Map();
  for (const [taskId, answer] of parts.flatMap((part) => [...part])) {
    const known = merged.get(taskId);
    if (!known || known.kind === 'absent' || (known.kind === 'unreachable' && answer.kind !== 'absent')) merged.set(taskId, answer);
  }
  return merged;
}
