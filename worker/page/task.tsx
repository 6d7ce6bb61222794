/** One task with all its details. */

import { useEffect, useState } from 'preact/hooks';

import type { Attempts, Step, Task, TaskPage } from './answers.d.ts';
import { api, orNone, taskPath } from './api.ts';
import { AttemptList } from './attempts.tsx';
import { Act, ConfirmedAct, Facts, Loading, LongText, Panel, prettyJson, Status, TaskLink, Time, useMayAct, ViewTitle } from './parts.tsx';
import { PayloadText } from './payload.tsx';
import { POLL_MS, SLOW_POLL_MS, usePolled } from './poll.ts';
import { hrefOf, type Route } from './route.ts';
import { Tags } from './tags.tsx';
import { cancel, mayCancel, mayRetry, retry, TaskTable } from './task_table.tsx';
import { at, attemptsOf, counted, errorOf, tookOf } from './words.ts';

/** Null: there is no such task. */
type Story = { task: Task; attempts: Attempts['attempts'] } | null;

async function load(taskId: string): Promise<readonly [{ story: Story }, number]> {
  const found = await orNone(Promise.all([api.task(taskId), api.attempts(taskId)]));
  if (!found) return [{ story: null }, SLOW_POLL_MS];
  const [task, { attempts }] = found;
  return [{ story: { task, attempts } }, task.finishedAt ? SLOW_POLL_MS : POLL_MS];
}

export function TaskView({ id }: Route) {
  const told = usePolled(`task/${id}`, () => load(id));
  return (
    <>
      <ViewTitle name={`Task ${id}`}>Task <code>{id}</code></ViewTitle>
      {!told ? <Loading /> : told.story ? <Told {...told.story} /> : <p role="status">There is no such task, or no more.</p>}
    </>
  );
}

function Told({ task, attempts }: NonNullable<Story>) {
  const { taskId, status, progress, result } = task;
  return (
    <>
      <Panel title={<span role="status"><Status status={status} /></span>}>
        {status === 'processing' && progress && (
          <p><progress max="100" value={progress.percent} aria-label="Progress" /> {progress.percent} % {progress.note}</p>
        )}
        <TaskFacts {...task} />
        <div class="buttons">
          {mayRetry(task) && <Act key="retry" label="Retry" act={() => retry(taskId)} />}
          {mayCancel(task) ? <Act key="cancel" label="Cancel task" act={() => cancel(taskId)} /> : (
            <ConfirmedAct key="delete" label="Delete for good" question={`Delete task ${taskId}, with all that is kept of it?`} act={() => remove(taskId)} />
          )}
        </div>
      </Panel>
      <Panel title="Result">
        {status === 'completed' ? <LongText label="Result" text={prettyJson(result)} /> : <p class="quiet">None: it has not completed.</p>}
      </Panel>
      <Panel title={`${counted(attempts.length, 'attempt')}`}><AttemptList attempts={attempts} /></Panel>
      {task.steps && task.steps.length > 0 && <Panel title={counted(task.steps.length, 'step')}><Steps steps={task.steps} /></Panel>}
      <Panel title="Children"><Children taskId={taskId} /></Panel>
      <Panel title="Payload and parameters"><Submission taskId={taskId} /></Panel>
    </>
  );
}

async function remove(taskId: string): Promise<string> {
  const { id } = await api.startAction({ action: 'delete', filter: { ids: [taskId] } });
  return `Task ${taskId} is being deleted, by action ${id}.`;
}

function TaskFacts(task: Task) {
  const { handler, group, priority, tags, error, createdAt, startedAt, finishedAt, nextAttemptAt, expiresAt, waitingFor, crashes, parent, after, callback } = task;
  return (
    <Facts
      of={{
        Handler: <a href={hrefOf('tasks', '', { handler })}>{handler}</a>,
        Attempts: attemptsOf(task),
        Crashes: crashes > 0 && crashes,
        Error: error && errorOf(error),
        Group: group && <a href={hrefOf('tasks', '', { group })}>{group}</a>,
        Priority: priority !== 'normal' && priority,
        Tags: Object.keys(tags).length > 0 && <Tags of={tags} />,
        'Waits for': waitingFor && `its turn in its ${waitingFor}`,
        Created: at(createdAt),
        Started: at(startedAt),
        Finished: at(finishedAt),
        Took: finishedAt && tookOf(task),
        'Next attempt': nextAttemptAt && <>{at(nextAttemptAt)}, <Time of={nextAttemptAt} isFuture /></>,
        Expires: at(expiresAt),
        'Submitted by': parent && <TaskLink taskId={parent} />,
        'Starts after': after && <After {...after} taskId={task.taskId} />,
        Callback: callback && (
          <>to {callback.url} on {callback.on.join(', ')}{callback.taskId && <>: <TaskLink taskId={callback.taskId} /> {callback.status && <Status status={callback.status} />}</>}</>
        ),
      }}
    />
  );
}

function After({ taskIds, startWhen, waitsFor, taskId }: NonNullable<Task['after']> & { taskId: string }) {
  const waiting = waitsFor.length > 0 ? `, waits for ${waitsFor.length} more` : '';
  return <><a href={hrefOf('batch', taskId)}>{counted(taskIds.length, 'task')}</a>, once all have {startWhen}{waiting}</>;
}

function Steps({ steps }: { steps: Step[] }) {
  return (
    <table>
      <caption class="unseen">Its steps, in the order of their starts</caption>
      <thead><tr><th scope="col">Step</th><th scope="col">Status</th><th scope="col" class="wide">Attempts</th><th scope="col" class="wide">Finished</th></tr></thead>
      <tbody>
        {steps.map(({ name, kind, status, attempts, error, finishedAt, dueAt }) => (
          <tr key={name}>
            <th scope="row">{name} <small>{kind}</small></th>
            <td><Status status={status} /> <small>{error && errorOf(error)}{dueAt && <> goes on <Time of={dueAt} isFuture /></>}</small></td>
            <td class="wide">{attempts}</td>
            <td class="wide">{finishedAt && <Time of={finishedAt} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const SHOWN_CHILDREN = 20;

/** They are loaded on demand: most tasks have none. */
function Children({ taskId }: { taskId: string }) {
  const [isAsked, setAsked] = useState(false);
  return (
    <details onToggle={({ currentTarget }) => setAsked(currentTarget.open)}>
      <summary>Show what it has submitted, and its callbacks</summary>
      {isAsked && <ChildTable taskId={taskId} />}
    </details>
  );
}

function ChildTable({ taskId }: { taskId: string }) {
  const [found, setFound] = useState<TaskPage | string | null>(null);
  useEffect(() => {
    let isOver = false;
    void api.tasks({ parent: taskId, limit: SHOWN_CHILDREN }).catch(({ message }: Error) => message).then((page) => { if (!isOver) setFound(page); });
    return () => { isOver = true; };
  }, [taskId]);
  if (!found) return <Loading />;
  if (typeof found === 'string') return <p class="bad" role="alert">{found}</p>;
  return (
    <>
      {found.tasks.length > 0 ? <TaskTable tasks={found.tasks} caption="Its children, newest first" /> : <p role="status" class="quiet">{found.cursor ? 'None among the tasks that were looked at.' : 'It has none.'}</p>}
      <p><a href={hrefOf('tasks', '', { parent: taskId })}>As a list of tasks</a></p>
    </>
  );
}

/** Both may be secrets: they are shown only to readers who may act, and on demand. */
function Submission({ taskId }: { taskId: string }) {
  const [isAsked, setAsked] = useState(false);
  if (!useMayAct()) return <p class="quiet">They may be secrets: a token with the role operate is shown them.</p>;
  return (
    <details onToggle={({ currentTarget }) => setAsked(currentTarget.open)}>
      <summary>Show them</summary>
      {isAsked && <PayloadText taskId={taskId} />}
      <p><a href={`${taskPath(taskId)}/payload`} download={taskId}>Download the payload</a></p>
    </details>
  );
}
