/** Dead letters: how many there are, which, what to do with them, and the tasks that they stand for. */

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

import type { DeadLetter, DeadLetters as Letters, LetterSelection, LettersLeft, Redriven, Stats, TaskPage } from './answers.d.ts';
import { api, ApiError } from './api.ts';
import { Act, ConfirmedAct, Facts, Loading, Panel, TaskLink, Time, useMayAct, ViewTitle } from './parts.tsx';
import { freshFor_ms, SLOW_POLL_MS, usePolled } from './poll.ts';
import { hrefOf } from './route.ts';
import { TaskTable } from './task_table.tsx';
import { count, counted, duration, errorOf } from './words.ts';

const LISTED_TASKS = 20;

const COMMANDS = {
  'python -m ops dlq list': 'lists them, and uses nothing up',
  'python -m ops dlq show ID': 'shows one',
  'python -m ops dlq redrive --limit 100': 'runs their tasks again',
  'python -m ops dlq purge --stale': 'deletes those that stand for nothing any more',
};

const MEANINGS: Record<DeadLetter['state'], string> = {
  failed: 'a redrive runs it again',
  stale: 'its task has ended otherwise, or moved on',
  unfinished: 'its task has not ended yet',
  gone: 'its task has expired',
  malformed: 'it names no task',
};

/** `letters` null: the Worker may not read them, or Cloudflare does not tell now; `fault` says why. */
interface Seen {
  stats: Stats;
  page: TaskPage;
  letters: Letters | null;
  fault: string;
}

async function load(): Promise<readonly [Seen, number]> {
  const [stats, page] = await Promise.all([api.stats(), api.tasks({ status: 'failed', limit: LISTED_TASKS })]);
  const isReadable = stats.deadLetters?.readable === true;
  const looked = isReadable ? await look() : { letters: null, fault: '' };
  return [{ stats, page, ...looked }, Math.max(freshFor_ms(stats), isReadable ? SLOW_POLL_MS : 0)];
}

async function look(): Promise<Pick<Seen, 'letters' | 'fault'>> {
  try {
    return { letters: await api.deadLetters(), fault: '' };
  } catch (error) {
    if (error instanceof ApiError && [502, 503].includes(error.status)) return { letters: null, fault: error.message };
    throw error;
  }
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

function Told({ stats: { deadLetters }, page, letters, fault }: Seen) {
  return (
    <>
      {deadLetters ? (
        <Panel title="In the dead-letter queue">
          <Facts of={{ Messages: count(letters?.total ?? deadLetters.count), 'The oldest': deadLetters.oldestAgeSeconds !== null && `${duration(1_000 * deadLetters.oldestAgeSeconds)} old` }} />
          {!deadLetters.readable && <Commands />}
          {fault && <p class="bad" role="alert">{fault}</p>}
        </Panel>
      ) : <Panel title="In the dead-letter queue"><p>There is none with workflows, or the queue does not answer.</p></Panel>}
      {letters && (letters.deadLetters.length > 0 ? <LetterPanel {...letters} /> : <p class="quiet">Cloudflare shows no dead letters.</p>)}
      <FailedTasks {...page} />
    </>
  );
}

function Commands() {
  return (
    <>
      <p>A Worker cannot read its dead-letter queue without a token of the Cloudflare account. Whoever has one types:</p>
      <dl>{Object.entries(COMMANDS).map(([command, what]) => [<dt key={`${command}:`}><code>{command}</code></dt>, <dd key={command}>{what}</dd>])}</dl>
      <p>To list, redrive and purge them here, set <code>dead_letter_api_token</code> to an API token of Cloudflare with the permission Queues Edit, and deploy.</p>
    </>
  );
}

/** The panel with those that are shown, of which some are chosen. */
function LetterPanel({ deadLetters, total }: Letters) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const mayAct = useMayAct();
  const ids = deadLetters.map(({ letterId }) => letterId).filter((id) => chosen.has(id));
  const choose = (letterIds: string[], isChosen: boolean) => {
    const next = new Set(ids);
    for (const id of letterIds) isChosen ? next.add(id) : next.delete(id);
    setChosen(next);
  };
  const all = deadLetters.map(({ letterId }) => letterId);
  return (
    <Panel id="letters" title={<>Letters <small>{total > all.length ? `the oldest ${count(all.length)} of about ${count(total)}` : counted(all.length, 'letter')}</small></>}>
      <table class="letters">
        <caption class="unseen">Dead letters, the oldest first</caption>
        <thead>
          <tr>
            {mayAct && <th scope="col"><Check label="Choose all letters" isChecked={ids.length === all.length} isMixed={ids.length > 0} set={(isChosen) => choose(all, isChosen)} /></th>}
            <th scope="col">Task</th><th scope="col">State</th><th scope="col" class="wide">Sent</th><th scope="col" class="wide">Pulled</th>
          </tr>
        </thead>
        <tbody>
          {deadLetters.map((letter) => (
            <LetterRow key={letter.letterId} {...letter}>
              {mayAct && <td><Check label={`Choose letter ${letter.letterId}`} isChecked={chosen.has(letter.letterId)} set={(isChosen) => choose([letter.letterId], isChosen)} /></td>}
            </LetterRow>
          ))}
        </tbody>
      </table>
      {mayAct && <LetterActs ids={ids} letters={deadLetters} total={total} />}
    </Panel>
  );
}

function Check({ label, isChecked, isMixed = false, set }: { label: string; isChecked: boolean; isMixed?: boolean; set: (isChecked: boolean) => void }) {
  return <input type="checkbox" aria-label={label} checked={isChecked} indeterminate={isMixed && !isChecked} onChange={({ currentTarget }) => set(currentTarget.checked)} />;
}

function LetterRow({ letterId, state, taskId, run, task, body, sentAt, attempts, children }: DeadLetter & { children: ComponentChildren }) {
  return (
    <tr data-key={letterId}>
      {children}
      <th scope="row">{taskId ? <><TaskLink taskId={taskId} /> <small>run {run}</small></> : <code>{letterId}</code>}</th>
      <td class="most">
        <span class={`status ${state}`}>{state}</span>{' '}
        <small>{state === 'failed' ? task?.error && errorOf(task.error) : <>{MEANINGS[state]}{task && ` (${task.status}, run ${task.run})`}{body && `: ${body}`}</>}</small>
      </td>
      <td class="wide"><Time of={sentAt} /></td>
      <td class="wide">{count(attempts)}</td>
    </tr>
  );
}

function LetterActs({ ids, letters, total }: { ids: string[]; letters: DeadLetter[]; total: number }) {
  const isEach = (...states: DeadLetter['state'][]) => letters.some(({ state }) => states.includes(state));
  const those = counted(ids.length, 'letter');
  return (
    <>
      <div class="buttons">
        {ids.length > 0 && <Act key="redrive" label={`Redrive ${those}`} act={() => redrive({ ids })} />}
        {ids.length > 0 && <ConfirmedAct key="purge" label={`Purge ${those}`} question={`Delete ${those} for good? Their tasks stay.`} act={() => purge({ ids })} />}
        {ids.length === 0 && <span class="quiet">Choose letters to redrive or to purge them, or all:</span>}
      </div>
      <div class="buttons">
        {(isEach('failed') || total > letters.length) && <Act key="all" label="Redrive all that failed" act={() => redrive({ all: true })} />}
        {isEach('stale', 'gone') && (
          <ConfirmedAct key="stale" label="Purge all stale" question="Delete all letters for good that stand for nothing any more: those that are stale or gone?" act={() => purge({ stale: true })} />
        )}
        <ConfirmedAct key="purge-all" label="Purge all" question={`Delete all letters for good, about ${count(total)}? Their tasks stay.`} act={() => purge({ all: true })} />
      </div>
    </>
  );
}

const LEFT: Record<Exclude<keyof Redriven, 'redriven' | 'missing' | 'more'>, string> = {
  stale: 'stale', unfinished: 'not ended yet', gone: 'gone', malformed: 'malformed', repeated: 'redriven already just now',
};

async function redrive(selection: LetterSelection): Promise<string> {
  const { redriven, ...others } = await api.redriveLetters(selection);
  const left = (Object.keys(LEFT) as (keyof typeof LEFT)[]).filter((state) => others[state] > 0).map((state) => `${count(others[state])} ${LEFT[state]}`);
  const isStuck = redriven === 0 && others.more;
  return [
    `${counted(redriven, 'task')} will run again.`, left.length > 0 && `Left: ${left.join(', ')}.`,
    isStuck ? 'There are more, behind those: purge those first.' : leftOf(others),
  ].filter(Boolean).join(' ');
}

async function purge(selection: LetterSelection): Promise<string> {
  const { purged, ...others } = await api.purgeLetters(selection);
  return [`${counted(purged, 'letter')} ${purged === 1 ? 'is' : 'are'} deleted.`, leftOf(others)].filter(Boolean).join(' ');
}

function leftOf({ missing, more }: LettersLeft): string {
  return [
    missing > 0 && `${counted(missing, 'letter')} ${missing === 1 ? 'was' : 'were'} not found: somebody else has ${missing === 1 ? 'it' : 'them'} in hand, or ${missing === 1 ? 'it is' : 'they are'} gone.`,
    more && 'There are more: do it again.',
  ].filter(Boolean).join(' ');
}

function FailedTasks({ tasks, cursor }: TaskPage) {
  return (
    <Panel title="Failed tasks, which dead letters stand for">
      {tasks.length > 0 ? <TaskTable tasks={tasks} caption="The latest tasks that failed" /> : <p class="quiet">None{cursor && ' among the latest'}.</p>}
      <div class="buttons">
        <a class="button" href={hrefOf('tasks', '', { status: 'failed' })}>All failed tasks</a>
        {useMayAct() && tasks.length > 0 && <a class="button" href={hrefOf('actions', '', { action: 'retry', status: 'failed' })}>Retry all…</a>}
      </div>
    </Panel>
  );
}
