/** The rules of faults, for the Node process: there is one list of them, whose id is `all`. */

import { faultCounts, setFaults } from './rules.js';

/** @import { FaultCounts, FaultRule } from './rules.js' */

export default { faults: { configure, set: configure, counts } };

/** @type {(env: object, id: string, body: {rules: FaultRule[]}) => Promise<FaultCounts>} gives the counts of the rules before */
async function configure(_env, _id, { rules }) {
  return setFaults(rules);
}

/** @type {() => Promise<FaultCounts>} */
async function counts() {
  return faultCounts();
}
