/** Small components that several views share. */

import type { ComponentChildren, RefObject } from 'preact';
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Status as TaskStatus } from './answers.d.ts';
import { role } from './api.ts';
import { refresh } from './poll.ts';
import { taskHref } from './route.ts';
import { Store, useStore } from './store.ts';
import { ago, at, fromNow } from './words.ts';

/** The result of the reader's last request; empty: nothing to show. */
export const notice = new Store('');

export function useMayAct(): boolean {
  return useStore(role) === 'operate';
}

interface ActProps {
  label: string;
  /** The object of the action, for readers who do not see where the button is. */
  of?: string;
  /** Does it, and returns a sentence about the result. */
  act: () => Promise<string>;
}

/** A button that changes something: it shows the answer, and the view is read again. Readers who may not act do not see it. Two buttons that
 * replace each other need keys, so that the second is not the first with another label, which may have the focus. */
export function Act({ label, of, act }: ActProps) {
  const [isBusy, setBusy] = useState(false);
  if (!useMayAct()) return null;
  const onClick = async ({ detail }: MouseEvent) => {
    // The second click of a double click may hit the button that replaced the first one.
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

/** A button that asks for confirmation before it does what cannot be undone. */
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

/** Shows the result of the last request at the edge of the window, wherever the reader has scrolled to. */
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
 * If the element with the focus is removed, the focus moves to the link in its row, or else to the heading. The component that draws both must
 * call this.
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

/** An id; only its last part is shown if there is little room. */
export function TaskLink({ taskId }: { taskId: string }) {
  const last = taskId.lastIndexOf('-') + 1;
  return <a class="id" href={taskHref(taskId)}><span class="wide">{taskId.slice(0, last)}</span><span>{taskId.slice(last)}</span></a>;
}

/** A time in words, with the exact time as its title. */
export function Time({ of, isFuture = false }: { of: string; isFuture?: boolean }) {
  return <time dateTime={of} title={at(of)}>{isFuture ? fromNow(of) : ago(of)}</time>;
}

/** Names with their descriptions; those without any are left out. */
export function Facts({ of }: { of: Record<string, ComponentChildren> }) {
  const told = Object.entries(of).filter(([, fact]) => fact !== null && fact !== undefined && fact !== '' && fact !== false);
  return <dl>{told.map(([name, fact]) => [<dt key={`${name}:`}>{name}</dt>, <dd key={name}>{fact}</dd>])}</dl>;
}

const SHOWN_CHARACTERS = 20_000;

/** A text from a task: unchanged, or only its beginning if it is long. */
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

/** JSON with indentation; if it is nested too deeply for that it stays on one line, or is not shown. */
export function prettyJson(value: unknown): string {
  for (const indent of [2, 0]) {
    try {
      return JSON.stringify(value, null, indent) ?? '';
    } catch {
      // It is deeper than the browser's stack.
    }
  }
  return 'It is nested too deeply to be shown here.';
}

export function Loading() {
  return <p class="quiet">Loading…</p>;
}

/** The title of a view, which gets the focus when the reader opens it. */
export function ViewTitle({ children, name }: { children: ComponentChildren; name: string }) {
  useLayoutEffect(() => { // together with the heading, which a screen reader reads after it
    document.title = `${name} · Task runner`;
  }, [name]);
  return <h2 id="view-title" tabIndex={-1}>{children}</h2>;
}
