/** Actions on many tasks: counted first, then started, with the progress of each. */

import type { TargetedEvent } from 'preact';
import { useState } from 'preact/hooks';

import type { Act as Verb, Action, NewAction, Status as TaskStatus } from './answers.d.ts';
import { api } from './api.ts';
import { HANDLERS_LIST } from './handlers.tsx';
import { fromInput, toInput } from './local_time.ts';
import { Act, Facts, Loading, Panel, Status, Time, useMayAct, ViewTitle } from './parts.tsx';
import { SLOW_POLL_MS, usePolled } from './poll.ts';
import { hrefOf, type Route } from './route.ts';
import { tagsIn, tagText } from './tags.tsx';
import { at, count, counted } from './words.ts';

const RUNNING_POLL_MS = 2_000;

/** The statuses that each action may be applied to, as in `worker/actions.js`, and its participle. */
const VERBS: Record<Verb, { statuses: TaskStatus[]; done: string }> = {
  retry: { statuses: ['failed', 'cancelled'], done: 'retried' },
  cancel: { statuses: ['pending', 'processing'], done: 'cancelled' },
  delete: { statuses: ['completed', 'failed', 'cancelled'], done: 'deleted for good' },
};

/** The filters of an action, besides ids. */
export const FILTER_OF_ACTION: readonly string[] = ['status', 'handler', 'tag', 'createdAfter', 'createdBefore'];

/** The new action in the page's address; ids are separated by commas. */
type Draft = Record<'action' | 'status' | 'handler' | 'tag' | 'createdAfter' | 'createdBefore' | 'ids', string>;

function draftOf(query: URLSearchParams): Draft {
  const status = query.get('status') ?? '';
  const fitting = (Object.keys(VERBS) as Verb[]).find((verb) => VERBS[verb].statuses.some((each) => each === status)) ?? 'retry';
  const given = (name: string) => query.get(name) ?? '';
  return {
    action: query.get('action') ?? fitting, status, handler: given('handler'), tag: given('tag'), createdAfter: given('createdAfter'),
    createdBefore: given('createdBefore'), ids: given('ids'),
  };
}

function newAction({ action, ids, tag, ...texts }: Draft): NewAction {
  const given = Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== ''));
  return { action: action as Verb, filter: { ...given, ...(tag.trim() && { tags: tagsIn(tag) }), ...(ids && { ids: ids.split(',') }) } };
}

export function Actions({ query }: Route) {
  const actions = usePolled('actions', async () => {
    const all = await api.actions();
    return [all, all.some(({ state }) => state === 'running') ? RUNNING_POLL_MS : SLOW_POLL_MS] as const;
  });
  return (
    <>
      <ViewTitle name="Actions">Actions</ViewTitle>
      {useMayAct() && <ActionForm key={`${query}`} query={query} actions={actions ?? []} />}
      {actions ? <ActionList actions={actions} /> : <Loading />}
    </>
  );
}

function ActionForm({ query, actions }: { query: URLSearchParams; actions: Action[] }) {
  const [draft, setDraft] = useState(() => draftOf(query));
  const [countId, setCountId] = useState('');
  const verb = VERBS[draft.action as Verb] ?? VERBS.retry;
  const change = (changed: Partial<Draft>) => {
    const next = { ...draft, ...changed };
    setDraft(next);
    setCountId(''); // it counted another filter
    history.replaceState(null, '', hrefOf('actions', '', next));
  };
  const field = (name: keyof Draft) => ({
    value: draft[name], onInput: ({ currentTarget }: TargetedEvent<HTMLInputElement | HTMLSelectElement>) => change({ [name]: currentTarget.value }),
  });
  const timeField = (name: 'createdAfter' | 'createdBefore') => ({
    type: 'datetime-local' as const, step: 1, value: toInput(draft[name]),
    onChange: ({ currentTarget }: TargetedEvent<HTMLInputElement>) => change({ [name]: fromInput(currentTarget.value) }),
  });
  const countThem = async () => {
    const { id } = await api.startAction({ ...newAction(draft), dryRun: true });
    setCountId(id);
    return '';
  };
  return (
    <Panel title="Act on many tasks">
      <form onSubmit={(event) => event.preventDefault()}>
        <label>
          Action{' '}
          <select {...field('action')} onInput={({ currentTarget }) => change({ action: currentTarget.value, status: '' })}>
            {Object.keys(VERBS).map((each) => <option key={each}>{each}</option>)}
          </select>
        </label>
        <label>
          Status{' '}
          <select {...field('status')}>
            <option value="">{verb.statuses.join(' or ')}</option>
            {verb.statuses.map((status) => <option key={status}>{status}</option>)}
          </select>
        </label>
        <label>Handler <input list={HANDLERS_LIST} placeholder="any" autoComplete="off" spellcheck={false} {...field('handler')} /></label>
        <label>Tags <input placeholder="key:value" autoComplete="off" spellcheck={false} {...field('tag')} /></label>
        <label>Submitted from <input {...timeField('createdAfter')} /></label>
        <label>Submitted before <input {...timeField('createdBefore')} /></label>
        {draft.ids && (
          <p>Of {counted(draft.ids.split(',').length, 'task')} that {draft.ids.includes(',') ? 'were' : 'was'} chosen. <button type="button" onClick={() => change({ ids: '' })}>Of all</button></p>
        )}
        <Act label="Count them" act={countThem} />
      </form>
      <Count draft={draft} action={actions.find(({ id }) => id === countId)} done={verb.done} reset={() => setCountId('')} />
    </Panel>
  );
}

/** Shows how many tasks are selected, then the button that starts the action; it only affects tasks that existed when they were counted. */
function Count({ draft, action, done, reset }: { draft: Draft; action: Action | undefined; done: string; reset: () => void }) {
  const isCounted = action?.state === 'completed';
  const act = async () => {
    if (!action) return '';
    const { filter, ...asked } = newAction({ ...draft, createdBefore: draft.createdBefore || action.createdAt });
    const started = await api.startAction({ ...asked, filter });
    reset();
    return `${counted(action.matched, 'task')} will be ${done}: action ${started.id}.`;
  };
  return (
    <div class="buttons">
      <p role="status" id="count">{action && (isCounted ? `${counted(action.matched, 'task')} would be ${done}.` : `Counting: ${count(action.matched)} so far.`)}</p>
      {isCounted && action.matched > 0 && <Act label={`${sentence(draft.action)} ${counted(action.matched, 'task')}`} act={act} />}
    </div>
  );
}

const sentence = (words: string) => `${words[0]?.toUpperCase() ?? ''}${words.slice(1)}`;

function ActionList({ actions }: { actions: Action[] }) {
  return (
    <Panel title="The last actions">
      {actions.length === 0 && <p class="quiet">There were none in the last week.</p>}
      <ul class="cards">{actions.map((action) => <li key={action.id} data-key={action.id}><ActionCard {...action} /></li>)}</ul>
    </Panel>
  );
}

const STATUS_OF_STATE = { running: 'running', completed: 'completed', stopped: 'stopped' } as const;

function ActionCard({ id, action, dryRun, state, matched, done, skipped, filter, createdAt, finishedAt }: Action) {
  return (
    <article aria-label={`Action ${id}`}>
      <h4 tabIndex={-1}>{dryRun ? `Count what to ${action}` : sentence(action)} <Status status={STATUS_OF_STATE[state]} /> <small>{filterInWords(filter)}</small></h4>
      <Facts
        of={{
          Fit: count(matched),
          Done: dryRun ? '' : count(done),
          'Moved on meanwhile': skipped > 0 && count(skipped),
          Begun: <Time of={createdAt} />,
          Ended: finishedAt && <Time of={finishedAt} />,
          Id: <code>{id}</code>,
        }}
      />
      {state === 'running' && <Act label="Stop" of={`action ${id}`} act={() => stop(id)} />}
    </article>
  );
}

function filterInWords({ status, handler, tags, createdAfter, createdBefore, ids }: Action['filter']): string {
  return [
    status ?? 'any status', handler && `of ${handler}`, tags && `with ${tagText(tags)}`, createdAfter && `from ${at(createdAfter)}`, createdBefore && `before ${at(createdBefore)}`,
    ids && `of ${counted(ids.length, 'task')} that were chosen`,
  ].filter(Boolean).join(', ');
}

async function stop(id: string): Promise<string> {
  const { done } = await api.stopAction(id);
  return `Action ${id} is stopped; what it has done to ${counted(done, 'task')} stays done.`;
}
