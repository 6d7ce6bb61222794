/**
 * Joins what concurrent requests of an isolate ask of the same place: one database, object or queue. The first goes at once; while it
 * is under way the others wait, and then the next of them asks for all that have come. There is no timer to gather them, so
 * that a lone request waits for nothing.
 *
 * I/O belongs to the request that began it, so each request asks within its own turn, and hands the turn on by resolving a promise of
 * the next. A request may end at any moment; the next turn does not depend on it for long.
 */

/** How often the request whose turn it is gives a sign of life, how often those that wait look for one, and after how many looks in
 * vain they go on without it: two, since timers that are due after the isolate was busy come in any order. */
const BEAT_MS = 250;
const WATCH_MS = 500;
const MISSED_LOOKS = 2;

/** How many items of others an invocation may ask for in all, less its own: D1 counts each statement against the invocation that
 * sends it, which has 50 on the Free plan (https://developers.cloudflare.com/d1/platform/limits/). */
const CARRIED_ITEMS = 32;

/** What an invocation of the Worker brings. */
export class Invocation {
  carried_left = CARRIED_ITEMS;

  /** @param {(work: Promise<unknown>) => void} [waitUntil] keeps the invocation alive until the work is done, whether or not its
   *   client is still there */
  constructor(waitUntil = () => {}) {
    this.waitUntil = waitUntil;
  }
}

/**
 * How much of an item there is to send, and at most to receive.
 *
 * @typedef {{bytes: number, answer_bytes: number}} Size
 */

/** What is asked at once at most. Items of one caller stay together, and are asked whatever their size.
 *
 * @typedef {{items: number, bytes: number, answer_bytes: number}} Bounds
 */

/** A request's turn. */
class Turn {
  /** How many signs of life it has given. */
  beats = 0;
}

/**
 * What a request that waits is told: its answers, or what went wrong for all; to take its turn; to ask alone.
 *
 * @template Answer
 * @typedef {{kind: 'answers', answers: Answer[]} | {kind: 'error', error: unknown} | {kind: 'turn', turn: Turn} | {kind: 'alone'}} News
 */

/**
 * What a request asks. `turn` is that in which another one asks for it.
 *
 * @template Item, Answer
 * @typedef {{items: Item[], size: Bounds, turn: Turn | null, tell: (news: News<Answer>) => void}} Entry
 */

/** @template Item, Answer */
export class Joint {
  /** Those that wait, in their order. @type {Entry<Item, Answer>[]} */
  #waiting = [];
  /** @type {Turn | null} */
  #turn = null;

  /**
   * @param {Bounds} bounds
   * @param {(item: Item) => Size} sizeOf
   * @param {(error: unknown) => boolean} isPassing whether each caller may ask again after an error; after any other one
   *   each asks alone, so that only those fail that are at fault
   * @param {boolean} [isCounted] whether each item counts against the invocation that asks for it
   */
  constructor(bounds, sizeOf, isPassing, isCounted = false) {
    this.bounds = bounds;
    this.sizeOf = sizeOf;
    this.isPassing = isPassing;
    this.isCounted = isCounted;
  }

  /**
   * Asks, alone or together with others. It may be asked twice, should the request that asks for it end meanwhile.
   *
   * @param {Item[]} items
   * @param {(items: Item[]) => Promise<Answer[]>} send an answer for each item, in their order; called within the caller's request
   * @param {Invocation} invocation the caller's
   * @returns {Promise<Answer[]>}
   */
  ask(items, send, invocation) {
    const answers = this.#ask(items, send, invocation);
    invocation.waitUntil(answers.catch(() => {}));
    return answers;
  }

  /**
   * @param {Item[]} items
   * @param {(items: Item[]) => Promise<Answer[]>} send
   * @param {Invocation} invocation
   * @returns {Promise<Answer[]>}
   */
  async #ask(items, send, invocation) {
    /** @type {PromiseWithResolvers<News<Answer>>} */
    const { promise, resolve: tell } = Promise.withResolvers();
    /** @type {Entry<Item, Answer>} */
    const entry = { items, size: sum(items.map(this.sizeOf)), turn: null, tell };
    if (this.#turn === null) return this.#take(this.#turn = new Turn(), entry, send, invocation);
    this.#waiting.push(entry);
    const news = await this.#newsOf(entry, promise);
    switch (news.kind) {
      case 'answers': return news.answers;
      case 'turn': return this.#take(news.turn, entry, send, invocation);
      case 'alone': return send(items);
      default: throw news.error;
    }
  }

  /**
   * @param {Entry<Item, Answer>} entry
   * @param {Promise<News<Answer>>} told
   * @returns {Promise<News<Answer>>} to go on without the request whose turn it is, should that one have ended
   */
  async #newsOf(entry, told) {
    let seen = { turn: entry.turn ?? this.#turn, beats: -1 };
    for (let missed = 0; ; ) {
      const news = await within(WATCH_MS, told);
      if (news) return news;
      const turn = entry.turn ?? this.#turn;
      const beats = turn?.beats ?? 0;
      missed = turn === seen.turn && beats === seen.beats ? missed + 1 : 0;
      seen = { turn, beats };
      if (missed < MISSED_LOOKS) continue;
      if (entry.turn) return { kind: 'alone' };
      const place = this.#waiting.indexOf(entry);
      if (place < 0) continue; // its news is on the way
      this.#waiting.splice(place, 1);
      return { kind: 'turn', turn: this.#turn = new Turn() };
    }
  }

  /**
   * Asks for as many of those that wait as there may be at once.
   *
   * @param {Turn} turn
   * @param {Entry<Item, Answer>} own
   * @param {(items: Item[]) => Promise<Answer[]>} send
   * @param {Invocation} invocation
   * @returns {Promise<Answer[]>} of its own items
   */
  async #take(turn, own, send, invocation) {
    const others = this.#join(own, invocation);
    for (const other of others) other.turn = turn;
    const beat = setInterval(() => { turn.beats++; }, BEAT_MS);
    try {
      const answers = await send([own, ...others].flatMap(({ items }) => items));
      let first = own.items.length;
      for (const { items, tell } of others) tell({ kind: 'answers', answers: answers.slice(first, first += items.length) });
      return answers.slice(0, own.items.length);
    } catch (error) {
      const isPassing = this.isPassing(error);
      for (const { tell } of others) tell(isPassing ? { kind: 'error', error } : { kind: 'alone' });
      if (isPassing || others.length === 0) throw error;
    } finally {
      clearInterval(beat);
      this.#handOn(turn);
    }
    return send(own.items);
  }

  /**
   * @param {Entry<Item, Answer>} own
   * @param {Invocation} invocation
   * @returns {Entry<Item, Answer>[]} those that are asked with it, which wait no longer
   */
  #join(own, invocation) {
    const { items: most_items, bytes, answer_bytes } = this.bounds;
    const size = { ...own.size };
    if (this.isCounted) invocation.carried_left -= size.items;
    const most = this.isCounted ? Math.min(most_items, size.items + invocation.carried_left) : most_items;
    let count = 0;
    for (const { size: other } of this.#waiting) {
      size.items += other.items;
      size.bytes += other.bytes;
      size.answer_bytes += other.answer_bytes;
      if (size.items > most || size.bytes > bytes || size.answer_bytes > answer_bytes) break;
      if (this.isCounted) invocation.carried_left -= other.items;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  /** @param {Turn} turn that is over; another request may have taken its own since, where this one gave no sign of life */
  #handOn(turn) {
    if (this.#turn !== turn) return;
    const next = this.#waiting.shift();
    this.#turn = next ? new Turn() : null;
    if (next && this.#turn) next.tell({ kind: 'turn', turn: this.#turn });
  }
}

/** Those of the bindings of an isolate, by name where a binding has several places. @type {WeakMap<object, Map<string, Joint<any, any>>>} */
const JOINTS = new WeakMap();

/**
 * @template {Joint<any, any>} Made
 * @param {object} binding the same in all requests
 * @param {string} name
 * @param {() => Made} make
 * @returns {Made}
 */
export function jointOf(binding, name, make) {
  const joints = JOINTS.get(binding) ?? new Map();
  JOINTS.set(binding, joints);
  const joint = joints.get(name) ?? make();
  joints.set(name, joint);
  return joint;
}

/**
 * @param {Size[]} sizes
 * @returns {Bounds}
 */
function sum(sizes) {
  const total = { items: sizes.length, bytes: 0, answer_bytes: 0 };
  for (const { bytes, answer_bytes } of sizes) {
    total.bytes += bytes;
    total.answer_bytes += answer_bytes;
  }
  return total;
}

/**
 * @template Result
 * @param {number} time_ms
 * @param {Promise<Result>} promise
 * @returns {Promise<Result | null>} null when the time is up before
 */
async function within(time_ms, promise) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  try {
    return await Promise.race([promise, new Promise((resolve) => { timer = setTimeout(resolve, time_ms, null); })]);
  } finally {
    if (timer !== undefined) clearTimeout(timer);
  }
}
