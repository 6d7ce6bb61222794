/** The chart of throughput: what ended in each minute as bars, what was submitted as a line. */

import { useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Minute } from './answers.d.ts';
import { count, minute } from './words.ts';

const CHART_PX = { height: 190, top: 8, right: 10, bottom: 24, left: 52 };
const LEAST_WIDTH_PX = 200;

const ENDS = ['completed', 'failed', 'cancelled'] as const;
const SERIES = ['submitted', ...ENDS] as const;

/** A round number at least as high, with a whole half. */
function roundUp(highest: number): number {
  for (let power = 1; ; power *= 10) {
    for (const step of [2, 4, 6, 10]) if (step * power >= highest) return step * power;
  }
}

/** The minutes are the oldest first. */
export function ThroughputChart({ minutes }: { minutes: Minute[] }) {
  const place = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => setRoom(Math.floor(entry?.contentRect.width ?? 0)));
    if (place.current) observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  const totals = SERIES.map((name) => ({ name, total: minutes.reduce((sum, each) => sum + each[name], 0) }));
  const summary = `The last ${minutes.length} minutes: ${totals.map(({ name, total }) => `${total} ${name}`).join(', ')}`;
  const chartWidth = Math.max(room, LEAST_WIDTH_PX);
  const width = chartWidth - CHART_PX.left - CHART_PX.right;
  const height = CHART_PX.height - CHART_PX.top - CHART_PX.bottom;
  const top = roundUp(Math.max(...minutes.flatMap((each) => [each.submitted, each.completed + each.failed + each.cancelled])));
  const slot = width / minutes.length;
  const y = (tasks: number) => height * (1 - tasks / top);
  return (
    <div ref={place} id="throughput">
      {room > 0 && (
        <svg width={chartWidth} height={CHART_PX.height} role="img" aria-label={summary}>
          <g transform={`translate(${CHART_PX.left} ${CHART_PX.top})`}>
            {[0, top / 2, top].map((tasks) => (
              <g key={tasks}>
                <line x2={width} y1={y(tasks)} y2={y(tasks)} />
                <text x={-8} y={y(tasks) + 4} text-anchor="end">{count(tasks)}</text>
              </g>
            ))}
            {minutes.flatMap((each, index) => {
              let stacked = 0;
              return ENDS.map((name) => {
                stacked += each[name];
                return <rect key={`${name} ${each.minute}`} class={name} x={slot * (index + 0.15)} width={slot * 0.7} y={y(stacked)} height={height - y(each[name])} />;
              });
            })}
            <polyline class="submitted" points={minutes.map((each, index) => `${slot * (index + 0.5)},${y(each.submitted)}`).join(' ')} />
            <text y={height + 16}>{minute(Date.parse(minutes[0]?.minute ?? ''))}</text>
            <text x={width} y={height + 16} text-anchor="end">{minute(Date.now())}</text>
          </g>
        </svg>
      )}
      <ul class="legend">{totals.map(({ name, total }) => <li key={name} class={name}>{name} <b>{count(total)}</b></li>)}</ul>
    </div>
  );
}
