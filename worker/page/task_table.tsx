/** A table of tasks. */

import type { Task, TaskSummary } from './answers.d.ts';
import { api } from './api.ts';
import { Act, Status, TaskLink, Time } from './parts.tsx';
import { Tags } from './tags.tsx';
import { attemptsOf, noteOf, tookOf } from './words.ts';

export const mayRetry = ({ status }: Pick<Task, 'status'>) => status === 'failed' || status === 'cancelled';
export const mayCancel = ({ status }: Pick<Task, 'status'>) => status === 'pending' || status === 'processing';

export async function retry(taskId: string): Promise<string> {
  await api.retry(taskId);
  return `Task ${taskId} is pending again.`;
}

export async function cancel(taskId: string): Promise<string> {
  await api.cancel(taskId);
  return `Task ${taskId} is cancelled.`;
}

export function TaskTable({ tasks, caption }: { tasks: TaskSummary[]; caption: string }) {
  return (
    <table class="tasks">
      <caption class="unseen">{caption}</caption>
      <thead>
        <tr>
          <th scope="col">Task</th><th scope="col">Status</th><th scope="col" class="wide">Handler</th><th scope="col" class="wide">Attempts</th>
          <th scope="col" class="wide">Created</th><th scope="col" class="wide">Took</th><th scope="col"><span class="unseen">Actions</span></th>
        </tr>
      </thead>
      <tbody>{tasks.map((task) => <TaskRow key={task.taskId} task={task} />)}</tbody>
    </table>
  );
}

function TaskRow({ task }: { task: TaskSummary }) {
  const { taskId, status, handler, progress, createdAt, tags } = task;
  return (
    <tr data-key={taskId}>
      <th scope="row"><TaskLink taskId={taskId} /></th>
      <td>
        <Status status={status} />{' '}
        {status === 'processing' && progress && <progress max="100" value={progress.percent} aria-label={`Progress of ${taskId}`} />}{' '}
        <small>{noteOf(task)}</small> <Tags of={tags} />
      </td>
      <td class="wide">{handler}</td>
      <td class="wide">{attemptsOf(task)}</td>
      <td class="wide"><Time of={createdAt} /></td>
      <td class="wide">{tookOf(task)}</td>
      <td>
        {mayRetry(task) && <Act key="retry" label="Retry" of={taskId} act={() => retry(taskId)} />}
        {mayCancel(task) && <Act key="cancel" label="Cancel" of={taskId} act={() => cancel(taskId)} />}
      </td>
    </tr>
  );
}
