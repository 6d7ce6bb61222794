/** `POST /task`: the body is the payload, untouched; what steers the task rides beside it. */

import { TASK_PARAMETERS } from '../handler.js';
import { MAX_DELAY_SECONDS, MAX_PAYLOAD_BYTES, MAX_RETRIES, MAX_TTL_SECONDS, MIN_TTL_SECONDS } from '../task.js';
import { readBody } from './body.js';
import { answerTo, takeIn } from './intake.js';
import { DEFAULT_HANDLER, findHandler, IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS, newTask } from './new_task.js';
import { fromDigits, readQuery, textLike, wholeNumber } from './parameters.js';
import { requireDeclaredJson, toPayload } from './payload.js';
import { Refusal } from './refusal.js';
import { jsonReply } from './reply.js';

/** @import { Insertion } from '../stores/store.js' */
/** @import { Call } from './call.js' */

export const DELAY_SECONDS = /** @type {const} */ ([0, MAX_DELAY_SECONDS]);
export const TTL_SECONDS = /** @type {const} */ ([MIN_TTL_SECONDS, MAX_TTL_SECONDS]);
export const RETRIES = /** @type {const} */ ([0, MAX_RETRIES]);

/** @param {Call} call */
export async function submitTask(call) {
  const { request, url, handlers } = call;
  const handler = url.searchParams.get('handler') ?? DEFAULT_HANDLER;
  const own = Object.keys(findHandler(handlers, handler).parameters ?? {});
  const query = readQuery(url, [...TASK_PARAMETERS, ...own]);
  const settings = {
    handler,
    parameters: Object.fromEntries(own.flatMap((name) => (query[name] === undefined ? [] : [[name, query[name]]]))),
    delay_seconds: wholeNumber('delay', fromDigits(query['delay']), DELAY_SECONDS, null),
    ttl_seconds: wholeNumber('ttl', fromDigits(query['ttl']), TTL_SECONDS, null),
    max_retries: wholeNumber('max_retries', fromDigits(query['max_retries']), RETRIES, null),
    idempotencyKey: textLike('Idempotency-Key', request.headers.get('Idempotency-Key') ?? undefined, IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS),
  };
  const payload = toPayload(await readBody(request, MAX_PAYLOAD_BYTES));
  requireDeclaredJson(request.headers.get('Content-Type'), payload);
  const [insertion] = /** @type {[Insertion | Error]} */ (await takeIn([await newTask({ ...settings, payload }, call)], call));
  const answer = answerTo(insertion);
  if (answer instanceof Refusal) throw answer;
  return jsonReply(answer, 'isNew' in insertion && insertion.isNew ? {} : { headers: { 'Idempotent-Replayed': 'true' } });
}
