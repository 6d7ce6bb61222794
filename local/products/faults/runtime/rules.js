/**
 * Injected faults: which calls of bindings fail, how, and how often that happened. The control plane sets the rules and defines the kinds of faults;
 * they are carried out here. See docs/bad-day.md.
 *
 * An isolate has one list of rules for all its entrypoints and objects.
 */

/**
 * @typedef {'d1' | 'kv' | 'queues' | 'durable-objects' | 'workflows' | 'worker'} FaultProduct
 * @typedef {'before' | 'after' | 'delay' | 'limit' | 'kill'} FaultEffect
 *   before: the call is not made; after: it is made, and its answer is lost; delay: it is made later; limit: it is not
 *   made when more came in a second; kill: the invocation ends in the middle of it
 * @typedef {{
 *   id: string,
 *   product: FaultProduct,
 *   resource: string | null,
 *   calls: string[] | null,
 *   effect: FaultEffect,
 *   message: string,
 *   status: number | null,
 *   properties: Record<string, boolean>,
 *   rate: number,
 *   nth: number | null,
 *   per_second: number,
 *   per_key: boolean,
 *   latency_ms: [number, number] | null,
 *   seed: number,
 *   until_ms: number | null,
 *   seen: number,
 *   injected: number,
 * }} FaultRule null for resource and calls: all of the product; `status` is the HTTP status of an answer, null for an
 *   exception; `nth` takes the place of `rate`; `until_ms` is an epoch time; `seen` and `injected` count calls
 * @typedef {{product: FaultProduct, resource: string, method: string, weight?: number, key?: string}} FaultableCall
 *   `weight` is what a limit counts of it, such as messages; `key` is what a limit per key is about
 * @typedef {{effect: FaultEffect, message: string, status: number | null, properties: Record<string, boolean>, delayMs: number}} Fault
 * @typedef {Record<string, {seen: number, injected: number}>} FaultCounts by rule
 */

const SECOND_MS = 1_000;
/** Makes the random latency independent of whether there is a fault. */
const LATENCY_SALT = 0x5bd1e995;
/** When more keys than this are remembered, those older than a second are removed. */
const MANY_KEYS = 10_000;

/** @type {FaultRule[]} */
let rules = [];
/** The calls of the last second, for each rule that is a limit. @type {WeakMap<FaultRule, Map<string, {since: number, used: number}>>} */
let windows = new WeakMap();

/**
 * Replaces the rules, in this order. A rule that existed keeps its count.
 *
 * @param {FaultRule[]} wanted
 * @returns {FaultCounts} the counts of the previous rules
 */
export function setFaults(wanted) {
  const counts = faultCounts();
  const known = new Map(rules.map((rule) => [rule.id, rule]));
  rules = wanted.map((rule) => known.get(rule.id) ?? { ...rule });
  return counts;
}

/** @returns {FaultCounts} */
export function faultCounts() {
  return Object.fromEntries(rules.map(({ id, seen, injected }) => [id, { seen, injected }]));
}

/** @param {FaultProduct} product */
export function hasFaults(product) {
  return rules.length > 0 && rules.some((rule) => rule.product === product && isInForce(rule));
}

/**
 * Makes a call according to the rules; without rules it is made at once.
 *
 * @template T
 * @param {FaultableCall} call
 * @param {() => Promise<T>} make makes the call
 * @param {(fault: Fault) => T} [answer] makes the answer of a fault that has an HTTP status
 * @returns {Promise<T>}
 */
export async function withFaults(call, make, answer = raise) {
  const fault = drawFault(call);
  if (fault === null) return make();
  if (fault.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
  if (fault.effect === 'delay') return make();
  if (fault.effect === 'after') await make().catch(() => {}); // its own error is lost too
  return fault.status === null ? raise(fault) : answer(fault);
}

/**
 * Checks a call against the rules, in their order, until one makes it fail.
 *
 * @param {FaultableCall} call
 * @returns {Fault | null}
 */
export function drawFault(call) {
  if (rules.length === 0) return null;
  let delayMs = 0;
  for (const rule of rules) {
    if (!concerns(rule, call) || !hits(rule, call)) continue;
    delayMs += latency(rule);
    const { effect, message, status, properties } = rule;
    if (effect !== 'delay') return { effect: effect === 'limit' ? 'before' : effect, message, status, properties, delayMs };
  }
  return delayMs === 0 ? null : { effect: 'delay', message: '', status: null, properties: {}, delayMs };
}

/**
 * @param {FaultRule} rule
 * @param {FaultableCall} call
 */
function concerns(rule, { product, resource, method }) {
  return (
    rule.product === product &&
    (rule.resource === null || rule.resource === resource) &&
    (rule.calls === null || rule.calls.includes(method)) &&
    isInForce(rule)
  );
}

/** @param {FaultRule} rule */
function isInForce({ until_ms }) {
  return until_ms === null || Date.now() < until_ms;
}

/**
 * Counts a call, and tells whether the rule affects it.
 *
 * @param {FaultRule} rule
 * @param {FaultableCall} call
 */
function hits(rule, call) {
  rule.seen += 1;
  const hit = rule.effect === 'limit' ? exceeds(rule, call) : isDrawn(rule);
  if (hit) rule.injected += 1;
  return hit;
}

/**
 * Whether the last counted call is affected. Only its number and the seed decide, so that a run can be repeated.
 *
 * @param {FaultRule} rule
 */
function isDrawn({ nth, rate, seed, seen }) {
  return nth === null ? draw(seed, seen) < rate : seen === nth;
}

/** @param {FaultRule} rule */
function latency({ latency_ms, seed, seen }) {
  if (latency_ms === null) return 0;
  const [shortest, longest] = latency_ms;
  return Math.round(shortest + draw(seed ^ LATENCY_SALT, seen) * (longest - shortest));
}

/**
 * Whether a call exceeds the rate per second. Refused calls do not count.
 *
 * @param {FaultRule} rule
 * @param {FaultableCall} call
 */
function exceeds(rule, { resource, key = '', weight = 1 }) {
  const used = windows.get(rule) ?? new Map();
  windows.set(rule, used);
  const now = Date.now();
  if (used.size > MANY_KEYS) for (const [old, { since }] of used) if (now - since >= SECOND_MS) used.delete(old);
  const place = rule.per_key ? `${resource}/${key}` : resource;
  const last = used.get(place);
  const window = last && now - last.since < SECOND_MS ? last : { since: now, used: 0 };
  if (window.used + weight > rule.per_second) return true;
  window.used += weight;
  used.set(place, window);
  return false;
}

/**
 * Returns a pseudorandom number from 0 to 1 (excluded) that depends only on the arguments.
 *
 * @param {number} seed a 32-bit integer
 * @param {number} position
 */
function draw(seed, position) {
  let bits = seed ^ Math.imul(position, 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
  return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32;
}

/**
 * @param {Fault} fault
 * @returns {never}
 */
function raise({ message, properties }) {
  throw Object.assign(new Error(message), properties);
}
