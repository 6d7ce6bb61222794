/** What the API reports about the deployment. Only the stack's settings can change it. */

import type { Role, Stats } from './answers.d.ts';
import { api, role, type Handlers } from './api.ts';
import { Facts, Loading, Panel, ViewTitle } from './parts.tsx';
import { freshFor_ms, SLOW_POLL_MS, usePolled } from './poll.ts';
import { useStore } from './store.ts';
import { at, count, counted, megabytes, part } from './words.ts';

interface Told {
  stats: Stats;
  version: string | null;
  apiVersion: string;
  handlers: Handlers;
}

const MAY: Record<Role, string> = { submit: 'submit tasks', read: 'look, and not act', operate: 'do everything' };

async function load(): Promise<readonly [Told, number]> {
  const [stats, { version }, apiVersion, handlers] = await Promise.all([api.stats(), api.health(), api.apiVersion(), api.handlers()]);
  return [{ stats, version, apiVersion, handlers }, Math.max(SLOW_POLL_MS, freshFor_ms(stats))];
}

export function Settings() {
  const told = usePolled('settings', load);
  return (
    <>
      <ViewTitle name="Settings">Settings</ViewTitle>
      <p class="quiet">What is deployed. To change it, change the settings of the stack (Pulumi.NAME.yaml) and deploy.</p>
      {told ? <Deployed {...told} /> : <Loading />}
    </>
  );
}

function Deployed({ stats, version, apiVersion, handlers }: Told) {
  const mine = useStore(role);
  const { counted: { tasks, since, complete }, databases, former, objects, sweeper, asOf } = stats;
  return (
    <>
      <Panel title="This deployment">
        <Facts
          of={{
            Address: location.origin,
            'Version of the Worker': version ?? 'not told',
            'Version of the API': <a href="/openapi.json">{apiVersion}</a>,
            'Your role': mine && `${mine}: you may ${MAY[mine]}`,
            'Engine': stats.queue ? 'queue' : 'workflow, or a queue that does not answer',
            Counted: `${counted(tasks, 'task')}${since ? ` since ${at(since)}` : ''}${complete ? '' : '; there are more'}${asOf ? `, as of ${at(asOf)}` : ''}`,
            'The sweeper has': `deleted ${count(sweeper.expired)} expired tasks, sent ${count(sweeper.resent)} again, taken ${count(sweeper.returned)} back, failed ${count(sweeper.failed)}`,
          }}
        />
      </Panel>
      {databases.length > 0 && (
        <Panel title="Databases">
          <Facts of={Object.fromEntries(databases.map(({ name, bytes, limitBytes, used }) => [name, <><meter value={used} high={0.8} aria-label={`How full ${name} is`} /> {megabytes(bytes)} of {megabytes(limitBytes)} ({part(used)})</>]))} />
        </Panel>
      )}
      {objects.length > 0 && <Panel title="Durable Objects, and the version that each runs"><Facts of={Object.fromEntries(objects.map((each) => [each.name, each.version ?? 'not told']))} /></Panel>}
      {former.length > 0 && <Panel title="Stores of earlier deployments"><Facts of={Object.fromEntries(former.map(({ store, counts }) => [store, counted(Object.values(counts).reduce((sum, each) => sum + each, 0), 'task')]))} /></Panel>}
      <Panel title="Handlers">
        <Facts of={Object.fromEntries(Object.entries(handlers).map(([name, parameters]) => [name, <Parameters key={name} of={parameters} />]))} />
      </Panel>
    </>
  );
}

function Parameters({ of }: { of: Handlers[string] }) {
  const names = Object.entries(of);
  return names.length === 0 ? <>takes no parameters</> : <ul>{names.map(([name, what]) => <li key={name}><code>{name}</code> {what}</li>)}</ul>;
}
