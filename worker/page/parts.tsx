/** Small things that several views show. */

import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Status as TaskStatus } from './answers.d.ts';
import { role } from './api.ts';
import { refresh } from './poll.ts';
import { taskHref } from './route.ts';
import { Store, useStore } from './store.ts';
import { ago, at, fromNow } from './words.ts';

/** What became of what the reader asked for last; empty: nothing to say. */
export const notice = new Store('');

export function useMayAct(): boolean {
  return useStore(role) === 'operate';
}

interface ActProps {
  label: string;
  /** What it is done to, for those who do not see where the button is. */
  of?: string;
  /** Does it, and returns a sentence that says so. */
  act: () => Promise<string>;
}

/** A button that changes something: the answer is told, and what is shown is asked for again. Who may not act has none. Two that take each
 * other's place have keys, so that the second is not the first with another label, which may have the focus. */
export function Act({ label, of, act }: ActProps) {
  const [isBusy, setBusy] = useState(false);
  if (!useMayAct()) return null;
  const onClick = async ({ detail }: MouseEvent) => {
    // The second of a double click may fall on the button that took the first one's place.
    if (isBusy || detail > 1) return;
    setBusy(true);
    notice.set('');
    try {
      notice.set(await act());
    } catch (error) {
      notice.set((error as Error).message);
    }
    setBusy(false);
    await refresh();
  };
  return <button type="button" aria-disabled={isBusy} aria-label={of && `${label} ${of}`} onClick={onClick}>{label}</button>;
}

interface ConfirmProps {
  label: string;
  question: string;
  act: () => Promise<string>;
}

/** A button that asks before it does what cannot be undone. */
export function ConfirmedAct({ label, question, act }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  if (!useMayAct()) return null;
  return (
    <>
      <button type="button" onClick={() => dialog.current?.showModal()}>{label}</button>
      <dialog ref={dialog} aria-labelledby={id}>
        <p id={id}>{question}</p>
        <div class="buttons">
          <Act label={label} act={() => act().finally(() => dialog.current?.close())} />
          <button type="button" onClick={() => dialog.current?.close()}>Keep it</button>
        </div>
      </dialog>
    </>
  );
}

/** Says what became of what was asked for, at the edge of the window, wherever the reader has scrolled to. */
export function Notice() {
  const text = useStore(notice);
  return (
    <div id="notice" class={text ? 'shown' : ''}>
      <p role="status">{text}</p>
      {text && <button type="button" aria-label="Dismiss the message" onClick={() => notice.set('')}>✕</button>}
    </div>
  );
}

interface PanelProps {
  title: ComponentChildren;
  children: ComponentChildren;
  id?: string;
}

export function Panel({ title, children, id }: PanelProps) {
  const heading = useId();
  const section = useRef<HTMLElement>(null);
  useKeptFocus(section);
  return (
    <section class="panel" id={id} ref={section} aria-labelledby={heading}>
      <h3 id={heading} tabIndex={-1}>{title}</h3>
      {children}
    </section>
  );
}

/**
 * Where what has the focus goes away, the focus moves to the link of its row, or else to the heading. To be called by what draws both.
 */
export function useKeptFocus(container: RefObject<HTMLElement | null>): void {
  const focused = document.activeElement;
  const isInside = Boolean(container.current?.contains(focused));
  const key = focused?.closest<HTMLElement>('[data-key]')?.dataset['key'];
  useLayoutEffect(() => {
    if (!isInside || document.activeElement !== document.body) return;
    const link = key && container.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"] a`);
    (link || container.current?.querySelector<HTMLElement>('[tabindex="-1"]'))?.focus();
  });
}

export function Status({ status }: { status: TaskStatus | 'expired' | 'running' | 'waiting' | 'crashed' | 'stopped' | 'paused' }) {
  return <span class={`status ${status}`}>{status}</span>;
}

/** An id, whose last part alone is shown where there is little room. */
export function TaskLink({ taskId }: { taskId: string }) {
  const last = taskId.lastIndexOf('-') + 1;
  return <a class="id" href={taskHref(taskId)}><span class="wide">{taskId.slice(0, last)}</span><span>{taskId.slice(last)}</span></a>;
}

/** A time as it is said, with the whole of it at hand. */
export function Time({ of, isFuture = false }: { of: string; isFuture?: boolean }) {
  return <time dateTime={of} title={at(of)}>{isFuture ? fromNow(of) : ago(of)}</time>;
}

/** Names and what there is to say of each; those without anything are left out. */
export function Facts({ of }: { of: Record<string, ComponentChildren> }) {
  const told = Object.entries(of).filter(([, fact]) => fact !== null && fact !== undefined && fact !== '' && fact !== false);
  return <dl>{told.map(([name, fact]) => [<dt key={`${name}:`}>{name}</dt>, <dd key={name}>{fact}</dd>])}</dl>;
}

const SHOWN_CHARACTERS = 20_000;

/** A text of a task's: as it is, and only its beginning where it is long. */
export function LongText({ text, label }: { text: string; label: string }) {
  const [isWhole, setWhole] = useState(false);
  const isCut = !isWhole && text.length > SHOWN_CHARACTERS;
  return (
    <>
      <pre tabIndex={0} role="region" aria-label={label}>{isCut ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text}</pre>
      {isCut && <button type="button" onClick={() => setWhole(true)}>Show all {text.length} characters</button>}
    </>
  );
}

/** JSON as it is read best; what is nested too deeply for that stays on one line, or is not shown. */
export function prettyJson(value: unknown): string {
  for (const indent of [2, 0]) {
    try {
      return JSON.stringify(value, null, indent) ?? '';
    } catch {
      // Deeper than the browser's stack.
    }
  }
  return 'It is nested too deeply to be shown here.';
}

export function Loading() {
  return <p class="quiet">Loading…</p>;
}

/** The title of a view, which gets the focus when the reader comes to it. */
export function ViewTitle({ children, name }: { children: ComponentChildren; name: string }) {
  useEffect(() => {
    document.title = `${name} · Task runner`;
  }, [name]);
  return <h2 id="view-title" tabIndex={-1}>{children}</h2>;
}
