/** What the API answers, as far as the dashboard reads it. Times are ISO 8601. */

export type Status = 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled';

export interface Task {
  taskId: string;
  status: Status;
  handler: string;
  run: number;
  attempts: number;
  maxRetries: number | null;
  progress: { percent: number; note: string | null } | null;
  /** Not in lists. */
  result?: unknown;
  error: { name: string; message: string } | null;
  createdAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  nextAttemptAt: string | null;
  expiresAt: string;
}

export interface TaskPage {
  tasks: Task[];
  cursor: string | null;
}

export interface Minute {
  minute: string;
  submitted: number;
  completed: number;
  failed: number;
  cancelled: number;
}

/** Milliseconds. */
export interface Percentiles {
  p50: number;
  p95: number;
  p99: number;
}

/** `queue` and `deadLetters` are null for an engine that has none. */
export interface Stats {
  generatedAt: string;
  /** When tasks were counted; null: nobody has yet. */
  asOf: string | null;
  /** Who asks no sooner stays within the Free plan. */
  freshUntil: string;
  counts: Record<Status, number>;
  counted: { tasks: number; since: string | null; complete: boolean };
  former: { store: string; counts: Record<Status, number>; complete: boolean }[];
  databases: { name: string; bytes: number; limitBytes: number; used: number }[];
  queue: { backlog: number; oldestAgeSeconds: number | null } | null;
  deadLetters: { count: number; oldestAgeSeconds: number | null } | null;
  recent: { minutes: number; perMinute: Minute[]; latencyMs: (Percentiles & { samples: number }) | null };
  objects: { name: string; version: string | null }[];
  sweeper: { expired: number; resent: number; returned: number; failed: number };
}
