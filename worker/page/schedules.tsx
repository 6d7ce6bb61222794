/** Schedules, which submit tasks at set times. */

import type { Schedule, Schedules as Listed } from './answers.d.ts';
import { api } from './api.ts';
import { Act, Facts, Loading, Panel, Status, TaskLink, Time, ViewTitle } from './parts.tsx';
import { SLOW_POLL_MS, usePolled } from './poll.ts';
import { hrefOf } from './route.ts';
import { Tags } from './tags.tsx';
import { at, duration } from './words.ts';

const MISSED = { skip: 'are left out', last: 'one task in their place, unless the next is due', all: 'a task for each of the latest' } as const;

export function Schedules() {
  const told = usePolled('schedules', async () => [await api.schedules(), SLOW_POLL_MS] as const);
  return (
    <>
      <ViewTitle name="Schedules">Schedules</ViewTitle>
      {told ? <Told {...told} /> : <Loading />}
    </>
  );
}

function Told({ schedules, refused }: Listed) {
  return (
    <>
      {refused.map(({ name, error }) => <p key={name} class="bad">The schedule {name} of the stack is not taken: {error}</p>)}
      {schedules.length === 0 && <p class="quiet">There are none. PUT /schedules/NAME, python -m ops schedules put, or the setting schedules makes one.</p>}
      {schedules.map((schedule) => <ScheduleCard key={schedule.name} {...schedule} />)}
    </>
  );
}

function ScheduleCard({ name, owner, cron, timezone, everySeconds, overlap, missed, paused, handler, tags, priority, nextRuns, lastRuns }: Schedule) {
  const word = paused ? 'resume' : 'pause';
  return (
    <Panel title={<>{name} {paused && <Status status="paused" />}</>}>
      <Facts
        of={{
          When: cron === null ? `every ${duration(1_000 * (everySeconds ?? 0))}` : <><code>{cron}</code> in {timezone}</>,
          Handler: <a href={hrefOf('tasks', '', { handler })}>{handler}</a>,
          Priority: priority !== 'normal' && priority,
        Tags: Object.keys(tags).length > 0 && <Tags of={tags} />,
        'Next runs': nextRuns.length > 0 && nextRuns.map((next, index) => <span key={next} title={next}>{index > 0 && ' · '}{at(next)}</span>),
          'Last runs': lastRuns.length > 0 && (
            <ul class="ids">{lastRuns.map(({ taskId, scheduledAt }) => <li key={taskId}><TaskLink taskId={taskId} /> <Time of={scheduledAt} /></li>)}</ul>
          ),
          'While the last one runs': overlap === 'skip' ? 'a run is left out' : 'the next one starts',
          'Runs that were missed': MISSED[missed],
          Made: owner === 'stack' ? 'by the stack: its settings change it' : 'by the API',
        }}
      />
      <div class="buttons"><Act label={paused ? 'Resume' : 'Pause'} of={`schedule ${name}`} act={() => set(name, word)} /></div>
    </Panel>
  );
}

async function set(name: string, word: 'pause' | 'resume'): Promise<string> {
  await api.setSchedule(name, word);
  return `Schedule ${name} is ${word}d.`;
}
