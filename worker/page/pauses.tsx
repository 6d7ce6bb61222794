/** Pauses: the handlers whose tasks wait until they are resumed. */

import type { TargetedEvent } from 'preact';
import { useState } from 'preact/hooks';

import type { Pauses as Paused } from './answers.d.ts';
import { api } from './api.ts';
import { HANDLERS_LIST } from './handlers.tsx';
import { Act, Loading, Panel, Time, useMayAct, ViewTitle } from './parts.tsx';
import { SLOW_POLL_MS, usePolled } from './poll.ts';

const ofHandler = (handler: string | null) => (handler === null ? 'all handlers' : `handler ${handler}`);

export function Pauses() {
  const pauses = usePolled('pauses', async () => [await api.pauses(), SLOW_POLL_MS] as const);
  return (
    <>
      <ViewTitle name="Pauses">Pauses</ViewTitle>
      <p class="quiet">Paused tasks are accepted and wait; what is running goes on to its end. The pause of all handlers and that of one are two.</p>
      {pauses ? <Panel title="Paused now">{pauses.length > 0 ? <PauseList pauses={pauses} /> : <p class="quiet">Nothing is paused.</p>}</Panel> : <Loading />}
      <PauseForm />
    </>
  );
}

export function PauseList({ pauses }: { pauses: Paused['pauses'] }) {
  return (
    <ul class="cards">
      {pauses.map(({ handler, since }) => (
        <li key={handler ?? '*'}>
          <b>{ofHandler(handler)}</b> since <Time of={since} /> <Act label="Resume" of={ofHandler(handler)} act={() => set(handler, 'resume')} />
        </li>
      ))}
    </ul>
  );
}

async function set(handler: string | null, word: 'pause' | 'resume'): Promise<string> {
  await api.setPause(handler, word);
  const name = ofHandler(handler);
  return `${name[0]?.toUpperCase()}${name.slice(1)} ${handler === null ? 'are' : 'is'} ${word}d.`;
}

function PauseForm() {
  const [handler, setHandler] = useState('');
  if (!useMayAct()) return null;
  const name = handler.trim();
  const onInput = ({ currentTarget }: TargetedEvent<HTMLInputElement>) => setHandler(currentTarget.value);
  return (
    <Panel title="Pause">
      <form onSubmit={(event) => event.preventDefault()}>
        <label>Handler <input list={HANDLERS_LIST} value={handler} onInput={onInput} placeholder="all" autoComplete="off" spellcheck={false} /></label>
        <Act label={`Pause ${name === '' ? 'all handlers' : name}`} act={() => set(name === '' ? null : name, 'pause')} />
      </form>
    </Panel>
  );
}
