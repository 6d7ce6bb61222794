/** The text format of OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/). */

/** By name; a value may be any text. @typedef {Readonly<Record<string, string>>} Labels */

/** `suffix` is what its name has after the family's. @typedef {{suffix: string, labels: Labels, value: number}} Sample */

/** What is told of one thing. Where it has a unit, its name ends in it.
 *
 * @typedef {{name: string, type: 'gauge' | 'counter' | 'histogram' | 'info', unit?: string, help: string, samples: Sample[]}} Family
 */

/**
 * @param {Family[]} families
 * @returns {string}
 */
export function metricsText(families) {
  return `${families.flatMap(familyLines).join('\n')}\n# EOF\n`;
}

/**
 * @param {Family} family
 * @returns {string[]}
 */
function familyLines({ name, type, unit, help, samples }) {
  return [
    `# TYPE ${name} ${type}`,
    ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
    `# HELP ${name} ${escaped(help)}`,
    ...samples.map(({ suffix, labels, value }) => `${name}${suffix}${labelText(labels)} ${value}`),
  ];
}

/** @param {Labels} labels */
function labelText(labels) {
  const texts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return texts.length > 0 ? `{${texts.join(',')}}` : '';
}

/** @param {string} text */
function escaped(text) {
  return text.toWellFormed().replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
