/** Shards: the databases and queues that tasks are spread over. A task's id names its shard. */

/**
 * @param {string} taskId
 * @param {number} count how many shards there are
 * @returns {number} from the id's last two digits, which are random, or of an idempotency key; 0 for what is no id
 */
export function shardOf(taskId, count) {
  const digits = Number.parseInt(taskId.slice(-2), 16);
  return Number.isNaN(digits) ? 0 : digits % count;
}

/**
 * @param {string} binding the first shard's
 * @param {number} number from 0
 * @returns {string} that shard's binding
 */
export function shardBinding(binding, number) {
  return number === 0 ? binding : `${binding}_${number}`;
}

/**
 * @param {{SHARDS?: string}} env
 * @returns {number} how many shards new tasks are spread over
 */
export function shardCount({ SHARDS = '1' }) {
  return Number(SHARDS);
}
