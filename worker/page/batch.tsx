/** A batch: the progress of the tasks that another one starts after. */

import type { Batch } from './answers.d.ts';
import { api, orNone } from './api.ts';
import { Loading, Panel, Status, TaskLink, ViewTitle } from './parts.tsx';
import { POLL_MS, SLOW_POLL_MS, usePolled } from './poll.ts';
import type { Route } from './route.ts';
import { TaskTable } from './task_table.tsx';
import { count } from './words.ts';

const UNFINISHED = ['pending', 'processing'] as const;

async function load(id: string): Promise<readonly [{ batch: Batch | null }, number]> {
  const batch = await orNone(api.batch(id));
  return [{ batch }, batch && !batch.then.finishedAt ? POLL_MS : SLOW_POLL_MS];
}

export function BatchView({ id }: Route) {
  const told = usePolled(`batch/${id}`, () => load(id));
  return (
    <>
      <ViewTitle name={`Batch ${id}`}>Batch <code>{id}</code></ViewTitle>
      {!told ? <Loading /> : told.batch ? <Told {...told.batch} /> : <p role="status">There is no such batch, or no more.</p>}
    </>
  );
}

function Told({ counts, tasks, then }: Batch) {
  const unfinished = UNFINISHED.reduce((sum, status) => sum + counts[status], 0);
  return (
    <>
      <Panel title={`${count(tasks.length - unfinished)} of ${count(tasks.length)} have ended`}>
        <progress max={tasks.length} value={tasks.length - unfinished} aria-label="Progress of the batch" />
        <ul class="legend">
          {Object.entries(counts).map(([status, of]) => of > 0 && <li key={status}><Status status={status as keyof Batch['counts']} /> <b>{count(of)}</b></li>)}
        </ul>
      </Panel>
      <Panel title="Then"><TaskTable tasks={[then]} caption="The task that starts after them" /></Panel>
      <Panel title="Its tasks">
        <ul class="ids">{tasks.map(({ taskId, status }) => <li key={taskId}><TaskLink taskId={taskId} /> <Status status={status ?? 'expired'} /></li>)}</ul>
      </Panel>
    </>
  );
}
