/** What becomes of each message of a batch, from what the consumer's invocation reported. */

/**
 * @typedef {{
 *   outcome: string,
 *   ackAll: boolean,
 *   retryBatch: {retry: boolean, delaySeconds?: number},
 *   explicitAcks: string[],
 *   retryMessages: {msgId: string, delaySeconds?: number}[],
 * }} BatchResult
 */

/**
 * Sorts a batch. What a handler said about one message beats what it said about the batch, and both hold when it threw
 * afterwards; a message that it said nothing about shares the fate of the invocation. (Of `ack()` and `retry()` on the
 * same message the first one counts: workerd sees to it.)
 *
 * @template {{id: string}} M
 * @param {M[]} batch
 * @param {BatchResult} result
 * @returns {{done: M[], failed: (M & {delaySeconds: number | null})[]}} a delay of null: the consumer's setting
 */
export function settled(batch, result) {
  const acked = new Set(result.explicitAcks);
  const retried = new Map(result.retryMessages.map(({ msgId, delaySeconds }) => [msgId, delaySeconds ?? null]));
  const restDone = result.ackAll || (result.outcome === 'ok' && !result.retryBatch.retry);
  const restDelay = result.retryBatch.delaySeconds ?? null;

  const done = [];
  const failed = [];
  for (const message of batch) {
    const delaySeconds = retried.get(message.id);
    if (delaySeconds !== undefined) failed.push({ ...message, delaySeconds });
    else if (acked.has(message.id) || restDone) done.push(message);
    else failed.push({ ...message, delaySeconds: restDelay });
  }
  return { done, failed };
}
