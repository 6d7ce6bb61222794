/** The page: its header, the navigation, and the view that the address names. */

import type { ComponentType } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { Actions } from './actions.tsx';
import { BatchView } from './batch.tsx';
import { DeadLetters } from './dead_letters.tsx';
import { HandlersList } from './handlers.tsx';
import { Overview } from './overview.tsx';
import { Notice, notice, useMayAct } from './parts.tsx';
import { Pauses } from './pauses.tsx';
import { connection, refresh, setHeld } from './poll.ts';
import { FIRST_VIEW, hrefOf, useRoute, type Route } from './route.ts';
import { Schedules } from './schedules.tsx';
import { Settings } from './settings.tsx';
import { useStore } from './store.ts';
import { SubmitButton } from './submit.tsx';
import { TaskView } from './task.tsx';
import { Tasks } from './tasks.tsx';
import { duration, time } from './words.ts';

/** Each view with its name in the navigation; the other views are reached from these. */
const VIEWS: Record<string, { show: ComponentType<Route>; name?: string }> = {
  [FIRST_VIEW]: { show: Overview, name: 'Overview' },
  tasks: { show: Tasks, name: 'Tasks' },
  task: { show: TaskView },
  batch: { show: BatchView },
  actions: { show: Actions, name: 'Actions' },
  schedules: { show: Schedules, name: 'Schedules' },
  pauses: { show: Pauses, name: 'Pauses' },
  'dead-letters': { show: DeadLetters, name: 'Dead letters' },
  settings: { show: Settings, name: 'Settings' },
};

export function App() {
  const route = useRoute();
  const { show: View } = VIEWS[route.view] ?? VIEWS[FIRST_VIEW]!;
  const subject = `${route.view}/${route.id}`;
  const shown = useRef(subject);
  useEffect(() => {
    if (shown.current === subject) return;
    shown.current = subject;
    notice.set('');
    document.getElementById('view-title')?.focus();
    scrollTo(0, 0);
  }, [subject]);
  return (
    <>
      <a class="skip" href="#view-title" onClick={(event) => { event.preventDefault(); document.getElementById('view-title')?.focus(); }}>Skip to the view</a>
      <header>
        <h1>Task runner <small>{location.host}</small></h1>
        <ConnectionState />
        <SubmitButton />
      </header>
      <nav aria-label="Views">
        <ul>
          {Object.entries(VIEWS).map(([view, { name }]) => name && (
            <li key={view}><a href={hrefOf(view)} aria-current={view === route.view ? 'page' : undefined}>{name}</a></li>
          ))}
        </ul>
      </nav>
      <main><View key={subject} {...route} /></main>
      <HandlersList />
      <Notice />
    </>
  );
}

function ConnectionState() {
  const { problem, wait_ms, updated_ms, isHeld } = useStore(connection);
  const mayAct = useMayAct();
  const live = isHeld ? 'Held' : updated_ms ? 'Live' : 'Loading…';
  const next = wait_ms === null ? '' : ` Next attempt in ${duration(wait_ms)}.`;
  return (
    <>
      <p id="connection" role="status" class={problem && 'bad'}>{problem ? problem + next : live}</p>
      {updated_ms !== null && !mayAct && <small id="role">you may look, not act</small>}
      <small>Updated <time>{updated_ms ? time(updated_ms) : 'never'}</time></small>
      <button type="button" onClick={() => void refresh()}>Refresh</button>
      <button type="button" aria-pressed={isHeld} onClick={() => setHeld(!isHeld)}>Hold updates</button>
    </>
  );
}
