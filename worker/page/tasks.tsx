/** The list of tasks. Its filters and its page are in the address. */

import type { TargetedEvent } from 'preact';
import { useMemo } from 'preact/hooks';

import type { Stats, TaskPage } from './answers.d.ts';
import { FILTER_OF_ACTION } from './actions.tsx';
import { api, ApiError } from './api.ts';
import { HANDLERS_LIST } from './handlers.tsx';
import { STATUSES } from './overview.tsx';
import { Loading, Panel, Status, useMayAct, ViewTitle } from './parts.tsx';
import { fromInput, toInput } from './local_time.ts';
import { freshFor_ms, SLOW_POLL_MS, usePolled } from './poll.ts';
import { go, hrefOf, type Route } from './route.ts';
import { tagTexts } from './tags.tsx';
import { TaskTable } from './task_table.tsx';
import { count } from './words.ts';

const LISTED_TASKS = 50;

interface Field {
  /** The name of the parameter in `GET /tasks` and in the address. */
  name: string;
  label: string;
  input?: { list?: string; placeholder?: string; pattern?: string; title?: string; maxLength?: number };
  isTime?: boolean;
}

/** To add a parameter, add a line. */
const FIELDS: Field[] = [
  { name: 'handler', label: 'Handler', input: { list: HANDLERS_LIST, pattern: '[a-z][a-z0-9_\\-]*', title: 'the name of a handler' } },
  { name: 'id', label: 'Id begins with', input: { pattern: '[0-9a-f\\-]{1,36}', title: 'the beginning of an id' } },
  { name: 'error', label: 'Error has', input: { maxLength: 200 } },
  { name: 'group', label: 'Group', input: { maxLength: 128 } },
  { name: 'tag', label: 'Tags', input: { placeholder: 'key:value' } },
  { name: 'parent', label: 'Child of', input: { pattern: '[0-9a-f\\-]{36}', title: 'the id of a task' } },
  { name: 'createdAfter', label: 'Submitted from', isTime: true },
  { name: 'createdBefore', label: 'Submitted before', isTime: true },
];

/** Filters that make a list examine many tasks: such a list is polled slowly. */
const isDear = (query: URLSearchParams) => (
  FIELDS.some(({ name }) => query.has(name)) || ['pending', 'processing', 'completed'].includes(query.get('status') ?? '')
);

interface Listed {
  stats: Stats;
  page: TaskPage;
  /** What is wrong with the filter; empty: nothing. */
  fault: string;
}

async function load(query: URLSearchParams): Promise<readonly [Listed, number]> {
  const [stats, listed] = await Promise.all([
    api.stats(), api.tasks({ ...Object.fromEntries(query), tag: tagTexts(query.get('tag') ?? ''), limit: LISTED_TASKS }).then((page) => ({ page, fault: '' }), faultOf),
  ]);
  return [{ stats, ...listed }, Math.max(freshFor_ms(stats), isDear(query) || query.has('cursor') ? SLOW_POLL_MS : 0)];
}

function faultOf(error: unknown): Pick<Listed, 'page' | 'fault'> {
  if (error instanceof ApiError && error.status === 400) return { page: { tasks: [], cursor: null }, fault: error.message };
  throw error;
}

export function Tasks({ query }: Route) {
  const told = usePolled(`tasks?${query}`, () => load(query));
  // An answer that arrives meanwhile must not undo what the reader has typed.
  const form = useMemo(() => <FilterForm query={query} />, [`${query}`]);
  return (
    <>
      <ViewTitle name="Tasks">Tasks</ViewTitle>
      <StatusTabs query={query} counts={told?.stats.counts} />
      {form}
      {told ? <Found {...told} query={query} /> : <Loading />}
    </>
  );
}

/** The address of the same list with another filter, on its first page. */
function withFilter(query: URLSearchParams, changed: Record<string, string>): string {
  return hrefOf('tasks', '', { ...Object.fromEntries(query), cursor: '', ...changed });
}

function StatusTabs({ query, counts }: { query: URLSearchParams; counts: Stats['counts'] | undefined }) {
  const chosen = query.get('status') ?? '';
  return (
    <nav aria-label="Statuses">
      <ul class="tabs">
        <li><a href={withFilter(query, { status: '' })} aria-current={chosen === '' ? 'true' : undefined}>all</a></li>
        {STATUSES.map((status) => (
          <li key={status}>
            <a href={withFilter(query, { status })} aria-current={chosen === status ? 'true' : undefined}><Status status={status} /> {counts && <b>{count(counts[status])}</b>}</a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function FilterForm({ query }: { query: URLSearchParams }) {
  const apply = ({ currentTarget: form }: TargetedEvent<HTMLFormElement>) => {
    if (!form.reportValidity()) return;
    const data = new FormData(form);
    const value = ({ name, isTime }: Field) => (isTime ? fromInput(`${data.get(name)}`) : `${data.get(name)}`.trim());
    go(withFilter(query, Object.fromEntries(FIELDS.map((field) => [field.name, value(field)]))));
  };
  return (
    <form id="filter" role="search" aria-label="Filter the tasks" onChange={apply} onSubmit={(event) => { event.preventDefault(); apply(event); }}>
      {FIELDS.map(({ name, label, input, isTime }) => (
        <label key={name}>
          {label} <input name={name} placeholder="any" autoComplete="off" spellcheck={false} {...input} {...(isTime && { type: 'datetime-local' as const, step: 1 })} value={isTime ? toInput(query.get(name) ?? '') : query.get(name) ?? ''} />
        </label>
      ))}
      <button>Filter</button>
      <a href={hrefOf('tasks')}>Clear</a>
    </form>
  );
}

function Found({ page: { tasks, cursor }, fault, query }: Listed & { query: URLSearchParams }) {
  const isFirst = !query.has('cursor');
  const none = cursor ? 'None among the tasks that were looked at: look further back.' : 'There are no such tasks.';
  return (
    <Panel id="tasks" title={isFirst ? 'The newest first' : 'Older tasks'}>
      {fault && <p class="bad" role="alert">{fault}</p>}
      {tasks.length > 0 && <TaskTable tasks={tasks} caption="Tasks, newest first" />}
      <p role="status" class="quiet">{!fault && tasks.length === 0 && none}</p>
      <div class="buttons">
        {!isFirst && <a class="button" href={withFilter(query, {})}>Back to the newest</a>}
        {cursor && <a class="button" href={withFilter(query, { cursor })}>Older tasks</a>}
        {tasks.length > 0 && <ActOnThese query={query} ids={tasks.map(({ taskId }) => taskId)} />}
      </div>
    </Panel>
  );
}

/** If an action cannot have the list's filters, it applies to the tasks that are shown. */
function ActOnThese({ query, ids }: { query: URLSearchParams; ids: string[] }) {
  if (!useMayAct()) return null;
  const given = Object.fromEntries([...query].filter(([name]) => name !== 'cursor'));
  const names = Object.keys(given);
  const isFilter = names.length > 0 && names.every((name) => FILTER_OF_ACTION.includes(name));
  return isFilter
    ? <a class="button" href={hrefOf('actions', '', given)}>Act on all that fit…</a>
    : <a class="button" href={hrefOf('actions', '', { ids: ids.join(',') })}>Act on the {ids.length} that are shown…</a>;
}
