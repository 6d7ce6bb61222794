/**
 * Determines which Workers share a process: those that are bound to each other, by a service, by Durable Objects or as tail consumers, because such
 * bindings only work inside of one workerd. An object of ours that calls a Worker's code, such as a workflow's engine, is its guest.
 */

import { serviceName } from './desired_state.js';
import { OBJECTS_FOLDER } from './system/miniflare_internals.js';
import { guests } from './products.js';

/**
 * @import { DesiredState, Version, Worker } from './desired_state.js'
 * @import { Guest } from './products.js'
 *
 * @typedef {{
 *   workers: Worker[],
 *   guests: Guest[],
 *   signature: string,
 *   services: string[],
 *   folders: string[],
 * }} WorkerGroup `signature` is all that runs in it, and groups alike have the same one; `services` are the names of its
 *   versions, and `folders` are those of objects, in that of all resources, whose files only one process may have open
 */

/** The types of bindings that name a Worker. */
const NAMES_A_WORKER = ['service', 'durable_object_namespace'];

/**
 * @param {DesiredState} state
 * @returns {WorkerGroup[]}
 */
export function workerGroups(state) {
  const deployed = state.workers.filter((worker) => running(worker).length > 0);
  /** @type {Map<string, Set<string>>} to each Worker's name those of its group, itself among them */
  const connected = new Map(deployed.map(({ name }) => [name, new Set([name])]));
  for (const worker of deployed) for (const other of neighbours(worker)) connect(connected, worker.name, other);
  const all = guests(state);
  const alone = all.filter(({ worker }) => worker === null || !connected.has(worker));
  return [
    ...[...new Set(connected.values())].map((names) =>
      group(
        deployed.filter(({ name }) => names.has(name)),
        all.filter(({ worker }) => worker !== null && names.has(worker)),
      ),
    ),
    ...alone.map((guest) => group([], [guest])),
  ];
}

/**
 * Returns all versions of a Worker that run: the deployed ones, and those with a preview.
 *
 * @param {Worker} worker
 * @returns {Version[]}
 */
export function running({ versions, previews = [] }) {
  return [...versions.map(({ percentage: _percentage, ...version }) => version), ...previews];
}

/**
 * Returns the names of the Workers that a Worker is bound to.
 *
 * @param {Worker} worker
 */
export function neighbours(worker) {
  return running(worker).flatMap(({ bindings, tail_consumers = [] }) => [
    ...bindings.filter(({ type }) => NAMES_A_WORKER.includes(type)).map(({ worker: other }) => String(other)),
    ...tail_consumers.map(({ worker: other }) => other),
  ]);
}

/**
 * @param {Map<string, Set<string>>} connected
 * @param {string} one
 * @param {string} other
 */
function connect(connected, one, other) {
  const [larger, smaller] = [connected.get(one), connected.get(other)];
  if (!larger || !smaller || larger === smaller) return;
  for (const name of smaller) {
    larger.add(name);
    connected.set(name, larger);
  }
}

/**
 * @param {Worker[]} workers
 * @param {Guest[]} groupGuests
 * @returns {WorkerGroup}
 */
function group(workers, groupGuests) {
  const versions = workers.flatMap((worker) => running(worker));
  const namespaces = versions.flatMap(({ durable_objects = [] }) => durable_objects.map(({ namespace_id }) => namespace_id));
  return {
    workers,
    guests: groupGuests,
    // Ports, percentages and schedules are not part of a process: they change without it.
    signature: JSON.stringify([workers.map((worker) => [worker.name, running(worker)]), groupGuests]),
    services: workers.flatMap((worker) => running(worker).map(({ id }) => serviceName(worker.name, id))),
    folders: [...new Set([...namespaces.map((id) => `${OBJECTS_FOLDER}/${id}`), ...groupGuests.map(({ folder }) => folder)])],
  };
}
