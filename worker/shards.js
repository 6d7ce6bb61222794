/** Shards: the databases and queues over which tasks are spread. A task's id determines its shard. */

/**
 * @param {string} taskId
 * @param {number} count the number of shards
 * @returns {number} the shard, from the last two digits of the id, which are random or derived from an idempotency key; 0 for a text that is not an
 *   id
 */
export function shardOf(taskId, count) {
  const digits = Number.parseInt(taskId.slice(-2), 16);
  return Number.isNaN(digits) ? 0 : digits % count;
}

/**
 * @param {string} binding the binding of the first shard
 * @param {number} number the shard's number, from 0
 * @returns {string} that shard's binding
 */
export function shardBinding(binding, number) {
  return number === 0 ? binding : `${binding}_${number}`;
}

/**
 * @param {{SHARDS?: string}} env
 * @returns {number} over how many shards new tasks are spread
 */
export function shardCount({ SHARDS = '1' }) {
  return Number(SHARDS);
}
