/** Throughput and latency of the last minutes, hour, day or week: charts, and the same as a table. */

import type { Bucket, Latency, Range, Stats } from './answers.d.ts';
import { LatencyChart, SERIES, ThroughputChart } from './charts.tsx';
import { Loading, Panel } from './parts.tsx';
import { hrefOf } from './route.ts';
import { at, count, day, duration, minute } from './words.ts';

export const RANGES: readonly Range[] = ['hour', 'day', 'week'];

const PERCENTILES = { p50: 'half of them within', p95: '95 of 100 within', p99: '99 of 100 within' } as const;

interface Pace {
  buckets: Bucket[];
  bucketSeconds: number;
  latencyMs: Latency | null;
  /** The period, as in "the last …". */
  time: string;
  isHistory: boolean;
}

function paceOf({ recent: { minutes, perMinute, latencyMs }, history }: Stats): Pace {
  if (history) return { ...history, time: history.range, isHistory: true };
  const buckets = perMinute.map(({ minute: start, ...done }) => ({ start, ...done, latencyMs: null, complete: true }));
  return { buckets, bucketSeconds: 60, latencyMs, time: `${minutes} minutes`, isHistory: false };
}

/** `range` is the selected one, null for the last minutes; data of an earlier selection is not shown. */
export function PacePanels({ stats, range }: { stats: Stats; range: Range | null }) {
  const isTold = (stats.history?.range ?? null) === range;
  const pace = paceOf(stats);
  const { buckets, bucketSeconds, time, isHistory } = pace;
  const [first, last] = [Date.parse(buckets[0]?.start ?? ''), Date.now()];
  const ends = (range === 'week' ? [day(first), day(last)] : [minute(first), minute(last)]) as [string, string];
  return (
    <>
      <RangeTabs range={range} minutes={stats.recent.minutes} />
      <div class="columns">
        <Panel title={<>Throughput {isTold && <small>tasks in {duration(1_000 * bucketSeconds)}, the last {time}</small>}</>}>
          {isTold ? <ThroughputChart buckets={buckets} time={time} ends={ends} /> : <Loading />}
        </Panel>
        <Panel title={<>Latency {isTold && <small>from submission to completion, the last {time}</small>}</>}>
          {isTold ? <LatencyFacts latency={pace.latencyMs} /> : <Loading />}
          {isTold && isHistory && <LatencyChart buckets={buckets} time={time} ends={ends} />}
        </Panel>
      </div>
      {isTold && <PaceTable {...pace} />}
    </>
  );
}

function RangeTabs({ range, minutes }: { range: Range | null; minutes: number }) {
  return (
    <nav aria-label="How far back">
      <ul class="tabs">
        {[null, ...RANGES].map((each) => (
          <li key={each}><a href={hrefOf('overview', '', { range: each })} aria-current={each === range ? 'true' : undefined}>{each ?? `${minutes} minutes`}</a></li>
        ))}
      </ul>
    </nav>
  );
}

function LatencyFacts({ latency }: { latency: Latency | null }) {
  if (!latency) return <p class="quiet">No task has been completed in that time.</p>;
  return (
    <dl class="figures">
      {(['p50', 'p95', 'p99'] as const).map((name) => (
        <div key={name}><dt>{PERCENTILES[name]}</dt><dd><b>{duration(latency[name])}</b></dd></div>
      ))}
      <div><dt>completed</dt><dd><b>{count(latency.samples)}</b></dd></div>
    </dl>
  );
}

/** For readers who cannot see the charts, or want the numbers. */
function PaceTable({ buckets, time, isHistory }: Pace) {
  return (
    <details>
      <summary>The last {time} as a table</summary>
      <table class="numbers">
        <caption class="unseen">Throughput and latency of the last {time}, the latest first</caption>
        <thead>
          <tr>
            <th scope="col">From</th>
            {SERIES.map((name) => <th key={name} scope="col" class={name === 'cancelled' ? 'wide' : undefined}>{name}</th>)}
            {isHistory && <><th scope="col" class="wide">half within</th><th scope="col">95 of 100 within</th></>}
          </tr>
        </thead>
        <tbody>
          {buckets.toReversed().map((bucket) => (
            <tr key={bucket.start}>
              <th scope="row">{at(bucket.start)} {!bucket.complete && <small>not all is counted</small>}</th>
              {SERIES.map((name) => <td key={name} class={name === 'cancelled' ? 'wide' : undefined}>{count(bucket[name])}</td>)}
              {isHistory && <><td class="wide">{bucket.latencyMs && duration(bucket.latencyMs.p50)}</td><td>{bucket.latencyMs && duration(bucket.latencyMs.p95)}</td></>}
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
