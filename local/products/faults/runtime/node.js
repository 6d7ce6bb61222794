/** Injected faults in the Node process, which keeps the rules for a restarted runtime. */

import { setTimeout as sleep } from 'node:timers/promises';

import { PlatformError } from '../../../runtime/errors.js';

/** @import { FaultCounts, FaultRule } from './rules.js' */

/** How long Workers' isolates may still assume that there are no rules: `QUIET_MS` in durable_objects/runtime/namespace_binding.js. */
const QUIET_MS = 10;

/** @type {FaultRule[]} with the counts that are known here */
let rules = [];

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  standing: { faults: { settings: () => ({ all: { rules } }) } },
  relays: {
    faults: {
      /** Replaces the rules, for every later call; returns the last counts of the previous rules. */
      async set(body, pass) {
        if (!Array.isArray(body.rules)) throw new PlatformError('bad_request', `expected rules: [...], got ${body.rules}`);
        rules = body.rules;
        const counts = await pass();
        if (rules.some(({ product }) => product === 'durable-objects')) await sleep(QUIET_MS);
        return counts;
      },
      async counts(_body, pass) {
        return remember(await pass());
      },
    },
  },
};

/** @param {FaultCounts} counts */
function remember(counts) {
  rules = rules.map((rule) => ({ ...rule, ...counts[rule.id] }));
  return counts;
}
