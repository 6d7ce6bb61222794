/** A store made of shards: a task's id tells which of them has it. */

import { mergePages, mergeRecent, sumCounts, union } from './merge.js';

/** @import { AttemptName, NewTask, Outcome, Progress, TaskError } from '../task.js' */
/** @import { Delivery, Insertion, Query, Store, SweepCounts } from './store.js' */

/** @implements {Store} */
export class ShardedStore {
  /** @param {Store[]} shards always as many, in the same order */
  constructor(shards) {
    this.shards = shards;
    this.settling_seconds = Math.max(...shards.map(({ settling_seconds }) => settling_seconds));
  }

  /** @param {NewTask[]} tasks those with the same idempotency key belong to the same shard, see `newTaskId` */
  async insert(tasks) {
    /** @type {Map<NewTask, Insertion | undefined>} */
    const insertions = new Map();
    await this.#each(tasks, ({ taskId }) => taskId, async (shard, group) => {
      const inserted = await shard.insert(group);
      group.forEach((task, index) => insertions.set(task, inserted[index]));
    });
    return tasks.map((task) => /** @type {Insertion} */ (insertions.get(task)));
  }

  /** @param {string} taskId */
  find(taskId) {
    return this.#shard(taskId).find(taskId);
  }

  /** @param {Delivery[]} deliveries */
  async claim(deliveries) {
    return (await this.#each(deliveries, ({ taskId }) => taskId, (shard, group) => shard.claim(group))).flat();
  }

  /** @param {string[]} taskIds */
  async existing(taskIds) {
    return union(await this.#each(taskIds, (taskId) => taskId, (shard, group) => shard.existing(group)));
  }

  /** @param {Outcome[]} outcomes */
  async settle(outcomes) {
    return union(await this.#each(outcomes, ({ taskId }) => taskId, (shard, group) => shard.settle(group)));
  }

  /** @param {(AttemptName & {progress: Progress | null})[]} reports */
  async report(reports) {
    return union(await this.#each(reports, ({ taskId }) => taskId, (shard, group) => shard.report(group)));
  }

  /** @param {string} taskId */
  cancel(taskId) {
    return this.#shard(taskId).cancel(taskId);
  }

  /** @param {string} taskId */
  retry(taskId) {
    return this.#shard(taskId).retry(taskId);
  }

  /**
   * @param {string[]} taskIds
   * @param {TaskError} error
   */
  async abandon(taskIds, error) {
    await this.#each(taskIds, (taskId) => taskId, (shard, group) => shard.abandon(group, error));
  }

  /** @param {string[]} taskIds */
  async markSent(taskIds) {
    await this.#each(taskIds, (taskId) => taskId, (shard, group) => shard.markSent(group));
  }

  /** @param {number} before_ms */
  async sweep(before_ms) {
    return (await Promise.all(this.shards.map((shard) => shard.sweep(before_ms)))).flat();
  }

  async expire() {
    const counts = await Promise.all(this.shards.map((shard) => shard.expire()));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** @param {SweepCounts} counts */
  async countSweep(counts) {
    await this.shards[0]?.countSweep(counts);
  }

  async sweepCounts() {
    return sumCounts(await Promise.all(this.shards.map((shard) => shard.sweepCounts())));
  }

  /** @param {Query} query */
  async list(query) {
    return mergePages(await Promise.all(this.shards.map((shard) => shard.list(query))), query.limit);
  }

  async recent() {
    return mergeRecent(await Promise.all(this.shards.map((shard) => shard.recent())));
  }

  /** @param {string} taskId */
  #shard(taskId) {
    return /** @type {Store} */ (this.shards[shardOf(taskId, this.shards.length)]);
  }

  /**
   * @template Item, Result
   * @param {Item[]} items
   * @param {(item: Item) => string} idOf
   * @param {(shard: Store, group: Item[]) => Promise<Result>} ask
   * @returns {Promise<Result[]>} of each shard that has one of the items
   */
  #each(items, idOf, ask) {
    const groups = Map.groupBy(items, (item) => this.#shard(idOf(item)));
    return Promise.all([...groups].map(([shard, group]) => ask(shard, group)));
  }
}

/**
 * @param {string} taskId
 * @param {number} count at most 16
 * @returns {number} from the id's last digit, which is random, or of an idempotency key; 0 for what is no id
 */
export function shardOf(taskId, count) {
  const digit = Number.parseInt(taskId.slice(-1), 16);
  return Number.isNaN(digit) ? 0 : digit % count;
}
