/**
 * A strict reader of OpenMetrics 1.0's text format, after its grammar and its rules for each type
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/, "ABNF" and "Metric Types").
 */

import assert from 'node:assert/strict';

/** @typedef {{name: string, labels: Record<string, string>, value: number}} Sample */
/** @typedef {{type: string, unit: string | null, help: string, samples: Sample[]}} Family */

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL_NAME = '[a-zA-Z_][a-zA-Z0-9_]*';
const TEXT = String.raw`(?:[^\\"\n]|\\["\\n])*`;
const NUMBER = String.raw`(?:[+-]?(?:\d+(?:\.\d*)?|\d*\.\d+)(?:[eE][+-]?\d+)?|[+-]?[Ii]nf(?:inity)?|[Nn]a[Nn])`;
const LABEL = `${LABEL_NAME}="${TEXT}"`;
const DESCRIPTOR = new RegExp(String.raw`^# (TYPE|UNIT|HELP) (${NAME}) (.*)$`, 'u');
const SAMPLE = new RegExp(String.raw`^(${NAME})(?:\{((?:${LABEL}(?:,${LABEL})*)?)\})? (${NUMBER})$`, 'u');

/** What a sample's name may have after its family's, by type. @type {Record<string, string[]>} */
const SUFFIXES = { gauge: [''], counter: ['_total', '_created'], histogram: ['_bucket', '_count', '_sum', '_created'], info: ['_info'] };

/**
 * @param {string} text
 * @returns {Map<string, Family>} by their names
 * @throws {assert.AssertionError} it is no exposition
 */
export function parseMetrics(text) {
  assert.ok(text.isWellFormed());
  const lines = text.split('\n');
  assert.deepEqual(lines.slice(-2), ['# EOF', ''], 'it ends with the line # EOF');
  /** @type {Map<string, Family>} */
  const families = new Map();
  /** @type {[string, Family] | null} */
  let present = null;
  for (const line of lines.slice(0, -2)) {
    if (line.startsWith('#')) present = readDescriptor(line, families, present);
    else readSample(line, present);
  }
  checkNames(families);
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

/**
 * @param {string} line
 * @param {Map<string, Family>} families
 * @param {[string, Family] | null} present
 * @returns {[string, Family]}
 */
function readDescriptor(line, families, present) {
  const [, kind, name = '', value = ''] = DESCRIPTOR.exec(line) ?? assert.fail(`no descriptor: ${line}`);
  if (kind === 'TYPE') {
    assert.ok(!families.has(name), `a family stands in one place: ${line}`);
    assert.ok(value in SUFFIXES, line);
    families.set(name, { type: value, unit: null, help: '', samples: [] });
    return [name, /** @type {Family} */ (families.get(name))];
  }
  const [presentName, family] = present ?? assert.fail(`what comes before its TYPE: ${line}`);
  assert.equal(name, presentName, line);
  assert.equal(family.samples.length, 0, `descriptors come before samples: ${line}`);
  if (kind === 'UNIT') {
    assert.equal(family.unit, null, line);
    assert.ok(name.endsWith(`_${value}`), `the name ends in its unit: ${line}`);
    assert.ok(family.type !== 'info', line);
    family.unit = value;
  } else {
    assert.equal(family.help, '', line);
    assert.match(value, new RegExp(`^${TEXT}$`, 'u'));
    family.help = unescaped(value);
  }
  return [name, family];
}

/**
 * @param {string} line
 * @param {[string, Family] | null} present
 */
function readSample(line, present) {
  const [, name = '', labelText = '', value = ''] = SAMPLE.exec(line) ?? assert.fail(`no sample: ${line}`);
  const [familyName, family] = present ?? assert.fail(`a sample of no family: ${line}`);
  assert.ok(SUFFIXES[family.type]?.includes(name.slice(familyName.length)) && name.startsWith(familyName), line);
  const pairs = [...labelText.matchAll(new RegExp(`(${LABEL_NAME})="(${TEXT})"`, 'gu'))].map(([, label = '', each = '']) => /** @type {const} */ ([label, unescaped(each)]));
  assert.equal(new Set(pairs.map(([label]) => label)).size, pairs.length, `a label comes once: ${line}`);
  const isReserved = (/** @type {string} */ label) => label === 'le' && family.type !== 'histogram';
  assert.ok(!pairs.some(([label]) => isReserved(label)), line);
  family.samples.push({ name, labels: Object.fromEntries(pairs), value: numberOf(value) });
}

/** @param {Map<string, Family>} families */
function checkNames(families) {
  const names = [...families].flatMap(([name, { type }]) => [...new Set([name, ...(SUFFIXES[type] ?? []).map((suffix) => name + suffix)])]);
  assert.deepEqual(names.filter((name, index) => names.indexOf(name) !== index), [], 'no two families can be taken for each other');
}

/**
 * @param {string} name
 * @param {Family} family
 */
function checkFamily(name, { type, samples }) {
  const keys = samples.map((sample) => sample.name + JSON.stringify(sample.labels));
  assert.equal(new Set(keys).size, keys.length, `${name}: a sample comes once`);
  for (const { value } of samples) {
    if (type === 'counter') assert.ok(value >= 0, name);
    if (type === 'info') assert.equal(value, 1);
  }
  if (type === 'histogram') checkHistogram(name, samples);
}

/**
 * @param {string} name
 * @param {Sample[]} samples
 */
function checkHistogram(name, samples) {
  const metrics = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels));
  for (const metric of metrics.values()) {
    const first = samples.indexOf(/** @type {Sample} */ (metric[0]));
    assert.deepEqual(samples.slice(first, first + metric.length), metric, `${name}: samples of a metric stand together`);
    const buckets = metric.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => numberOf(labels['le'] ?? ''));
    assert.deepEqual(bounds, [...new Set(bounds)].toSorted((one, other) => one - other), `${name}: bounds grow`);
    assert.equal(bounds.at(-1), Infinity);
    for (const { labels } of buckets) assert.match(labels['le'] ?? '', /^(?:\+Inf|\d+\.\d+)$/, 'bounds are written as floats');
    for (const [index, { value }] of buckets.entries()) assert.ok(Number.isInteger(value) && value >= (buckets[index - 1]?.value ?? 0), `${name}: buckets hold those before them`);
    assert.equal(metric.find((sample) => sample.name === `${name}_count`)?.value, buckets.at(-1)?.value);
    assert.ok((metric.find((sample) => sample.name === `${name}_sum`)?.value ?? NaN) >= 0);
  }
}

/** @param {string} text */
function unescaped(text) {
  return text.replaceAll(/\\(["\\n])/g, (_, /** @type {string} */ each) => (each === 'n' ? '\n' : each));
}

/** @param {string} text */
function numberOf(text) {
  return /inf/i.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text);
}
