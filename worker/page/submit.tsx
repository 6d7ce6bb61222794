/** Submits a task, from any view: the answer is shown next to the form. */

import type { TargetedEvent } from 'preact';
import { useRef, useState } from 'preact/hooks';

import type { Priority } from './answers.d.ts';
import { api } from './api.ts';
import { HANDLERS_LIST, useHandlers } from './handlers.tsx';
import { TaskLink, useMayAct } from './parts.tsx';
import { refresh } from './poll.ts';
import { tagsIn } from './tags.tsx';

const DEFAULT_HANDLER = 'default';

/** The fields of the form that are sent as text, and those that are sent as numbers. */
const TEXTS = ['handler', 'payload', 'idempotencyKey', 'group', 'priority'] as const;
const NUMBERS = ['delaySeconds', 'ttlSeconds', 'maxRetries'] as const;

const PRIORITIES: readonly Priority[] = ['high', 'normal', 'low'];

/** The form's name of a parameter. */
const PARAMETER = 'parameter ';

export function SubmitButton() {
  const dialog = useRef<HTMLDialogElement>(null);
  if (!useMayAct()) return null;
  return (
    <>
      <button type="button" class="main" onClick={() => dialog.current?.showModal()}>Submit a task</button>
      <dialog ref={dialog} id="submit" aria-labelledby="submit-title">
        <h2 id="submit-title">Submit a task</h2>
        <SubmitForm close={() => dialog.current?.close()} />
      </dialog>
    </>
  );
}

/** The task in the form of `POST /tasks`; empty fields are left out, so that the defaults apply. */
function taskOf(data: FormData): Record<string, unknown> {
  const value = (name: string) => `${data.get(name) ?? ''}`;
  const texts = TEXTS.map((name) => [name, name === 'payload' ? value(name) : value(name).trim()]);
  const numbers = NUMBERS.flatMap((name) => (value(name) === '' ? [] : [[name, Number(value(name))]]));
  const parameters = [...data.keys()].filter((key) => key.startsWith(PARAMETER) && value(key) !== '').map((key) => [key.slice(PARAMETER.length), value(key)]);
  return {
    ...Object.fromEntries(texts.filter(([, text]) => text !== '')), ...Object.fromEntries(numbers),
    ...(value('tags').trim() && { tags: tagsIn(value('tags')) }),
    ...(parameters.length > 0 && { parameters: Object.fromEntries(parameters) }),
  };
}

function SubmitForm({ close }: { close: () => void }) {
  const handlers = useHandlers();
  const [handler, setHandler] = useState(DEFAULT_HANDLER);
  const [answer, setAnswer] = useState<{ taskId: string } | { fault: string } | null>(null);
  const isBusy = useRef(false);
  const submit = async (event: TargetedEvent<HTMLFormElement, SubmitEvent>) => {
    event.preventDefault();
    if (isBusy.current) return;
    isBusy.current = true;
    setAnswer(null);
    try {
      setAnswer({ taskId: await api.submit(taskOf(new FormData(event.currentTarget))) });
    } catch (error) {
      setAnswer({ fault: (error as Error).message });
    }
    isBusy.current = false;
    await refresh();
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <label>Handler <input name="handler" list={HANDLERS_LIST} value={handler} onInput={({ currentTarget }) => setHandler(currentTarget.value)} required autoComplete="off" spellcheck={false} /></label>
      {Object.entries(handlers[handler] ?? {}).map(([name, what]) => (
        <label key={`${handler} ${name}`} class="whole">{name} <small>{what}</small> <input name={PARAMETER + name} autoComplete="off" spellcheck={false} /></label>
      ))}
      <label class="whole">Payload <textarea name="payload" rows={5} spellcheck={false} defaultValue="{}" /></label>
      <label>Delay in seconds <input name="delaySeconds" type="number" min={0} max={86_400} placeholder="the stack's" /></label>
      <label>Kept for seconds <input name="ttlSeconds" type="number" min={60} max={604_800} placeholder="86400" /></label>
      <label>Retries <input name="maxRetries" type="number" min={0} max={100} placeholder="the stack's" /></label>
      <label>Idempotency key <input name="idempotencyKey" maxLength={255} placeholder="none" autoComplete="off" /></label>
      <label>Group <input name="group" maxLength={128} placeholder="the handler's" autoComplete="off" /></label>
      <label>Tags <input name="tags" placeholder="key:value key:value" autoComplete="off" spellcheck={false} /></label>
      <label>Priority <select name="priority"><option value="">default</option>{PRIORITIES.map((each) => <option key={each}>{each}</option>)}</select></label>
      <p role="status" class={answer ? 'answer' : ''}>
        {answer && ('fault' in answer ? <span class="bad">{answer.fault}</span> : <span onClick={close}>Task <TaskLink taskId={answer.taskId} /> is submitted.</span>)}
      </p>
      <div class="buttons whole"><button class="main">Submit</button> <button type="button" onClick={close}>Close</button></div>
    </form>
  );
}
