/**
 * The store of a deployment whose `state_store` was changed. New tasks go to the present store. Tasks in former stores are read and finished there,
 * as long as `former_state_stores` lists the store.
 */

import { mergeFollowUps } from '../follow_up.js';
import { askAll, claimFrom, mergePages, mergeSettled, mergeStandings, mergeStatuses, pagesOf } from './merge.js';
import { mergeClaims } from './sharded.js';
import { mergeStatistics } from './tally.js';

/** @import { Group } from '../group.js' */
/** @import { Invocation } from '../joint.js' */
/** @import { Schedule } from '../schedules.js' */
/** @import { Link, LinkEnd } from '../dependencies.js' */
/** @import { AttemptName, NewTask, Outcome, Progress, StepRecord, TaskError, TaskEvent, TaskRecord } from '../task.js' */
/** @import { Abandoned, ClaimAnswer, Delivery, KeptSchedule, Probe, Query, Standing, Statistics, Store, SweepCounts } from './store.js' */

/** @typedef {new (env: any, patience_seconds?: number, invocation?: Invocation) => Store} StoreClass */

/** How many schedules a sweep moves out of a former store: each takes a few statements, and an invocation has 50 on the Free plan. A schedule
 * that ticks within the margin is not moved. */
const MOVED_SCHEDULES = 5;
const TICK_MARGIN_MS = 5_000;

/**
 * @param {KeptSchedule[]} schedules
 * @returns {KeptSchedule[]} the first schedule of each name
 */
function firstOfEach(schedules) {
  return [...new Map(schedules.toReversed().map((kept) => [kept.name, kept])).values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/**
 * @param {StoreClass} Present
 * @param {Record<string, StoreClass>} formers the former stores by their names in `former_state_stores`
 * @returns {StoreClass}
 */
export function layered(Present, formers) {
  return class LayeredStore {
    /**
     * @param {any} env
     * @param {number} [patience_seconds]
     * @param {Invocation} [invocation]
     */
    constructor(env, patience_seconds, invocation) {
      this.present = new Present(env, patience_seconds, invocation);
      this.formers = Object.entries(formers).map(([name, Former]) => ({ name, store: new Former(env, patience_seconds, invocation) }));
      /** @type {Store[]} */
      this.stores = [this.present, ...this.formers.map(({ store }) => store)];
      this.hasGroups = this.present.hasGroups;
      this.tells = this.stores.every(({ tells }) => tells);
      this.holds = this.present.holds;
      this.settling_seconds = Math.max(...this.stores.map(({ settling_seconds }) => settling_seconds));
    }

    /**
     * An idempotency key is only known to the store that has its task.
     *
     * @param {NewTask[]} tasks
     */
    insert(tasks) {
      return this.present.insert(tasks);
    }

    /**
     * @param {TaskRecord} task
     * @param {number} wait_ms
     */
    async changed(task, wait_ms) {
      await Promise.race(this.stores.map((store) => store.changed(task, wait_ms)));
    }

    /** @param {string} taskId */
    find(taskId) {
      return this.#first((store) => store.find(taskId), null);
    }

    /** @param {string} taskId */
    story(taskId) {
      return this.#first((store) => store.story(taskId), null);
    }

    /** @param {string} taskId */
    payload(taskId) {
      return this.#first((store) => store.payload(taskId), null);
    }

    /**
     * @param {Delivery[]} deliveries
     * @param {boolean} [isAlone]
     */
    async claim(deliveries, isAlone = false) {
      /** @type {Map<string, ClaimAnswer>} */
      let answers = new Map();
      for (const store of this.stores) {
        const left = deliveries.filter(({ taskId }) => ['absent', 'unreachable', undefined].includes(answers.get(taskId)?.kind));
        if (left.length > 0) answers = mergeClaims([answers, await claimFrom(store, left, isAlone)]);
      }
      return answers;
    }

    /** @param {Outcome[]} outcomes */
    async settle(outcomes) {
      return mergeSettled(await this.#all((store) => store.settle(outcomes)));
    }

    /** @param {(AttemptName & {progress: Progress | null})[]} reports */
    async report(reports) {
      return mergeStandings(await this.#all((store) => store.report(reports)));
    }

    /** @param {string} taskId */
    async steps(taskId) {
      return (await this.#all((store) => store.steps(taskId))).flat();
    }

    /**
     * @param {AttemptName} attempt
     * @param {StepRecord} step
     * @returns {Promise<Standing>}
     */
    async keepStep(attempt, step) {
      const standings = await this.#all((store) => store.keepStep(attempt, step));
      return standings.includes('ours') ? 'ours' : 'superseded';
    }

    /**
     * @param {string} taskId
     * @param {string} name
     */
    event(taskId, name) {
      return this.#first((store) => store.event(taskId, name), null);
    }

    /**
     * @param {string} taskId
     * @param {string} name
     * @param {TaskEvent} event
     */
    putEvent(taskId, name, event) {
      return this.#first((store) => store.putEvent(taskId, name, event), null);
    }

    /** @param {string} taskId */
    cancel(taskId) {
      return this.#first((store) => store.cancel(taskId), null);
    }

    /**
     * @param {string} taskId
     * @param {number} run
     */
    retry(taskId, run) {
      return this.#first((store) => store.retry(taskId, run), null);
    }

    /** @param {string} taskId */
    remove(taskId) {
      return this.#first((store) => store.remove(taskId), false);
    }

    /**
     * @param {Abandoned[]} lost
     * @param {TaskError} error
     */
    async abandon(lost, error) {
      return mergeFollowUps(await this.#all((store) => store.abandon(lost, error)));
    }

    /**
     * @param {string[]} taskIds
     * @param {number} sent_at_ms
     */
    async markSent(taskIds, sent_at_ms) {
      await this.#all((store) => store.markSent(taskIds, sent_at_ms));
    }

    /** @param {number} before_ms */
    open(before_ms) {
      return pagesOf(this.stores.map((store) => store.open(before_ms)));
    }

    /** @param {() => boolean} isTimeUp */
    async expire(isTimeUp) {
      return (await this.#all((store) => store.expire(isTimeUp))).reduce((sum, count) => sum + count, 0);
    }

    /** @param {SweepCounts} counts */
    countSweep(counts) {
      return this.present.countSweep(counts);
    }

    probes() {
      return this.present.probes();
    }

    /** @param {Probe[]} probes */
    setProbes(probes) {
      return this.present.setProbes(probes);
    }

    async fill() {
      return (await this.#all((store) => store.fill())).flat();
    }

    async workerVersions() {
      return (await this.#all((store) => store.workerVersions())).flat();
    }

    /** @param {Query} query */
    async list(query) {
      return mergePages(await this.#all((store) => store.list(query)), query.limit);
    }

    /** @param {(name: string) => Group} groupOf */
    async refreshGroups(groupOf) {
      return mergeFollowUps(await this.#all((store) => store.refreshGroups(groupOf)));
    }

    async tally() {
      await this.#all((store) => store.tally());
    }

    /** @param {string[]} taskIds */
    async statuses(taskIds) {
      return mergeStatuses(await this.#all((store) => store.statuses(taskIds)));
    }

    /**
     * @param {string[]} taskIds
     * @param {number} bytes
     */
    async results(taskIds, bytes) {
      return (await this.#all((store) => store.results(taskIds, bytes))).flat();
    }

    /** @param {Link[]} links */
    async awaitEnds(links) {
      return mergeStatuses(await this.#all((store) => store.awaitEnds(links)));
    }

    /** @param {string[]} awaited */
    dependents(awaited) {
      return pagesOf(this.stores.map((store) => store.dependents(awaited)));
    }

    /** @param {LinkEnd[]} ends */
    async tell(ends) {
      return mergeFollowUps(await this.#all((store) => store.tell(ends)));
    }

    async waiting() {
      return (await this.#all((store) => store.waiting())).flat();
    }

    /** The present store's schedules, and those of former stores that are not moved yet. */
    async schedules() {
      return firstOfEach((await this.#all((store) => store.schedules())).flat());
    }

    async sweptSchedules() {
      return firstOfEach((await this.#all((store) => store.sweptSchedules())).flat());
    }

    /**
     * @param {string} name
     * @param {string | null} before
     * @param {string | null} after
     */
    changeSchedule(name, before, after) {
      if (before === null) return this.present.changeSchedule(name, before, after);
      return this.#first((store) => store.changeSchedule(name, before, after), false);
    }

    /** The pauses of all stores: a new store has none yet. */
    async pauses() {
      const all = (await this.#all((store) => store.pauses())).flat();
      return [...new Map(all.map((pause) => [pause.handler, pause])).values()].sort((one, other) => (one.handler < other.handler ? -1 : 1));
    }

    /**
     * @param {string} handler
     * @param {number | null} paused_ms
     */
    async setPause(handler, paused_ms) {
      await this.#all((store) => store.setPause(handler, paused_ms));
    }

    async carryOver() {
      for (const { handler, paused_ms } of await this.pauses()) await this.setPause(handler, paused_ms);
      for (const { store } of this.formers) {
        const now_ms = Date.now();
        const movable = (await store.schedules()).filter(({ schedule }) => this.#canMove(JSON.parse(schedule), now_ms));
        for (const kept of movable.slice(0, MOVED_SCHEDULES)) await this.#moveSchedule(kept, store);
      }
    }

    /**
     * A schedule that is about to tick stays until it has ticked: its own store may be at work on it. A schedule with a group stays in a store
     * that supports groups.
     *
     * @param {Schedule} schedule
     * @param {number} now_ms
     */
    #canMove({ task: { group }, paused, next_ms }, now_ms) {
      return (paused || next_ms === null || next_ms > now_ms + TICK_MARGIN_MS) && (!group || this.present.hasGroups);
    }

    /**
     * Moves a schedule: stores it in the present store, then deletes it from the former one. If it is in both, as after an interrupted sweep,
     * the one that has ticked last counts.
     *
     * @param {KeptSchedule} kept
     * @param {Store} former
     */
    async #moveSchedule({ name, schedule }, former) {
      const isPut = await this.present.changeSchedule(name, null, schedule);
      if (!isPut) await this.#catchUp(name, schedule);
      const isTaken = await former.changeSchedule(name, schedule, null);
      // It has ticked or was changed meanwhile: the next sweep moves its new state.
      if (isPut && !isTaken) await this.present.changeSchedule(name, schedule, null);
    }

    /**
     * @param {string} name
     * @param {string} other what a former store has
     */
    async #catchUp(name, other) {
      const own = (await this.present.schedules()).find((kept) => kept.name === name)?.schedule;
      if (own === undefined) return;
      const [{ next_ms, ...definition }, former] = /** @type {[Schedule, Schedule]} */ ([JSON.parse(own), JSON.parse(other)]);
      const isSame = definition.cron === former.cron && definition.timezone === former.timezone && definition.every_seconds === former.every_seconds;
      if (isSame && next_ms !== null && former.next_ms !== null && former.next_ms > next_ms) await this.present.changeSchedule(name, own, JSON.stringify({ ...definition, next_ms: former.next_ms, runs: former.runs }));
    }

    /** @param {string} name */
    note(name) {
      return this.#first((store) => store.note(name), null);
    }

    /**
     * @param {string} name
     * @param {string | null} before
     * @param {string | null} after
     */
    changeNote(name, before, after) {
      if (before === null) return this.present.changeNote(name, before, after);
      return this.#first((store) => store.changeNote(name, before, after), false);
    }

    /** @returns {Promise<Statistics>} */
    async statistics() {
      const all = await this.#all((store) => store.statistics());
      const former = all.slice(1).map(({ counts, isAll }, index) => ({ store: this.formers[index]?.name ?? '', counts, isAll }));
      return { ...mergeStatistics(all), former };
    }

    /**
     * @template Result
     * @param {(store: Store) => Promise<Result>} ask
     */
    #all(ask) {
      return askAll(this.stores, ask);
    }

    /**
     * Calls one store after the other, the present one first, until one has an answer.
     *
     * @template Result
     * @param {(store: Store) => Promise<Result>} ask
     * @param {Result} none the answer of a store that does not have the task
     */
    async #first(ask, none) {
      for (const store of this.stores) {
        const answer = await ask(store);
        if (answer !== none) return answer;
      }
      return none;
    }
  };
}
