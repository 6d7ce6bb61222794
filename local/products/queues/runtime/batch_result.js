/** Determines the fate of each message of a batch from the result of the consumer's invocation. */

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
 * Sorts the messages of a batch. A call on one message (`ack()`, `retry()`) wins over a call on the whole batch, and both count even if the handler
 * threw afterwards. All other messages share the fate of the invocation. (If `ack()` and `retry()` are called on the same message, the first call
 * counts: workerd does that.)
 *
 * @template {{id: string}} M
 * @param {M[]} batch
 * @param {BatchResult} result
 * @returns {{done: M[], failed: (M & {delaySeconds: number | null})[]}} the sorted messages; a delay of null means the consumer's setting
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
