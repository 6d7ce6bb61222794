/**
 * A round through the dead-letter queue: it pulls letters, settles the selected ones, and puts the others back. It is as careful as `python -m ops
 * dlq`: whenever it is interrupted, each letter is in the dead-letter queue, or the next run of its task is in a queue. Pulled letters become visible
 * again when their leases end.
 *
 * A round reads at most 100 letters, so that its cost is limited. It makes at most {@link MAX_REQUESTS} requests to Cloudflare's API, out of the 50
 * of an invocation on the Free plan (https://developers.cloudflare.com/workers/platform/limits/#subrequests): a peek, a count, {@link MAX_PULLS}
 * pulls, as many acknowledgements, one that puts letters back, and one that reads the consumer's settings. Each pull costs one statement of the
 * store, in each of its shards.
 */

import { isUseless, knownLetters } from './dead_letter.js';
import { MAX_LETTERS } from './dead_letter_queue.js';

/** @import { KnownLetter, Letter } from './dead_letter.js' */
/** @import { DeadLetterQueue } from './dead_letter_queue.js' */
/** @import { Engine } from './engines/engine.js' */
/** @import { Store } from './stores/store.js' */

/** Which letters are selected: those with these ids, all for which there is something to do, or (`stale`) the useless ones.
 *
 * @typedef {{ids: ReadonlySet<string>} | 'all' | 'stale'} Selection
 */

/**
 * What became of the letters that a round has pulled and that were meant; `missing`: how many of the ids it did not come across; `more`:
 * whether there are letters that it has not looked at.
 *
 * @typedef {{redriven: number, purged: number, stale: number, unfinished: number, gone: number, malformed: number, repeated: number, missing: number, more: boolean}} RoundCounts
 */

export const MAX_PULLS = 8;

export const MAX_REQUESTS = 2 + 2 * MAX_PULLS + 2;

/** Cloudflare may return no letters although there are some; after so many empty pulls in a row the queue counts as empty. */
const EMPTY_PULLS = 3;
const EMPTY_PULL_MS = 300;

/** After this time no pull is begun, because a client waits. */
const WORK_MS = 8_000;

/**
 * Sends the tasks of letters through their queue again, then acknowledges the letters. Each task runs once, however many letters it has.
 *
 * @param {DeadLetterQueue} queue
 * @param {Store} store
 * @param {Engine} engine
 * @param {Exclude<Selection, 'stale'>} selection
 * @returns {Promise<RoundCounts>}
 */
export async function redriveLetters(queue, store, engine, selection) {
  const counts = noCounts();
  /** The letter of each task that was redriven. @type {Map<string, KnownLetter>} */
  const chosen = new Map();
  const isMeant = (/** @type {KnownLetter} */ { letter }) => selection === 'all' || selection.ids.has(letter.id);
  const isWanted = (/** @type {KnownLetter} */ known) => isMeant(known) && known.next !== null;
  const { missing, more } = await goThrough(queue, store, selection, isWanted, async (shown, isPulled) => {
    const runs = [];
    const settled = [];
    for (const known of shown.filter(isMeant)) {
      const verdict = judge(known, chosen);
      if (verdict === 'redriven' && known.of && known.next) {
        chosen.set(known.of.taskId, known);
        runs.push(known.next);
      }
      if (verdict !== 'copy') counts[verdict] += 1;
      if (verdict === 'redriven' || verdict === 'copy') settled.push(known.letter);
    }
    if (!isPulled) return [];
    if (runs.length > 0) await engine.redrive(runs);
    await queue.acknowledge(settled);
    return settled;
  });
  return { ...counts, missing, more };
}

/**
 * Deletes letters for good.
 *
 * @param {DeadLetterQueue} queue
 * @param {Store} store
 * @param {Exclude<Selection, 'all'>} selection
 * @returns {Promise<RoundCounts>}
 */
export async function purgeLetters(queue, store, selection) {
  const counts = noCounts();
  const isWanted = (/** @type {KnownLetter} */ known) => (selection === 'stale' ? isUseless(known) : selection.ids.has(known.letter.id));
  const { missing, more } = await goThrough(queue, store, selection, isWanted, async (shown) => {
    const meant = shown.filter(isWanted).map(({ letter }) => letter);
    await queue.acknowledge(meant);
    counts.purged += meant.length;
    return meant;
  });
  return { ...counts, missing, more };
}

/** @returns {RoundCounts} */
function noCounts() {
  return { redriven: 0, purged: 0, stale: 0, unfinished: 0, gone: 0, malformed: 0, repeated: 0, missing: 0, more: false };
}

/**
 * @param {KnownLetter} known
 * @param {ReadonlyMap<string, KnownLetter>} chosen
 * @returns {'redriven' | 'copy' | 'stale' | 'unfinished' | 'gone' | 'malformed' | 'repeated'} `copy`: its task was redriven by another letter of that
 *   run; `repeated`: it was redriven by another letter, and may have failed again since
 */
function judge({ of, state, next }, chosen) {
  const other = of && chosen.get(of.taskId);
  if (of && other) {
    if (of.run === other.of?.run || (next !== null && next.run === other.next?.run)) return 'copy';
    return state === 'stale' ? 'stale' : 'repeated';
  }
  return state === 'failed' ? 'redriven' : state;
}

/**
 * Pulls letters, at most {@link MAX_LETTERS}. A pull is one of the few that a letter has before it is dropped: where Cloudflare shows
 * all letters without one, only as many are pulled as it takes to come across the wanted ones. A queue promises no order.
 *
 * @param {DeadLetterQueue} queue
 * @param {Store} store
 * @param {Selection} selection
 * @param {(known: KnownLetter) => boolean} isWanted
 * @param {(letters: KnownLetter[], isPulled: boolean) => Promise<Letter[]>} settle is told of letters: of those that were pulled, some of which
 *   it settles and returns; then of those that need not be pulled, none of which is wanted
 * @returns {Promise<{missing: number, more: boolean}>}
 */
async function goThrough(queue, store, selection, isWanted, settle) {
  const [shown, count] = await Promise.all([queue.peek(MAX_LETTERS), queue.count()]);
  const areAllShown = shown.length < MAX_LETTERS && count <= shown.length;
  const known = areAllShown ? await knownLetters(store, shown) : [];
  const wanted = new Set(known.filter(isWanted).map(({ letter }) => letter.id));
  const missed = new Set(typeof selection === 'object' ? selection.ids : []);
  const round = new Round(queue, areAllShown ? known.findLastIndex(isWanted) + 1 : MAX_LETTERS);
  const tell = async (/** @type {KnownLetter[]} */ letters, isPulled = true) => {
    for (const { letter: { id } } of letters) {
      missed.delete(id);
      wanted.delete(id);
    }
    round.forget(await settle(letters, isPulled));
  };
  const isOver = () => (areAllShown ? wanted.size === 0 : typeof selection === 'object' && missed.size === 0);
  try {
    for (let pulled; !isOver() && (pulled = await round.pull()).length > 0;) await tell(await knownLetters(store, pulled));
    await tell(known.filter(({ letter: { id } }) => !round.seen.has(id) && !wanted.has(id)), false);
  } finally {
    await round.putBack();
  }
  const isLeft = wanted.size > 0; // the queue did not give them, or somebody else has pulled them
  return { missing: missed.size, more: !isOver() && (round.isCutOff || isLeft || (round.isFull && round.seen.size < count)) };
}

/** Within one, no letter comes twice. */
class Round {
  /** @type {Map<string, Letter>} */
  #held = new Map();
  #pulls = 0;
  #end_ms = Date.now() + WORK_MS;
  /** The ids of the letters that it has come across. @type {Set<string>} */
  seen = new Set();
  /** Whether its pulls or its time were over before the queue gave nothing more. */
  isCutOff = false;

  /** Whether it has come across as many letters as it may. */
  get isFull() {
    return this.seen.size >= MAX_LETTERS;
  }

  /**
   * @param {DeadLetterQueue} queue
   * @param {number} first how many letters the first pull takes; the next ones take as many as there may be
   */
  constructor(queue, first) {
    this.queue = queue;
    this.first = first;
  }

  /** @returns {Promise<Letter[]>} some that did not come before; none when there are no more, or it has pulled enough */
  async pull() {
    for (let empty = 0; empty < EMPTY_PULLS; empty++) {
      if (this.isFull) return [];
      this.isCutOff = this.#pulls >= MAX_PULLS || Date.now() >= this.#end_ms;
      if (this.isCutOff) return [];
      if (empty > 0) await new Promise((resolve) => { setTimeout(resolve, EMPTY_PULL_MS); });
      const pulled = await this.queue.pull(this.#pulls++ === 0 ? this.first : MAX_LETTERS - this.seen.size);
      const unseen = pulled.filter(({ id }) => !this.seen.has(id));
      // If its lease ended, a known letter is pulled again: keep the new lease.
      for (const letter of pulled) {
        this.#held.set(letter.id, letter);
        this.seen.add(letter.id);
      }
      if (unseen.length > 0) return unseen;
    }
    return [];
  }

  /** @param {Letter[]} settled */
  forget(settled) {
    for (const { id } of settled) this.#held.delete(id);
  }

  /** Letters that cannot be put back become visible again when their leases end. */
  async putBack() {
    try {
      await this.queue.putBack([...this.#held.values()]);
    } catch (error) {
      console.warn('dead letters could not be put back; they come back when their leases end', { letters: this.#held.size, error: String(error) });
    }
  }
}
