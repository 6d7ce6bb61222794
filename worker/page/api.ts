/** The API of the page's own origin. The browser sends the credentials that it was given for the page. */

import type {
  Action, Attempts, Batch, DeadLetters, Description, Health, LetterSelection, LettersLeft, NewAction, Parameters, Pauses, Range, Redriven, Role, Schedules, Stats, Submitted, Task, TaskPage,
} from './answers.d.ts';
import { Store } from './store.ts';

const REQUEST_MS = 20_000;

/** The role of the reader's token; null before the first answer. */
export const role = new Store<Role | null>(null);

/** An error of the API, in words for the reader. */
export class ApiError extends Error {
  /** The HTTP status; 0: no answer. */
  readonly status: number;
  /** How long the API asks to wait before the next request. */
  readonly wait_ms: number;

  constructor(status: number, message: string, wait_ms = 0) {
    super(message);
    this.status = status;
    this.wait_ms = wait_ms;
  }
}

function inWords(status: number, error = 'without a reason'): string {
  if (status === 401) return 'The API refuses the token: reload the page and sign in, with an API token as the password.';
  if (status === 429) return 'The API takes no more requests with this token for now.';
  return `The API answered ${status}: ${error}.`;
}

/** Returns the answer, or null if there is no such thing. */
export async function orNone<Found>(asked: Promise<Found>): Promise<Found | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** Returns a good answer; throws an ApiError otherwise. */
async function request(path: string, init?: RequestInit): Promise<Response> {
  const reply = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(REQUEST_MS), ...init }).catch(() => {
    throw new ApiError(0, 'The API cannot be reached.');
  });
  const told = reply.headers.get('Caller-Role');
  if (told) role.set(told as Role);
  if (reply.ok) return reply;
  const body = (await reply.json().catch(() => null)) as { error?: string } | null;
  throw new ApiError(reply.status, inWords(reply.status, body?.error), 1_000 * Number(reply.headers.get('Retry-After')));
}

async function get<T>(path: string): Promise<T> {
  return answerOf(await request(path));
}

async function change<T>(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
  const json = body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  return answerOf(await request(path, { method, ...json }));
}

async function answerOf<T>(reply: Response): Promise<T> {
  return reply.json().catch(() => {
    throw new ApiError(reply.status, 'The API broke off its answer.');
  }) as Promise<T>;
}

type Query = Record<string, string | number | readonly string[] | null | undefined>;

/** Empty parameters are left out; one with several values is repeated. */
function queryOf(parameters: Query): string {
  const given = Object.entries(parameters).flatMap(([name, value]) => [value ?? []].flat().flatMap((each) => (each === '' ? [] : [[name, `${each}`]])));
  return given.length > 0 ? `?${new URLSearchParams(given)}` : '';
}

export function taskPath(taskId: string): string {
  return `/task/${encodeURIComponent(taskId)}`;
}

/** The parameters of a handler: their names and descriptions. */
export type Handlers = Record<string, Record<string, string>>;

/** Parses the description of a handler's parameter: `With \`handler=http\`: where to With \`handler=other\`: what`. */
const USE = /With `handler=([^`]+)`: ([^]*?)(?= With `handler=|$)/g;

function handlersIn({ paths }: Description): Handlers {
  const { parameters } = paths['/task'].post;
  const handlers: Handlers = {};
  for (const name of parameters.find(({ name }) => name === 'handler')?.schema.enum ?? []) handlers[name] = {};
  for (const { name, schema } of parameters) {
    if (!name.startsWith('param.')) continue;
    for (const [, handler = '', what = ''] of (schema.description ?? '').matchAll(USE)) {
      const own = handlers[handler];
      if (own) own[name.slice('param.'.length)] = what;
    }
  }
  return handlers;
}

/** They do not change until the next deployment. */
let described: Promise<Description> | undefined;

async function describe(): Promise<Description> {
  described ??= get<Description>('/openapi.json');
  described.catch(() => (described = undefined));
  return described;
}

export const api = {
  stats: (range: Range | null = null) => get<Stats>(`/stats${queryOf({ range })}`),
  metrics: async () => (await request('/metrics')).text(),
  health: () => get<Health>('/health'),
  apiVersion: async () => (await describe()).info.version,
  handlers: async () => handlersIn(await describe()),
  tasks: (query: Query) => get<TaskPage>(`/tasks${queryOf(query)}`),
  task: (taskId: string) => get<Task>(taskPath(taskId)),
  attempts: (taskId: string) => get<Attempts>(`${taskPath(taskId)}/attempts`),
  parameters: (taskId: string) => get<Parameters>(`${taskPath(taskId)}/parameters`),
  payload: async (taskId: string) => new Uint8Array(await (await request(`${taskPath(taskId)}/payload`)).arrayBuffer()),
  submit: async (task: Record<string, unknown>) => {
    const { tasks: [submitted] } = await change<{ tasks: Submitted[] }>('POST', '/tasks', { tasks: [task] });
    if (!submitted || 'error' in submitted) throw new ApiError(submitted?.httpStatus ?? 0, inWords(submitted?.httpStatus ?? 0, submitted?.error));
    return submitted.taskId;
  },
  cancel: (taskId: string) => change<Task>('DELETE', taskPath(taskId)),
  retry: (taskId: string) => change<unknown>('POST', `${taskPath(taskId)}/retry`),
  batch: (batchId: string) => get<Batch>(`/batches/${encodeURIComponent(batchId)}`),
  actions: async () => (await get<{ actions: Action[] }>('/actions')).actions,
  action: (id: string) => get<Action>(`/actions/${encodeURIComponent(id)}`),
  startAction: (action: NewAction) => change<Action>('POST', '/actions', action),
  stopAction: (id: string) => change<Action>('DELETE', `/actions/${encodeURIComponent(id)}`),
  deadLetters: () => get<DeadLetters>('/dead-letters'),
  redriveLetters: (selection: LetterSelection) => change<Redriven>('POST', '/dead-letters/redrive', selection),
  purgeLetters: (selection: LetterSelection) => change<LettersLeft & { purged: number }>('POST', '/dead-letters/purge', selection),
  schedules: () => get<Schedules>('/schedules'),
  setSchedule: (name: string, word: 'pause' | 'resume') => change<unknown>('POST', `/schedules/${encodeURIComponent(name)}/${word}`),
  pauses: async () => (await get<Pauses>('/pauses')).pauses,
  /** Null: all handlers. */
  setPause: (handler: string | null, word: 'pause' | 'resume') => (
    change<Pauses>('POST', handler === null ? `/${word}` : `/handlers/${encodeURIComponent(handler)}/${word}`)
  ),
};
