/**
 * Task state in Durable Objects: one SQLite-backed object a task, which holds its state transactionally, hands itself
 * over again should its message be lost, and deletes itself when its time to live is over.
 */

import { DurableObject } from 'cloudflare:workers';

import { LEASE_SECONDS, SWEEP_GRACE_SECONDS, TASK_TTL_SECONDS } from '../task.js';
import { creationTime } from '../task_id.js';
import { isOpen, mayClaim } from './lease.js';

/** @import { ClaimedTask, Outcome, Payload, Status, TaskError, TaskRecord } from '../task.js' */
/** @import { Delivery, OpenTask, Store } from './store.js' */
/** @import { Engine } from '../engines/engine.js' */

/**
 * A task's state, beside its payload, which is stored apart: it is written once.
 *
 * @typedef {object} State
 * @property {string} taskId
 * @property {Status} status
 * @property {number} attempts
 * @property {number | null} lease_expires_at_ms
 * @property {number | null} sent_at_ms
 * @property {string | null} result JSON
 * @property {TaskError | null} error
 */

/** @typedef {{TASK_DO: DurableObjectNamespace<InstanceType<ReturnType<typeof taskObject>>>}} Env */

/** @implements {Store} */
export class DurableObjectStore {
  settling_seconds = 0;

  /** @param {Env} env */
  constructor(env) {
    this.objects = env.TASK_DO;
  }

  /**
   * @param {string} taskId
   * @param {Payload} payload
   */
  async insert(taskId, payload) {
    await this.#object(taskId).insert(taskId, payload);
  }

  /**
   * @param {string} taskId
   * @returns {Promise<TaskRecord | null>}
   */
  async find(taskId) {
    return this.#object(taskId).find();
  }

  /**
   * @param {Delivery[]} deliveries
   * @returns {Promise<ClaimedTask[]>}
   */
  async claim(deliveries) {
    const claims = await Promise.all(deliveries.map(({ taskId, attempts }) => this.#object(taskId).claim(attempts)));
    return claims.filter((claimed) => claimed !== null);
  }

  /** @param {string[]} taskIds */
  async existing(taskIds) {
    const found = await Promise.all(taskIds.map((taskId) => this.find(taskId)));
    return new Set(taskIds.filter((_, index) => found[index]));
  }

  /** @param {Outcome[]} outcomes */
  async settle(outcomes) {
    await Promise.all(outcomes.map((outcome) => this.#object(outcome.taskId).settle(outcome)));
  }

  /**
   * @param {string[]} taskIds
   * @param {TaskError} error
   */
  async abandon(taskIds, error) {
    await Promise.all(taskIds.map((taskId) => this.#object(taskId).abandon(error)));
  }

  /** @param {string[]} taskIds */
  async markSent(taskIds) {
    await Promise.all(taskIds.map((taskId) => this.#object(taskId).markSent()));
  }

  /** @returns {Promise<OpenTask[]>} none: each object sees to itself */
  async sweep() {
    return [];
  }

  async expire() {
    return 0; // objects delete themselves
  }

  /** @param {string} taskId */
  #object(taskId) {
    return this.objects.getByName(taskId);
  }
}

/**
 * Makes the class of a task's object.
 *
 * @param {(env: any) => Engine} engineOf what hands a task over again
 */
export function taskObject(engineOf) {
  /** Its methods run without an await between read and write, so each is one transaction. */
  return class TaskObject extends DurableObject {
    /**
     * @param {string} taskId
     * @param {Payload} payload
     */
    async insert(taskId, payload) {
      if (this.#read()) return;
      this.ctx.storage.kv.put('payload', payload);
      this.#write({ taskId, status: 'pending', attempts: 0, lease_expires_at_ms: null, sent_at_ms: null, result: null, error: null });
      await this.ctx.storage.setAlarm(Date.now() + SWEEP_GRACE_SECONDS * 1000);
    }

    /** @returns {TaskRecord | null} */
    find() {
      const state = this.#read();
      return state ? { status: state.status, attempts: state.attempts, result: state.result, error: state.error } : null;
    }

    /**
     * @param {number} deliveryAttempts
     * @returns {ClaimedTask | null}
     */
    claim(deliveryAttempts) {
      const state = this.#read();
      if (!state || !mayClaim(state, deliveryAttempts, Date.now())) return null;
      const attempts = state.attempts + 1;
      this.#write({ ...state, status: 'processing', attempts, lease_expires_at_ms: Date.now() + LEASE_SECONDS * 1000 });
      return { taskId: state.taskId, attempts, payload: this.ctx.storage.kv.get('payload') ?? '{}' };
    }

    /** @param {Outcome} outcome */
    settle(outcome) {
      const state = this.#read();
      if (state?.status === 'processing') {
        this.#write({ ...state, result: null, error: null, ...outcome, lease_expires_at_ms: null });
      }
    }

    /** @param {TaskError} error */
    abandon(error) {
      const state = this.#read();
      if (state && isOpen(state, Date.now())) this.#write({ ...state, status: 'failed', error, lease_expires_at_ms: null });
    }

    markSent() {
      const state = this.#read();
      if (state) this.#write({ ...state, sent_at_ms: Date.now() });
    }

    /**
     * Rescues the task when it is open, then looks again after twice the time, so that a task that waits long costs
     * little; ends with the task's time to live.
     *
     * @override
     */
    async alarm() {
      const state = this.#read();
      if (!state) return;
      const created_ms = creationTime(state.taskId);
      const expires_ms = created_ms + TASK_TTL_SECONDS * 1000;
      if (Date.now() >= expires_ms) return this.ctx.storage.deleteAll();
      const isEnded = state.status === 'completed' || state.status === 'failed';
      if (isOpen(state, Date.now())) await engineOf(this.env).rescue([state]);
      const age_ms = Math.max(Date.now() - created_ms, SWEEP_GRACE_SECONDS * 1000);
      await this.ctx.storage.setAlarm(isEnded ? expires_ms : Math.min(Date.now() + age_ms, expires_ms));
    }

    /** @returns {State | undefined} */
    #read() {
      return this.ctx.storage.kv.get('state');
    }

    /** @param {State} state */
    #write(state) {
      this.ctx.storage.kv.put('state', state);
    }
  };
}
