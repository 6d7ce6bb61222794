/** `/dead-letters`: lists, redrives and purges dead letters. It needs the stack's setting `dead_letter_api_token`. */

import { knownLetters, textOf } from '../dead_letter.js';
import { deadLetterQueueOf, DeadLetterQueueError, MAX_LETTERS } from '../dead_letter_queue.js';
import { purgeLetters, redriveLetters } from '../dead_letter_round.js';
import { HandoverRefused } from '../engines/engine.js';
import { bounded } from '../text.js';
import { invalidParameter, isoTime, jsonReply, Refusal } from './reply.js';
import { fromDigits, isObject, parseJson, readBody, readQuery, requireKnown, toPayload, wholeNumber } from './request.js';

/** @import { KnownLetter } from '../dead_letter.js' */
/** @import { DeadLetterQueue } from '../dead_letter_queue.js' */
/** @import { Selection } from '../dead_letter_round.js' */
/** @import { Call } from './router.js' */

export const LIST_LETTERS = /** @type {const} */ ([1, MAX_LETTERS]);

/** The pattern of message ids: Cloudflare's have 32 hexadecimal digits. */
export const LETTER_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** The longest request body: a hundred ids. */
const MAX_BYTES = 16 * 1024;

/** How much is shown of a letter that names no task. */
export const MAX_BODY_LENGTH = 200;

/** @param {Call} call */
export async function listDeadLetters(call) {
  const { limit } = readQuery(call.url, ['limit']);
  const most = wholeNumber('limit', fromDigits(limit), LIST_LETTERS, MAX_LETTERS);
  const queue = requireQueue(call);
  return answer(call, async () => {
    const [letters, count] = await Promise.all([queue.peek(most), queue.count()]);
    const known = await knownLetters(call.store, letters);
    return { total: Math.max(count, letters.length), deadLetters: known.map((each) => view(each, call)) };
  });
}

/** @param {Call} call */
export async function redriveDeadLetters(call) {
  const selection = await readSelection(call, ['ids', 'all']);
  const queue = requireQueue(call);
  return answer(call, async () => {
    const { purged: _, ...counts } = await redriveLetters(queue, call.store, call.engine, /** @type {Exclude<Selection, 'stale'>} */ (selection));
    return counts;
  });
}

/** @param {Call} call */
export async function purgeDeadLetters(call) {
  const selection = await readSelection(call, ['ids', 'stale', 'all']);
  const queue = requireQueue(call);
  return answer(call, async () => {
    if (selection === 'all') {
      const purged = await queue.count();
      await queue.deleteAll();
      return { purged, missing: 0, more: false };
    }
    const { purged, missing, more } = await purgeLetters(queue, call.store, selection);
    return { purged, missing, more };
  });
}

/**
 * @param {Call} call
 * @param {() => Promise<object>} act it is finished even if the client has disconnected, so that pulled letters are put back
 * @throws {Refusal} Cloudflare refused the request
 */
async function answer({ invocation }, act) {
  const acting = act();
  invocation.waitUntil(acting.catch(() => {}));
  try {
    return jsonReply(await acting);
  } catch (error) {
    if (error instanceof DeadLetterQueueError) throw refusalOf(error);
    if (error instanceof HandoverRefused) throw refusalOfHandover(error);
    throw error;
  }
}

/** @param {HandoverRefused} error */
function refusalOfHandover({ retry_after_seconds }) {
  return new Refusal('backlog_full', 'the queue takes no tasks for now, so their dead letters stay where they are; try again', {
    headers: { 'Retry-After': String(Math.ceil(retry_after_seconds)) },
  });
}

/** @param {DeadLetterQueueError} error */
function refusalOf({ kind, message, retry_after_seconds }) {
  switch (kind) {
    case 'token':
      return new Refusal('dead_letter_token_refused', 'Cloudflare does not take the token of the setting dead_letter_api_token for the dead-letter queue: '
        + `set one of this account that has the permission Queues Edit, and deploy (${message})`);
    case 'away':
      return new Refusal('dead_letter_queue_unavailable', `Cloudflare's API does not serve the dead-letter queue for now: try again (${message})`, {
        headers: { 'Retry-After': String(Math.ceil(retry_after_seconds)) },
      });
    default:
      return new Refusal('dead_letter_queue_refused', `Cloudflare refuses a request for the dead-letter queue that the stack was deployed with: deploy again, should it have been changed (${message})`);
  }
}

/**
 * @param {Call} call
 * @returns {DeadLetterQueue}
 * @throws {Refusal} the stack does not let the Worker read its dead letters, or has none
 */
function requireQueue({ env, engine }) {
  const queue = deadLetterQueueOf(env);
  if (queue) return queue;
  throw new Refusal('dead_letters_off', engine.hasQueues
    ? 'the Worker may not read its dead-letter queue: set dead_letter_api_token, an API token of Cloudflare with the permission Queues Edit, and deploy; '
      + 'or type python -m ops dlq list, show, redrive and purge, with a token of your own'
    : 'engine workflow has no dead-letter queue: GET /tasks?status=failed lists what has failed, and POST /actions retries it');
}

/**
 * @param {Call} call
 * @param {('ids' | 'stale' | 'all')[]} words words, one of which the body has
 * @returns {Promise<Selection>}
 * @throws {Refusal}
 */
async function readSelection({ request, url }, words) {
  readQuery(url, []);
  const body = parseJson(toPayload(await readBody(request, MAX_BYTES)), `POST ${url.pathname} takes it`);
  const forms = words.map((word) => (word === 'ids' ? '{"ids": [...]}' : `{"${word}": true}`)).join(' or ');
  if (!isObject(body)) throw invalidParameter('the body', forms, body);
  for (const name of Object.keys(body)) requireKnown(name, words, 'field');
  const [word, ...others] = words.filter((each) => body[each] !== undefined);
  if (word === undefined || others.length > 0) throw invalidParameter('the body', forms, body);
  if (word !== 'ids') {
    if (body[word] !== true) throw invalidParameter(word, 'true', body[word]);
    return word;
  }
  const { ids } = body;
  const isGood = Array.isArray(ids) && ids.length > 0 && ids.length <= MAX_LETTERS && ids.every((id) => typeof id === 'string' && LETTER_ID.test(id));
  if (!isGood) throw invalidParameter('ids', `1 to ${MAX_LETTERS} ids of dead letters`, ids);
  return { ids: new Set(ids) };
}

/**
 * @param {KnownLetter} known
 * @param {Call} call
 */
function view({ letter, of, task, state }, { role }) {
  return {
    letterId: letter.id, state, attempts: letter.attempts, sentAt: isoTime(letter.sent_ms), contentType: letter.content_type,
    taskId: of?.taskId ?? null, run: of?.run ?? null,
    task: task && { status: task.status, run: task.run, handler: task.handler, error: task.error },
    // Anybody may have sent this message, and a caller who may see tasks may not therefore see payloads.
    body: state === 'malformed' && role === 'operate' ? bounded(textOf(letter), MAX_BODY_LENGTH) : null,
  };
}
