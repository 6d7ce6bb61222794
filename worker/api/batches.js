/**
 * Batches with a task at their end: `POST /tasks` with `then`, and `/batches/:id`. Such a batch is its last task, which starts after all
 * others, and has its id.
 */

import { stillAwaited } from '../dependencies.js';
import { STATUSES } from '../task.js';
import { readStartWhen, requireHolding, withAwaited } from './after.js';
import { OWN_FIELDS, readBatch, readItem, submitEach } from './batch.js';
import { acceptTasks, answerTo } from './intake.js';
import { jsonReply, quoted, Refusal, summaryView } from './reply.js';
import { readQuery, textLike } from './request.js';
import { IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS, newTask } from './submission.js';
import { requireTaskId } from './task.js';

/** @import { Insertion } from '../stores/store.js' */
/** @import { Status } from '../task.js' */
/** @import { Call } from './router.js' */
/** @import { Submission } from './submission.js' */

/** @param {Call} call */
export async function submitBatch(call) {
  const batch = await readBatch(call);
  return batch.then === undefined ? submitEach(call, batch.items) : submitWithThen(call, batch);
}

/**
 * All of its tasks are taken in, or none that is at fault: the last one is of all of them. Where the store fails in between, the
 * same request with the same key takes in what is missing.
 *
 * @param {Call} call
 * @param {{items: unknown[], then: unknown, startWhen: unknown}} batch
 */
async function submitWithThen(call, batch) {
  requireHolding(call.store, 'then');
  const key = textLike('Idempotency-Key', call.request.headers.get('Idempotency-Key') ?? undefined, IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS);
  const startWhen = readStartWhen(batch.startWhen);
  // What it starts after is the batch's, and so is its key.
  const last = { ...readItem(batch.then, call.handlers, OWN_FIELDS), idempotencyKey: keyOf(key, 'then') };
  await newTask(last, call); // whatever is at fault is found before a task is stored
  const tasks = await Promise.all(batch.items.map((item, index) => numbered(index, async () => {
    const submission = readItem(item, call.handlers);
    return newTask({ ...submission, idempotencyKey: submission.idempotencyKey ?? keyOf(key, String(index)) }, call);
  })));
  const good = (await withAwaited(tasks, call.store)).map((task, index) => orThrow(index, task));
  const answers = (await acceptTasks(good, call)).map((insertion, index) => orThrow(index, answerTo(insertion)));
  const statuses = new Map(answers.map(({ taskId, status }) => [taskId, status]));
  const insertion = await submitLast(call, { ...last, after: { taskIds: [...statuses.keys()], startWhen } }, statuses);
  const answer = answerTo(insertion);
  if (answer instanceof Refusal) throw answer;
  return jsonReply(
    { batchId: answer.taskId, tasks: answers.map((each) => ({ httpStatus: 200, ...each })) },
    'isNew' in insertion && insertion.isNew ? {} : { headers: { 'Idempotent-Replayed': 'true' } },
  );
}

/**
 * @param {Call} call
 * @param {Submission & {after: NonNullable<Submission['after']>}} submission
 * @param {Map<string, Status>} statuses of the others
 * @returns {Promise<Insertion | Error>}
 */
async function submitLast(call, submission, statuses) {
  const awaits = stillAwaited(submission.after, statuses);
  const task = { ...await newTask(submission, call), awaits, isHeld: awaits.length > 0 };
  return /** @type {Insertion | Error} */ ((await acceptTasks([task], call))[0]);
}

/**
 * @param {string | null} key
 * @param {string} part
 * @returns {string | null} of a part of the batch; no key of a caller's has a line break, so none can be this one
 */
function keyOf(key, part) {
  return key === null ? null : `batch\n${key}\n${part}`;
}

/**
 * @template Result
 * @param {number} index
 * @param {() => Promise<Result>} read
 * @throws {Refusal} it says which task of the batch is at fault
 */
async function numbered(index, read) {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Refusal) orThrow(index, error);
    throw error;
  }
}

/**
 * @template Result
 * @param {number} index of a task of the batch, from 0
 * @param {Result | Refusal} result
 * @returns {Result}
 * @throws {Refusal}
 */
function orThrow(index, result) {
  if (!(result instanceof Refusal)) return result;
  const { error, code, ...extras } = result.body;
  throw new Refusal(code, `tasks[${index}]: ${error}`, { extras: { ...extras, index }, headers: result.headers });
}

/**
 * @param {Call} call
 * @param {string} batchId
 */
export async function showBatch({ url, store, env }, batchId) {
  readQuery(url, []);
  requireTaskId(batchId);
  const last = await store.find(batchId);
  if (!last?.after) throw new Refusal('batch_not_found', `there is no batch ${quoted(batchId)}: its id is what POST /tasks with then was answered with`);
  const { taskIds, startWhen } = last.after;
  const statuses = await store.statuses(taskIds);
  const counts = Object.fromEntries(STATUSES.map((status) => [status, taskIds.filter((taskId) => statuses.get(taskId) === status).length]));
  return jsonReply({
    batchId, startWhen,
    counts: { ...counts, expired: taskIds.length - statuses.size },
    tasks: taskIds.map((taskId) => ({ taskId, status: statuses.get(taskId) ?? null })),
    then: summaryView(last, env),
  });
}
