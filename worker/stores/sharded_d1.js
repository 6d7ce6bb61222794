/** Task state in several D1 databases. Each runs one query at a time, so more databases take more tasks. */

import { shardBinding } from '../shards.js';
import { D1Store } from './d1.js';
import { ShardedStore } from './sharded.js';

/** @import { Invocation } from '../joint.js' */

/** @param {number[]} counts the number of databases of new tasks, then those of earlier deployments */
export function shardedD1(counts) {
  return class ShardedD1Store extends ShardedStore {
    /**
     * @param {Record<string, any>} env
     * @param {number} [patience_seconds]
     * @param {Invocation} [invocation]
     */
    constructor(env, patience_seconds, invocation) {
      const names = Array.from({ length: Math.max(...counts) }, (_, number) => shardBinding('DB', number));
      super(names.map((name) => new D1Store({ ...env, DB: env[name] }, patience_seconds, invocation, name)), counts);
    }
  };
}
