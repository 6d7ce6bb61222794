/** The desired state: the body of PUT /config, and what the parts of the data plane read from it. */

import { parseCron } from './cron.js';
import { PlatformError } from './errors.js';

/**
 * @typedef {{name: string, content_type: string, sha256: string}} Module its content is a file of the state folder
 * @typedef {{type: string, name: string, [field: string]: unknown}} Binding
 * @typedef {{class_name: string, namespace_id: string, use_sqlite: boolean}} ObjectClass
 * @typedef {{
 *   site: string,
 *   run_worker_first: boolean | string[] | null,
 *   html_handling: string | null,
 *   not_found_handling: string | null,
 *   base_path: string | null,
 * }} Assets `site` is the name of a folder
 * @typedef {{
 *   id: string,
 *   main_module: string | null,
 *   compatibility_date: string,
 *   compatibility_flags: string[],
 *   modules: Module[],
 *   bindings: Binding[],
 *   service_worker?: boolean,
 *   durable_objects?: ObjectClass[],
 *   workflow_classes?: string[],
 *   tail_consumers?: {worker: string, version_id: string}[],
 *   assets?: Assets,
 * }} Version its main module is a script in the service worker syntax when `service_worker` says so, and without one it is
 *   assets alone; `durable_objects` are the classes whose objects run in it, `workflow_classes` those of Workflows, and `tail_consumers` the versions
 *   whose `tail` is told of its invocations
 * @typedef {Version & {percentage: number}} DeployedVersion
 * @typedef {{
 *   name: string,
 *   port: number,
 *   schedules: string[],
 *   tailed?: boolean,
 *   versions: DeployedVersion[],
 *   previews?: Version[],
 *   preview_hosts?: Record<string, string>,
 * }} Worker `versions` is empty when nothing is deployed; `tailed` when somebody wants to see each invocation; `previews`
 *   are versions that run beside the deployed ones, and `preview_hosts` the ids of versions, by the names they answer to
 *
 * @typedef {{
 *   dead_letter_queue_id: string | null,
 *   max_retries: number,
 *   retry_delay_seconds: number,
 *   batch_size: number,
 * }} CommonConsumer
 * @typedef {CommonConsumer & {
 *   type: 'worker',
 *   script_name: string,
 *   max_wait_time_ms: number,
 *   max_concurrency: number | null,
 * }} WorkerConsumer
 * @typedef {CommonConsumer & {type: 'http_pull', visibility_timeout_ms: number}} PullConsumer
 * @typedef {{
 *   name: string,
 *   delivery_delay_seconds: number,
 *   delivery_paused: boolean,
 *   message_retention_seconds: number,
 * }} QueueBase
 * @typedef {QueueBase & {id: string, consumer: WorkerConsumer | PullConsumer | null}} Queue
 * @typedef {{
 *   id: string,
 *   name: string,
 *   version_id: string,
 *   script_name: string,
 *   class_name: string,
 *   worker_version_id: string | null,
 *   step_limit: number | null,
 *   concurrency?: number | null,
 *   retention?: {successRetention?: number | string | null, errorRetention?: number | string | null},
 * }} Workflow `worker_version_id` is the deployed version that runs it; null when none has the class
 * @typedef {{hostname: string, worker: string}} Domain
 * @typedef {{pattern: string, worker: string | null}} Route
 * @typedef {{
 *   workers: Worker[], queues: Queue[], workflows: Workflow[], domains?: Domain[], routes?: Route[], browser_checks?: boolean,
 * }} DesiredState
 *
 * @typedef {{service: string, percentage: number}} Target a version, by the name of its service, and its share
 * @typedef {QueueBase & {consumer: (WorkerConsumer & {targets: Target[]}) | PullConsumer | null}} QueueSettings
 *   what a queue's Durable Object is told
 * @typedef {{id: string, name: string, version_id: string, active: boolean, concurrency?: number | null, retention?: Workflow['retention']}} WorkflowSettings what a workflow's is told
 */

/** @type {DesiredState} */
export const NOTHING = { workers: [], queues: [], workflows: [] };

/**
 * Checks the outline of a request body; the control plane is responsible for its details.
 *
 * @param {any} body
 * @returns {DesiredState}
 */
export function desiredState(body) {
  for (const key of ['workers', 'queues', 'workflows']) {
    if (!Array.isArray(body?.[key]))
      throw new PlatformError('bad_request', `expected ${key}: [...], got ${body?.[key]}`);
  }
  for (const { schedules } of body.workers) schedules.forEach(parseCron); // throws
  return body;
}

/**
 * Returns the name under which one version of a Worker runs.
 *
 * @param {string} workerName
 * @param {string} versionId
 */
export function serviceName(workerName, versionId) {
  return `${workerName}/${versionId}`;
}

/**
 * Returns where a Worker's invocations go.
 *
 * @param {Worker | undefined} worker
 * @returns {Target[]}
 */
export function targets(worker) {
  const versions = worker?.versions ?? [];
  return versions.map(({ id, percentage }) => ({ service: serviceName(worker?.name ?? '', id), percentage }));
}
