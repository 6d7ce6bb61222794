/** The counters of each handler from `GET /metrics` (https://prometheus.io/docs/specs/om/open_metrics_spec/). */

export interface HandlerTotals {
  handler: string;
  submitted: number;
  completed: number;
  failed: number;
  cancelled: number;
  /** Of the completed tasks, from submission to end. */
  meanLatency_ms: number | null;
}

const SAMPLE = /^(\w+)\{([^]*)\} (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The counter to which each sample adds, by its name and its status. */
const SUMS: Record<string, 'submitted' | 'completed' | 'failed' | 'cancelled' | 'seconds' | 'samples'> = {
  'ephemera_submitted_tasks_total ': 'submitted',
  'ephemera_ended_tasks_total completed': 'completed',
  'ephemera_ended_tasks_total failed': 'failed',
  'ephemera_ended_tasks_total cancelled': 'cancelled',
  'ephemera_task_latency_seconds_sum completed': 'seconds',
  'ephemera_task_latency_seconds_count completed': 'samples',
};

/** Reads the counters; the handlers with the most tasks come first. With `kv` there are none. */
export function handlerTotals(text: string): HandlerTotals[] {
  const sums = new Map<string, Record<(typeof SUMS)[string], number>>();
  for (const line of text.split('\n')) {
    const [, name = '', labelText = '', value = ''] = SAMPLE.exec(line) ?? [];
    const labels = Object.fromEntries([...labelText.matchAll(LABEL)].map(([, label = '', of = '']) => [label, of]));
    const sum = SUMS[`${name} ${labels['status'] ?? ''}`];
    const handler = labels['handler'];
    if (!sum || handler === undefined) continue;
    const of = sums.get(handler) ?? { submitted: 0, completed: 0, failed: 0, cancelled: 0, seconds: 0, samples: 0 };
    of[sum] += Number(value);
    sums.set(handler, of);
  }
  return [...sums].map(([handler, { seconds, samples, ...totals }]) => (
    { handler, ...totals, meanLatency_ms: samples > 0 ? (1_000 * seconds) / samples : null }
  )).sort((one, other) => other.submitted - one.submitted);
}
