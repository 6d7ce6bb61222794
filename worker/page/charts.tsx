/** The charts: throughput, with ended tasks as bars and submitted tasks as a line; latency, with percentiles as lines. */

import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Bucket } from './answers.d.ts';
import { count, duration } from './words.ts';

const CHART_PX = { height: 190, top: 8, right: 10, bottom: 24, left: 52 };
const LEAST_WIDTH_PX = 200;

const ENDS = ['completed', 'failed', 'cancelled'] as const;
export const SERIES = ['submitted', ...ENDS] as const;

/** The percentiles that are drawn. */
const PERCENTILES = { p50: 'half within', p95: '95 of 100 within' } as const;

/** Buckets are sorted from the oldest; `ends` are the labels below the first one and the last. */
interface ChartProps {
  buckets: Bucket[];
  /** The period of the chart, in words. */
  time: string;
  ends: readonly [first: string, last: string];
}

/** Returns a round number that is at least as high, and whose half is whole. */
function roundUp(highest: number): number {
  for (let power = 1; ; power *= 10) {
    for (const step of [2, 4, 6, 10]) if (step * power >= highest) return step * power;
  }
}

interface FrameProps extends ChartProps {
  id: string;
  summary: string;
  highest: number;
  words: (value: number) => string;
  legend: ComponentChildren;
  draw: (place: { slot: number; height: number; y: (value: number) => number }) => ComponentChildren;
}

/** The lines and numbers of a chart; as wide as there is room. Buckets that are not complete are shaded. */
function Frame({ id, summary, highest, words, legend, draw, buckets, ends }: FrameProps) {
  const place = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => setRoom(Math.floor(entry?.contentRect.width ?? 0)));
    if (place.current) observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  const chartWidth = Math.max(room, LEAST_WIDTH_PX);
  const width = chartWidth - CHART_PX.left - CHART_PX.right;
  const height = CHART_PX.height - CHART_PX.top - CHART_PX.bottom;
  const top = roundUp(highest);
  const slot = width / buckets.length;
  const y = (value: number) => height * (1 - value / top);
  const isUncounted = (bucket: Bucket, index: number) => !bucket.complete && index < buckets.length - 1;
  return (
    <div ref={place} id={id}>
      {room > 0 && (
        <svg width={chartWidth} height={CHART_PX.height} role="img" aria-label={summary}>
          <g transform={`translate(${CHART_PX.left} ${CHART_PX.top})`}>
            {buckets.map((bucket, index) => isUncounted(bucket, index) && <rect key={`${bucket.start} uncounted`} class="uncounted" x={slot * index} width={slot} height={height} />)}
            {[0, top / 2, top].map((value) => (
              <g key={value}>
                <line x2={width} y1={y(value)} y2={y(value)} />
                <text x={-8} y={y(value) + 4} text-anchor="end">{words(value)}</text>
              </g>
            ))}
            {draw({ slot, height, y })}
            <text y={height + 16}>{ends[0]}</text>
            <text x={width} y={height + 16} text-anchor="end">{ends[1]}</text>
          </g>
        </svg>
      )}
      <ul class="legend">{legend}{buckets.some(isUncounted) && <li class="uncounted">not all is counted</li>}</ul>
    </div>
  );
}

export function ThroughputChart(props: ChartProps) {
  const { buckets, time } = props;
  const totals = SERIES.map((name) => ({ name, total: buckets.reduce((sum, each) => sum + each[name], 0) }));
  return (
    <Frame
      {...props}
      id="throughput"
      summary={`The last ${time}: ${totals.map(({ name, total }) => `${total} ${name}`).join(', ')}`}
      highest={Math.max(...buckets.flatMap((each) => [each.submitted, each.completed + each.failed + each.cancelled]))}
      words={count}
      legend={totals.map(({ name, total }) => <li key={name} class={name}>{name} <b>{count(total)}</b></li>)}
      draw={({ slot, height, y }) => (
        <>
          {buckets.flatMap((each, index) => {
            let stacked = 0;
            return ENDS.map((name) => {
              stacked += each[name];
              return <rect key={`${name} ${each.start}`} class={name} x={slot * (index + 0.15)} width={slot * 0.7} y={y(stacked)} height={height - y(each[name])} />;
            });
          })}
          <polyline class="submitted" points={buckets.map((each, index) => `${slot * (index + 0.5)},${y(each.submitted)}`).join(' ')} />
        </>
      )}
    />
  );
}

/** There is a gap where nothing completed. */
export function LatencyChart(props: ChartProps) {
  const { buckets, time } = props;
  const names = Object.keys(PERCENTILES) as (keyof typeof PERCENTILES)[];
  const highest = Math.max(1, ...buckets.map(({ latencyMs }) => latencyMs?.p95 ?? 0));
  return (
    <Frame
      {...props}
      id="latency"
      summary={`Latency in the last ${time}: 95 of 100 within ${duration(highest)} at most`}
      highest={highest}
      words={duration}
      legend={names.map((name) => <li key={name} class={name}>{PERCENTILES[name]}</li>)}
      draw={({ slot, y }) => names.map((name) => (
        <g key={name} class={name}>
          {buckets.map(({ start, latencyMs }, index) => {
            if (!latencyMs) return null;
            const before = buckets[index - 1]?.latencyMs;
            const [x, height] = [slot * (index + 0.5), y(latencyMs[name])];
            return <g key={start}>{before && <polyline points={`${x - slot},${y(before[name])} ${x},${height}`} />}<circle cx={x} cy={height} r={2} /></g>;
          })}
        </g>
      ))}
    />
  );
}
