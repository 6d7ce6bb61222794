/** Asks again and again for what a view shows: slowly, more slowly after each failure, and not at all while nobody sees the page. */

import { useEffect, useRef, useState } from 'preact/hooks';

import type { Stats } from './answers.d.ts';
import { ApiError } from './api.ts';
import { Store } from './store.ts';

/** How often what changes by itself is asked for, and what is dear to look at, or changes when somebody changes it. */
export const POLL_MS = 5_000;
export const SLOW_POLL_MS = 60_000;
const MAX_BACKOFF_MS = 60_000;

/** How it goes: `problem` is empty while the API answers. */
export interface Connection {
  problem: string;
  /** How long until the next try; null: there is none, or no problem. */
  wait_ms: number | null;
  /** Unix time; null: not yet. */
  updated_ms: number | null;
  isHeld: boolean;
}

export const connection = new Store<Connection>({ problem: '', wait_ms: null, updated_ms: null, isHeld: false });

/** What a view's poller calls, which says how long to wait before the next time; `isAsked`: the reader wants everything anew. */
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

  /** What is asked for while an answer is awaited may be newer than that: it is asked for once more. */
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

  /** Polls as soon as it may. */
  hurry(): void {
    this.#next_ms = 0;
    this.schedule();
  }

  stop(): void {
    this.isOver = true;
    clearTimeout(this.#timer);
  }
}

/** That of the view that is shown. */
let current: Poller | null = null;

document.addEventListener('visibilitychange', () => current?.schedule());

export async function refresh(): Promise<void> {
  await current?.poll(true);
}

export function setHeld(isHeld: boolean): void {
  connection.set({ ...connection.value, isHeld });
  current?.hurry();
}

/** How long to wait before the statistics are asked for again, or lists: whatever counts tasks. */
export function freshFor_ms({ freshUntil, generatedAt }: Pick<Stats, 'freshUntil' | 'generatedAt'>): number {
  return Math.max(POLL_MS, Date.parse(freshUntil) - Date.parse(generatedAt));
}

/**
 * What a view shows, as it was when it was asked for last; null before the first answer. `load` gets what it gave before, unless the reader
 * wants everything anew, and says how long to wait before the next time. Another key stands for something else to show.
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
