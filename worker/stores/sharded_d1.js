/** Task state in several D1 databases: each runs one query at a time, so more of them take more tasks. */

import { shardBinding } from '../shards.js';
import { D1Store } from './d1.js';
import { ShardedStore } from './sharded.js';

/** @param {number[]} counts how many databases new tasks are spread over, then those of earlier deployments */
export function shardedD1(counts) {
  return class ShardedD1Store extends ShardedStore {
    /** @param {Record<string, D1Database>} env */
    constructor(env) {
      const database = (/** @type {number} */ number) => /** @type {D1Database} */ (env[shardBinding('DB', number)]);
      super(Array.from({ length: Math.max(...counts) }, (_, number) => new D1Store({ DB: database(number) })), counts);
    }
  };
}
