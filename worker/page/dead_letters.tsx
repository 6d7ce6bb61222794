/** Dead letters: how many there are, what to type about them, and the tasks that they stand for. */

import type { Stats, TaskPage } from './answers.d.ts';
import { api } from './api.ts';
import { Facts, Loading, Panel, useMayAct, ViewTitle } from './parts.tsx';
import { freshFor_ms, usePolled } from './poll.ts';
import { hrefOf } from './route.ts';
import { TaskTable } from './task_table.tsx';
import { count, duration } from './words.ts';

const LISTED_TASKS = 20;

const COMMANDS = {
  'python -m ops dlq list': 'lists them, and uses nothing up',
  'python -m ops dlq show ID': 'shows one',
  'python -m ops dlq redrive --limit 100': 'runs their tasks again',
  'python -m ops dlq purge --stale': 'deletes those that stand for nothing any more',
};

async function load(): Promise<readonly [{ stats: Stats; page: TaskPage }, number]> {
  const [stats, page] = await Promise.all([api.stats(), api.tasks({ status: 'failed', limit: LISTED_TASKS })]);
  return [{ stats, page }, freshFor_ms(stats)];
}

export function DeadLetters() {
  const told = usePolled('dead-letters', load);
  return (
    <>
      <ViewTitle name="Dead letters">Dead letters</ViewTitle>
      {told ? <Told {...told} /> : <Loading />}
    </>
  );
}

function Told({ stats: { deadLetters }, page: { tasks, cursor } }: { stats: Stats; page: TaskPage }) {
  return (
    <>
      <Panel title="In the dead-letter queue">
        {deadLetters ? (
          <>
            <Facts of={{ Messages: count(deadLetters.count), 'The oldest': deadLetters.oldestAgeSeconds !== null && `${duration(1_000 * deadLetters.oldestAgeSeconds)} old` }} />
            <p>A Worker cannot read its dead-letter queue, so this page cannot either. Whoever has a token of the Cloudflare account types:</p>
            <dl>{Object.entries(COMMANDS).map(([command, what]) => [<dt key={`${command}:`}><code>{command}</code></dt>, <dd key={command}>{what}</dd>])}</dl>
          </>
        ) : <p>There is none with workflows, or the queue does not answer.</p>}
      </Panel>
      <Panel title="Failed tasks, which dead letters stand for">
        {tasks.length > 0 ? <TaskTable tasks={tasks} caption="The latest tasks that failed" /> : <p class="quiet">None{cursor && ' among the latest'}.</p>}
        <div class="buttons">
          <a class="button" href={hrefOf('tasks', '', { status: 'failed' })}>All failed tasks</a>
          {useMayAct() && tasks.length > 0 && <a class="button" href={hrefOf('actions', '', { action: 'retry', status: 'failed' })}>Retry all…</a>}
        </div>
      </Panel>
    </>
  );
}
