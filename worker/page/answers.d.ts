/** The API's answers, as far as the page reads them. Times are ISO 8601. */

export type Status = 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled';
export type Priority = 'high' | 'normal' | 'low';
export type Role = 'submit' | 'read' | 'operate';

export interface TaskError {
  name: string;
  message: string;
}

export interface TaskSummary {
  taskId: string;
  status: Status;
  handler: string;
  run: number;
  attempts: number;
  crashes: number;
  maxRetries: number;
  progress: { percent: number; note: string | null } | null;
  group: string | null;
  priority: Priority;
  tags: Record<string, string>;
  waitingFor: 'group' | null;
  error: TaskError | null;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  nextAttemptAt: string | null;
  expiresAt: string | null;
}

export interface Task extends TaskSummary {
  result: unknown;
  callback: { taskId: string | null; url: string; on: string[]; status: Status | null } | null;
  parent: string | null;
  after: { taskIds: string[]; startWhen: 'completed' | 'ended'; waitsFor: string[] } | null;
  /** Only if the handler has steps. */
  steps?: Step[];
}

export interface Step {
  name: string;
  kind: 'step' | 'sleep' | 'event';
  status: 'waiting' | 'completed' | 'failed';
  attempts: number;
  error: TaskError | null;
  startedAt: string;
  finishedAt: string | null;
  dueAt: string | null;
}

export interface TaskPage {
  tasks: TaskSummary[];
  cursor: string | null;
}

export interface Failure extends TaskError {
  stack: string | null;
  cause: Failure | null;
}

export interface Attempt {
  run: number;
  attempt: number;
  outcome: 'running' | 'waiting' | 'completed' | 'failed' | 'crashed' | 'cancelled';
  startedAt: string | null;
  endedAt: string | null;
  error: Failure | null;
  log: { at: string; level: 'debug' | 'info' | 'warn' | 'error'; message: string; fields: string | null }[];
  logDropped: number;
}

export interface Attempts {
  attempts: Attempt[];
}

export interface Parameters {
  parameters: Record<string, string>;
}

export interface Batch {
  batchId: string;
  startWhen: 'completed' | 'ended';
  counts: Record<Status | 'expired', number>;
  /** `status` is null if the task is no longer stored. */
  tasks: { taskId: string; status: Status | null }[];
  then: TaskSummary;
}

export type Act = 'cancel' | 'retry' | 'delete';

/** The request for an action; fields that are missing do not restrict it. */
export interface NewAction {
  action: Act;
  filter: { status?: string; handler?: string; tags?: Record<string, string>; createdAfter?: string; createdBefore?: string; ids?: string[] };
  dryRun?: boolean;
}

export interface Action {
  id: string;
  action: Act;
  filter: { status: Status | null; handler: string | null; tags: Record<string, string> | null; createdAfter: string | null; createdBefore: string | null; ids: string[] | null };
  dryRun: boolean;
  state: 'running' | 'completed' | 'stopped';
  matched: number;
  done: number;
  skipped: number;
  createdAt: string;
  finishedAt: string | null;
}

export interface Schedule {
  name: string;
  owner: 'api' | 'stack';
  cron: string | null;
  timezone: string;
  everySeconds: number | null;
  overlap: 'skip' | 'allow';
  missed: 'skip' | 'last' | 'all';
  paused: boolean;
  handler: string;
  tags: Record<string, string>;
  priority: Priority;
  nextRuns: string[];
  lastRuns: { taskId: string; scheduledAt: string }[];
}

export interface Schedules {
  schedules: Schedule[];
  refused: { name: string; error: string }[];
}

export interface DeadLetter {
  letterId: string;
  state: 'failed' | 'stale' | 'unfinished' | 'gone' | 'malformed';
  attempts: number;
  sentAt: string;
  contentType: string;
  /** With `run`; null if the letter is malformed. */
  taskId: string | null;
  run: number | null;
  /** Null if the task does not exist. */
  task: { status: Status; run: number; handler: string; error: TaskError | null } | null;
  body: string | null;
}

export interface DeadLetters {
  total: number;
  deadLetters: DeadLetter[];
}

export type LetterSelection = { ids: string[] } | { all: true } | { stale: true };

export interface LettersLeft {
  missing: number;
  more: boolean;
}

export interface Redriven extends LettersLeft {
  redriven: number;
  stale: number;
  unfinished: number;
  gone: number;
  malformed: number;
  repeated: number;
}

/** `handler` null: all handlers. */
export interface Pauses {
  pauses: { handler: string | null; since: string }[];
}

/** The answer of `POST /tasks` for each task. */
export type Submitted = { httpStatus: 200; taskId: string; status: Status } | { httpStatus: 400 | 409 | 413 | 500 | 503 | 507; error: string; code: string };

export interface Minute {
  minute: string;
  submitted: number;
  completed: number;
  failed: number;
  cancelled: number;
}

/** Milliseconds. */
export interface Latency {
  samples: number;
  p50: number;
  p95: number;
  p99: number;
}

/** `queue` and `deadLetters` are null for an engine without queues. */
export interface Stats {
  generatedAt: string;
  /** When tasks were counted; null: not yet. */
  asOf: string | null;
  /** A page that asks no sooner stays within the Free plan. */
  freshUntil: string;
  counts: Record<Status, number>;
  counted: { tasks: number; since: string | null; complete: boolean };
  former: { store: string; counts: Record<Status, number>; complete: boolean }[];
  databases: { name: string; bytes: number; limitBytes: number; used: number }[];
  queue: { backlog: number; oldestAgeSeconds: number | null; priorities: Record<Priority, { backlog: number }> | null } | null;
  deadLetters: { count: number; oldestAgeSeconds: number | null; readable?: boolean } | null;
  recent: { minutes: number; perMinute: Minute[]; latencyMs: Latency | null };
  /** The alerts of the stack that fire. */
  firing: string[];
  /** The paused handlers. */
  paused: Pauses['pauses'];
  objects: { name: string; version: string | null }[];
  sweeper: { expired: number; resent: number; returned: number; failed: number };
  /** If one was requested. */
  history?: History;
}

export type Range = 'hour' | 'day' | 'week';

/** The oldest first. */
export interface History {
  range: Range;
  bucketSeconds: number;
  buckets: Bucket[];
  latencyMs: Latency | null;
}

/** Not `complete`: its time is not over, or not everything is counted. */
export interface Bucket {
  start: string;
  submitted: number;
  completed: number;
  failed: number;
  cancelled: number;
  latencyMs: Latency | null;
  complete: boolean;
}

export interface Health {
  version: string | null;
}

/** The part of `GET /openapi.json` that the page reads. */
export interface Description {
  info: { version: string };
  paths: { '/task': { post: { parameters: { name: string; schema: { enum?: string[]; description?: string } }[] } } };
}
