/** The overview: numbers of tasks, backlogs, rates and failures. */

import { useRef } from 'preact/hooks';

import type { Pauses, Range, Stats, Status as TaskStatus, TaskSummary } from './answers.d.ts';
import { api } from './api.ts';
import { handlerTotals, type HandlerTotals } from './metrics.ts';
import { PacePanels, RANGES } from './pace.tsx';
import { Loading, Panel, Status, TaskLink, ViewTitle } from './parts.tsx';
import { PauseList } from './pauses.tsx';
import { freshFor_ms, POLL_MS, SLOW_POLL_MS, usePolled } from './poll.ts';
import { hrefOf, type Route } from './route.ts';
import { at, count, counted, duration, megabytes, part } from './words.ts';

export const STATUSES: readonly TaskStatus[] = ['pending', 'processing', 'completed', 'failed', 'cancelled'];

/** From this part of its limit on, a database is shown as a fault; the same as in `worker/sweeper.js`. */
const NEARLY_FULL = 0.8;

/** The name of the counter for handlers without their own; the same as in `worker/stores/tally.js`. */
const OTHER_HANDLERS = '_other';

/** How many failed tasks are read to show what fails. */
const LOOKED_FAILURES = 50;

/** Some data is read once a minute, but at most once in this many intervals of the statistics. */
const LOOKS_A_SLOW_ONE = 5;

interface Slow {
  asked_ms: number;
  failures: TaskSummary[];
  pauses: Pauses['pauses'];
  totals: HandlerTotals[];
}

interface Overall {
  stats: Stats;
  slow: Slow;
}

async function load(range: Range | null, before: Overall | null): Promise<readonly [Overall, number]> {
  const stats = await api.stats(range);
  const wait_ms = freshFor_ms(stats);
  const isDue = !before || Date.now() >= before.slow.asked_ms + Math.max(SLOW_POLL_MS, LOOKS_A_SLOW_ONE * wait_ms);
  const slow = isDue ? await loadSlow() : before.slow;
  return [{ stats, slow }, wait_ms];
}

async function loadSlow(): Promise<Slow> {
  const [page, pauses, metrics] = await Promise.all([api.tasks({ status: 'failed', limit: LOOKED_FAILURES }), api.pauses(), api.metrics()]);
  return { asked_ms: Date.now(), failures: page.tasks, pauses, totals: handlerTotals(metrics) };
}

export function Overview({ query }: Route) {
  const range = RANGES.find((each) => each === query.get('range')) ?? null;
  const latest = usePolled(`overview ${range}`, (before: Overall | null) => load(range, before));
  const shown = useRef(latest);
  shown.current = latest ?? shown.current; // what does not depend on the selection stays, and with it the focus
  return (
    <>
      <ViewTitle name="Overview">Overview</ViewTitle>
      {shown.current ? <Told {...shown.current} range={range} /> : <Loading />}
    </>
  );
}

function Told({ stats, slow, range }: Overall & { range: Range | null }) {
  const { counts } = stats;
  return (
    <>
      <p class="unseen" role="status">{counts.failed > 0 && `${counted(counts.failed, 'task')} failed.`}</p>
      {stats.firing.map((alert) => <p key={alert} class="bad" role="alert">The alert {alert} fires.</p>)}
      {slow.pauses.length > 0 && <Panel title="Paused"><PauseList pauses={slow.pauses} /></Panel>}
      <Tiles {...stats} />
      <PacePanels stats={stats} range={range} />
      {slow.failures.length > 0 && <Failures tasks={slow.failures} />}
      {slow.totals.length > 0 && <Totals totals={slow.totals} />}
    </>
  );
}

function Tiles(stats: Stats) {
  const { counts, queue, deadLetters } = stats;
  return (
    <div>
      <ul id="tiles">
        {STATUSES.map((status) => (
          <li key={status}><a href={hrefOf('tasks', '', { status })}><b>{count(counts[status])}</b> <Status status={status} /></a></li>
        ))}
        {queue && <li id="queue"><div><b>{count(queue.backlog)}</b> In the queue <Age seconds={queue.oldestAgeSeconds} /> {queue.priorities && <small>{Object.entries(queue.priorities).map(([priority, { backlog }]) => `${priority} ${count(backlog)}`).join(', ')}</small>}</div></li>}
        {deadLetters && <li id="dead-letters"><a href={hrefOf('dead-letters')}><b>{count(deadLetters.count)}</b> Dead letters <Age seconds={deadLetters.oldestAgeSeconds} /></a></li>}
      </ul>
      <Remarks {...stats} />
    </div>
  );
}

function Age({ seconds }: { seconds: number | null }) {
  return <small>{seconds !== null && `oldest ${duration(seconds * 1_000)}`}</small>;
}

function Remarks({ generatedAt, asOf, counted: { tasks, since, complete }, databases }: Stats) {
  const age_ms = asOf ? Date.parse(generatedAt) - Date.parse(asOf) : 0;
  const full = databases.filter(({ used }) => used >= NEARLY_FULL);
  return (
    <>
      {full.map(({ name, bytes, limitBytes, used }) => (
        <p key={name} class="bad">{name} is nearly full: {megabytes(bytes)} of {megabytes(limitBytes)} ({part(used)}).</p>
      ))}
      {age_ms > POLL_MS && <small>Tasks were counted {duration(age_ms)} ago. </small>}
      {!complete && <small>{counted(tasks, 'task')} are counted, since {at(since)}; there are more.</small>}
    </>
  );
}

function Failures({ tasks }: { tasks: TaskSummary[] }) {
  const groups = [...Map.groupBy(tasks, ({ handler, error }) => `${handler} ${error?.name ?? ''}`)];
  return (
    <Panel id="failures" title={<>Failures <small>of the last {counted(tasks.length, 'failed task')}, by handler and error</small></>}>
      <table>
        <caption class="unseen">What fails</caption>
        <thead><tr><th scope="col">Error</th><th scope="col">Handler</th><th scope="col">Tasks</th><th scope="col" class="wide">Latest</th></tr></thead>
        <tbody>{groups.sort(([, one], [, other]) => other.length - one.length).map(([name, group]) => <FailureRow key={name} group={group} />)}</tbody>
      </table>
    </Panel>
  );
}

/** The newest tasks come first. */
function FailureRow({ group }: { group: TaskSummary[] }) {
  const [latest] = group;
  if (!latest) return null;
  const { handler, error, taskId } = latest;
  return (
    <tr>
      <th scope="row"><a href={hrefOf('tasks', '', { status: 'failed', handler, error: error?.name })}>{error?.name ?? 'without an error'}</a> <small>{error?.message}</small></th>
      <td>{handler}</td>
      <td>{count(group.length)}</td>
      <td class="wide"><TaskLink taskId={taskId} /></td>
    </tr>
  );
}

function Totals({ totals }: { totals: HandlerTotals[] }) {
  return (
    <Panel id="totals" title={<>By handler <small>since tasks are counted</small></>}>
      <table>
        <caption class="unseen">What became of the tasks of each handler</caption>
        <thead>
          <tr>
            <th scope="col">Handler</th><th scope="col">Submitted</th><th scope="col" class="wide">Completed</th><th scope="col">Failed</th>
            <th scope="col" class="wide">Cancelled</th><th scope="col" class="wide">Mean latency</th>
          </tr>
        </thead>
        <tbody>
          {totals.map(({ handler, submitted, completed, failed, cancelled, meanLatency_ms }) => (
            <tr key={handler}>
              <th scope="row">{handler === OTHER_HANDLERS ? 'others' : <a href={hrefOf('tasks', '', { handler })}>{handler}</a>}</th>
              <td>{count(submitted)}</td><td class="wide">{count(completed)}</td><td>{count(failed)}</td><td class="wide">{count(cancelled)}</td>
              <td class="wide">{meanLatency_ms === null ? '–' : duration(meanLatency_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
