/**
 * Joins concurrent calls of an isolate to the same place: one database, object or queue. The first call goes at once. While it is in progress the
 * others wait; then the next of them sends all that have come. No timer gathers them, so that a single call waits for nothing.
 *
 * I/O belongs to the request that began it, so each request sends within its own turn, and passes the turn on by resolving a promise of the next
 * request. A request may end at any moment; the next turn then waits only briefly.
 */

/** How often the request with the turn gives a sign of life, how often the waiting ones look for it, and after how many looks without one they go on.
 * It is two, because timers that are due after a busy time of the isolate fire in any order. */
const BEAT_MS = 250;
const WATCH_MS = 500;
const MISSED_LOOKS = 2;

/** How many items of others an invocation may send in all, besides its own: D1 counts each statement against the invocation that sends it, which has
 * 50 on the Free plan (https://developers.cloudflare.com/d1/platform/limits/). */
const CARRIED_ITEMS = 32;

/** An invocation of the Worker. */
export class Invocation {
  carried_left = CARRIED_ITEMS;

  /** @param {(work: Promise<unknown>) => void} [waitUntil] keeps the invocation alive until the work is done, even if its client is gone */
  constructor(waitUntil = () => {}) {
    this.waitUntil = waitUntil;
  }
}

/**
 * How many bytes of an item there are to send, and at most to receive.
 *
 * @typedef {{bytes: number, answer_bytes: number}} Size
 */

/** The limits of one joint call. Items of one caller stay together, and are sent whatever their size.
 *
 * @typedef {{items: number, bytes: number, answer_bytes: number}} Bounds
 */

/** The turn of a request. */
class Turn {
  /** How many signs of life it has given. */
  beats = 0;
}

/**
 * The message to a waiting request: its answers, or an error of all; or to take the turn; or to send alone.
 *
 * @template Answer
 * @typedef {{kind: 'answers', answers: Answer[]} | {kind: 'error', error: unknown} | {kind: 'turn', turn: Turn} | {kind: 'alone'}} News
 */

/**
 * The call of a request. `turn` is the turn in which another request sends it.
 *
 * @template Item, Answer
 * @typedef {{items: Item[], size: Bounds, turn: Turn | null, tell: (news: News<Answer>) => void}} Entry
 */

/** @template Item, Answer */
export class Joint {
  /** The waiting calls, in their order. @type {Entry<Item, Answer>[]} */
  #waiting = [];
  /** @type {Turn | null} */
  #turn = null;

  /**
   * @param {Bounds} bounds
   * @param {(item: Item) => Size} sizeOf
   * @param {(error: unknown) => boolean} isPassing whether each caller may try again after the error; after any other error each sends alone, so that
   *   only the faulty calls fail
   * @param {boolean} [isCounted] whether each item counts against the invocation that sends it
   */
  constructor(bounds, sizeOf, isPassing, isCounted = false) {
    this.bounds = bounds;
    this.sizeOf = sizeOf;
    this.isPassing = isPassing;
    this.isCounted = isCounted;
  }

  /**
   * Sends items, alone or together with others. They may be sent twice, if the request that sends them ends meanwhile.
   *
   * @param {Item[]} items
   * @param {(items: Item[]) => Promise<Answer[]>} send returns an answer for each item, in their order; called within the caller's request
   * @param {Invocation} invocation the caller's invocation
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
   * @returns {Promise<News<Answer>>} the message; to go on without the request with the turn, if that has ended
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
      if (place < 0) continue; // its message is on the way
      this.#waiting.splice(place, 1);
      return { kind: 'turn', turn: this.#turn = new Turn() };
    }
  }

  /**
   * Sends as many waiting calls as one joint call may have.
   *
   * @param {Turn} turn
   * @param {Entry<Item, Answer>} own
   * @param {(items: Item[]) => Promise<Answer[]>} send
   * @param {Invocation} invocation
   * @returns {Promise<Answer[]>} the answers to its own items
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
   * @returns {Entry<Item, Answer>[]} the calls that are sent with it; they no longer wait
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

  /** @param {Turn} turn the turn that is over; another request may have taken the turn meanwhile, if this one gave no sign of life */
  #handOn(turn) {
    if (this.#turn !== turn) return;
    const next = this.#waiting.shift();
    this.#turn = next ? new Turn() : null;
    if (next && this.#turn) next.tell({ kind: 'turn', turn: this.#turn });
  }
}

/** The joints of an isolate, by binding, and by name if a binding has several places. @type {WeakMap<object, Map<string, Joint<any, any>>>} */
const JOINTS = new WeakMap();

/**
 * @template {Joint<any, any>} Made
 * @param {object} binding the same object in all requests
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
 * @returns {Promise<Result | null>} the promise's value; null if the time is up first
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
