/** Polls the API for what a view shows: slowly, more slowly after each failure, and not at all while the page is hidden. */

import { useEffect, useRef, useState } from 'preact/hooks';

import type { Stats } from './answers.d.ts';
import { ApiError } from './api.ts';
import { Store } from './store.ts';

/** How often to ask for what changes by itself, and for what is expensive to read or changes only by hand. */
export const POLL_MS = 5_000;
export const SLOW_POLL_MS = 60_000;
const MAX_BACKOFF_MS = 60_000;

/** The state of polling: `problem` is empty while the API answers. */
export interface Connection {
  problem: string;
  /** How long until the next try; null: there is none, or no problem. */
  wait_ms: number | null;
  /** Unix time; null: not yet. */
  updated_ms: number | null;
  isHeld: boolean;
}

export const connection = new Store<Connection>({ problem: '', wait_ms: null, updated_ms: null, isHeld: false });

/** What a view's poller calls; it returns how long to wait before the next time. `isAsked`: the reader wants everything read again. */
type Load = (isAsked: boolean) => Promise<number>;

class Poller {
  #load: Load;
  #timer = 0;
  #next_ms = 0;
  #failures = 0;
  #running: Promise<void> | null = null;
  #isAskedAgain = false;
  isOver = false;

  constructor(load: Load) {
    this.#load = load;
  }

  /** A request made while an answer is pending may need newer data than that answer, so the API is asked once more. */
  async poll(isAsked: boolean): Promise<void> {
    if (this.#running) this.#isAskedAgain = true;
    this.#running ??= this.#pollUntilDone(isAsked);
    return this.#running;
  }

  async #pollUntilDone(isAsked: boolean): Promise<void> {
    do {
      const isAskedNow = isAsked || this.#isAskedAgain;
      this.#isAskedAgain = false;
      await this.#pollOnce(isAskedNow);
    } while (this.#isAskedAgain && !this.isOver);
    this.#running = null;
    this.schedule();
  }

  async #pollOnce(isAsked: boolean): Promise<void> {
    let wait_ms: number;
    try {
      wait_ms = await this.#load(isAsked);
      this.#failures = 0;
      if (!this.isOver) connection.set({ ...connection.value, problem: '', wait_ms: null, updated_ms: Date.now() });
    } catch (error) {
      this.#failures += 1;
      const { message, status, wait_ms: asked_ms } = error instanceof ApiError ? error : new ApiError(0, `${error}`);
      wait_ms = Math.max(asked_ms, Math.min(POLL_MS * 2 ** this.#failures, MAX_BACKOFF_MS));
      if (status === 401) wait_ms = Infinity; // a refused token stays refused
      if (!this.isOver) connection.set({ ...connection.value, problem: message, wait_ms: wait_ms < Infinity ? wait_ms : null });
    }
    this.#next_ms = Date.now() + wait_ms;
  }

  schedule(): void {
    clearTimeout(this.#timer);
    if (this.#running || this.isOver || document.hidden || connection.value.isHeld || this.#next_ms === Infinity) return;
    this.#timer = setTimeout(() => void this.poll(false), this.#next_ms - Date.now());
  }

  /** Polls as soon as allowed. */
  hurry(): void {
    this.#next_ms = 0;
    this.schedule();
  }

  stop(): void {
    this.isOver = true;
    clearTimeout(this.#timer);
  }
}

/** The poller of the present view. */
let current: Poller | null = null;

document.addEventListener('visibilitychange', () => current?.schedule());

export async function refresh(): Promise<void> {
  await current?.poll(true);
}

export function setHeld(isHeld: boolean): void {
  connection.set({ ...connection.value, isHeld });
  current?.hurry();
}

/** How long to wait before the next request for statistics, or for lists that count tasks. */
export function freshFor_ms({ freshUntil, generatedAt }: Pick<Stats, 'freshUntil' | 'generatedAt'>): number {
  return Math.max(POLL_MS, Date.parse(freshUntil) - Date.parse(generatedAt));
}

/**
 * Returns the latest data of a view; null before the first answer. `load` gets its previous data, unless the reader wants everything read again,
 * and returns the new data with the wait before the next time. A different key means different data.
 */
export function usePolled<T>(key: string, load: (before: T | null) => Promise<readonly [data: T, wait_ms: number]>): T | null {
  const [seen, setSeen] = useState<{ key: string; data: T } | null>(null);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    let before: T | null = null;
    const poller = new Poller(async (isAsked) => {
      const [data, wait_ms] = await latest.current(isAsked ? null : before);
      before = data;
      if (!poller.isOver) setSeen({ key, data });
      return wait_ms;
    });
    current = poller;
    poller.schedule();
    return () => poller.stop();
  }, [key]);
  return seen?.key === key ? seen.data : null;
}
