/** The API's JSON as JSON Schema (2020-12, the dialect of OpenAPI 3.1). */

import { ALLOWED } from '../actions.js';
import { ALERT_NAMES } from '../alerts.js';
import { ENDS } from '../callback.js';
import { LETTER_STATES } from '../dead_letter.js';
import { MAX_LETTERS } from '../dead_letter_queue.js';
import { MAX_AFTER, START_WHEN } from '../dependencies.js';
import { MAX_DELAY_SECONDS, MAX_RETRIES, MAX_TTL_SECONDS, MIN_TTL_SECONDS, STATUSES, TASK_TTL_SECONDS } from '../task.js';
import { RANGE_NAMES } from '../stores/history.js';
import { KEPT_ATTEMPTS, KEPT_LINES, LINE_LENGTH } from '../story.js';
import { TASK_ID } from '../task_id.js';
import { ROLES } from './access.js';
import { ACTS, MAX_IDS } from './actions.js';
import { LETTER_ID, MAX_BODY_LENGTH } from './dead_letters.js';
import { MAX_BATCH_TASKS } from './batches.js';
import { CURSOR, HANDLER_NAME } from './task.js';
import { STATUS_OF_CODE } from './reply.js';
import { GROUP_KEY, GROUP_KEY_IN_WORDS } from '../group.js';
import { MAX_TAGS, MAX_TAGS_LENGTH, TAG_KEY, TAG_KEY_IN_WORDS, TAG_VALUE, TAG_VALUE_IN_WORDS } from '../tags.js';
import { PRIORITIES } from '../priority.js';
import { IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS, REPLACEABLE } from './submission.js';
import { EVERY_SECONDS, MAX_SCHEDULES, MISSED, MISSED_IN_WORDS, OVERLAPS, SCHEDULE_NAME } from './schedules.js';

/** @import { Code } from './reply.js' */

/** @typedef {Readonly<Record<string, any>>} Schema */

/** @param {string} name the name of a component */
export const schemaOf = (name) => ({ $ref: `#/components/schemas/${name}` });

/** @type {Schema} */
export const TASK_ID_SCHEMA = { type: 'string', pattern: TASK_ID.source, description: 'A UUID of version 7: ids sort by age.' };

/** @type {Schema} */
export const STATUS_SCHEMA = { type: 'string', enum: STATUSES };

/** @type {Schema} */
export const HANDLER_SCHEMA = { type: 'string', pattern: HANDLER_NAME.source };

/** @type {Schema} */
export const CURSOR_SCHEMA = { type: 'string', pattern: CURSOR.source, description: 'From the list before; it asks for the tasks after that list.' };

/** @type {Schema} */
export const IDEMPOTENCY_KEY_SCHEMA = {
  type: 'string', pattern: IDEMPOTENCY_KEY.source,
  description: `${IDEMPOTENCY_KEY_IN_WORDS}: the same key with the same task gives the first task again, for as long as that is kept.`,
};

/** @type {Schema} */
export const GROUP_SCHEMA = {
  type: 'string', pattern: GROUP_KEY.source,
  description: `${GROUP_KEY_IN_WORDS}: the tasks of a group share the limits of their handler, or of the stack; what is over a limit waits. The handler's where it is not given.`,
};

const ACT_IN_WORDS = { cancel: 'Unfinished tasks are cancelled.', retry: 'Failed and cancelled tasks run again.', delete: 'Tasks that have ended are deleted for good.' };

const TAG_RULES = `A key is ${TAG_KEY_IN_WORDS}; a value is ${TAG_VALUE_IN_WORDS}; all of a task have at most ${MAX_TAGS_LENGTH} characters together.`;

/** @type {Schema} */
const TAGS_SCHEMA = {
  type: 'object', propertyNames: { pattern: TAG_KEY.source }, additionalProperties: { type: 'string', pattern: TAG_VALUE.source }, maxProperties: MAX_TAGS,
  description: `What tasks are found by. ${TAG_RULES}`,
};

/** The schema of a tag in a query, where each tag is a parameter of its own. @type {Schema} */
export const TAG_SCHEMA = {
  type: 'array', uniqueItems: true, items: { type: 'string', pattern: `${TAG_KEY.source.slice(0, -1)}:${TAG_VALUE.source.slice(1)}` }, maxItems: MAX_TAGS,
};

/** @type {Schema} */
export const NEW_TAG_SCHEMA = { ...TAG_SCHEMA, description: `A tag such as \`customer:acme\`, by which tasks are found; may come several times. ${TAG_RULES}` };

/** @type {Schema} */
export const PRIORITY_SCHEMA = {
  enum: PRIORITIES,
  description: 'Which queue carries it: high and low have queues of their own in a stack whose setting `priorities` is true, and are refused in another one. The handler\'s where it is not given, else `normal`.',
};

/** @type {Schema} */
export const REPLACE_SCHEMA = {
  const: REPLACEABLE,
  description: 'The task with this idempotency key that has not started yet becomes this one, and its delay begins anew; where that has started, this is a new task, which the key stands for from then on.',
};

/** @type {Schema} */
export const DELAY_SCHEMA = wholeNumber([0, MAX_DELAY_SECONDS], "Seconds before the first attempt; the stack's setting where it is not given.");

/** @type {Schema} */
export const TTL_SCHEMA = wholeNumber([MIN_TTL_SECONDS, MAX_TTL_SECONDS], 'Seconds for which the task is kept, from the end of its delay.', TASK_TTL_SECONDS);

/** @type {Schema} */
export const RETRIES_SCHEMA = wholeNumber([0, MAX_RETRIES], "Retries after the first attempt; the stack's setting where it is not given.");

/** @type {Schema} */
export const CALLBACK_URL_SCHEMA = {
  type: 'string',
  description: "Where it is told that the task has ended, at a host of the setting `http_allowed_hosts`; the handler's or the stack's where it is not given, none where it is empty.",
};

/** @type {Schema} */
export const ENDS_SCHEMA = {
  type: 'array', items: { type: 'string', enum: ENDS }, minItems: 1, uniqueItems: true, description: 'Which ends are told; all where it is not given.',
};

/** @type {Schema} */
export const AFTER_SCHEMA = {
  type: 'array', items: TASK_ID_SCHEMA, minItems: 1, maxItems: MAX_AFTER, uniqueItems: true, description: 'The tasks after which it starts. Not with the state store `kv`.',
};

/** @type {Schema} */
export const START_WHEN_SCHEMA = {
  type: 'string', enum: START_WHEN, default: 'completed',
  description: 'When all of those have completed, or have ended in any way. With `completed`, one that fails or is cancelled cancels this task.',
};

const TIME = { type: 'string', format: 'date-time' };
const COUNT = { type: 'integer', minimum: 0 };
const PERCENT = { type: 'number', minimum: 0, maximum: 100 };

/** @type {Schema} */
export const SCHEDULE_NAME_SCHEMA = { type: 'string', pattern: SCHEDULE_NAME.source };

const CRON = { type: 'string', description: 'Five fields: minute, hour, day, month, weekday.' };
const TIMEZONE = { type: 'string', default: 'UTC', description: 'Of the cron expression: an IANA time zone such as Europe/Berlin.' };
const EVERY = wholeNumber(EVERY_SECONDS, 'In place of cron: the ticks are its multiples since 1970.');
const OVERLAP = { type: 'string', enum: OVERLAPS, default: 'skip', description: 'Whether a tick is left out while the task of the last one has not ended.' };
const MISSED_SCHEMA = { type: 'string', enum: MISSED, default: 'last', description: MISSED_IN_WORDS };

const SUMMARY = {
  taskId: TASK_ID_SCHEMA,
  status: STATUS_SCHEMA,
  handler: HANDLER_SCHEMA,
  run: { type: 'integer', minimum: 1, description: '1 for the first; each retry by hand and each redrive is another one.' },
  attempts: { ...COUNT, description: 'Of this run.' },
  crashes: { ...COUNT, description: 'Attempts of this run whose isolate died: of CPU time, of memory, or with its machine.' },
  maxRetries: COUNT,
  progress: orNull(object({ percent: PERCENT, note: orNull({ type: 'string' }) })),
  error: {
    ...orNull(object({ name: { type: 'string' }, message: { type: 'string', description: 'With its code, causes and parts, up to 1,000 characters.' } })),
    description: 'Of the last attempt that failed.',
  },
  createdAt: TIME,
  startedAt: orNull(TIME),
  finishedAt: orNull(TIME),
  group: { ...orNull({ type: 'string' }), description: 'The key of its group, whose limits hold for it.' },
  priority: { enum: PRIORITIES, description: 'Which queue carries it.' },
  waitingFor: { enum: ['group', null], description: 'What a pending task is held for: `group` until it has its turn in its group.' },
  tags: { ...TAGS_SCHEMA, description: 'By which it is found.' },
  nextAttemptAt: { ...orNull(TIME), description: 'When a pending task is due that waits for its delay or its backoff.' },
  expiresAt: { ...orNull(TIME), description: 'Null while the task is held: its time to live counts from its release.' },
};

const NO_QUEUE = 'Null with workflows, and while the queue does not answer.';
const BACKLOG = { backlog: COUNT, oldestAgeSeconds: orNull(COUNT) };
const COUNTS = object(Object.fromEntries(STATUSES.map((status) => [status, COUNT])));
const MINUTE = object({ minute: TIME, submitted: COUNT, completed: COUNT, failed: COUNT, cancelled: COUNT });
const LATENCY = { type: 'number', minimum: 0 };
const PERCENTILES = orNull(object({ samples: COUNT, p50: LATENCY, p95: LATENCY, p99: LATENCY }));
const COARSE_LATENCY = { ...PERCENTILES, description: 'From submission to completion, of what completed in that time; exact to 11 percent; null where nothing did.' };

const RESULT = { description: 'Whatever the handler returned; null until the task has completed.' };
const RELATED_TASKS = {
  callback: {
    ...orNull(object({
      taskId: { ...orNull(TASK_ID_SCHEMA), description: 'The task that tells of this end; null until there is one to tell.' },
      url: { type: 'string', description: 'The origin alone, for the rest may be a secret.' },
      on: ENDS_SCHEMA,
      status: orNull(STATUS_SCHEMA),
    })),
    description: 'Where it is told that the task has ended.',
  },
  parent: { ...orNull(TASK_ID_SCHEMA), description: 'Of a callback: the task that it tells of; of a task that a handler submitted: that of the handler.' },
  after: {
    ...orNull(object({
      taskIds: AFTER_SCHEMA, startWhen: START_WHEN_SCHEMA,
      waitsFor: { type: 'array', items: TASK_ID_SCHEMA, description: 'Those of them that have not ended; the task is held until there are none.' },
    })),
    description: 'After which tasks it starts.',
  },
};

/** The fields of a task that is part of something else, as in `OWN_FIELDS` of `batches.js`. @type {Record<string, Schema>} */
const OWN_FIELDS = {
  payload: { description: 'A text as it is, anything else as its JSON; {} where there is none.' },
  payloadBase64: { type: 'string', contentEncoding: 'base64', description: 'The bytes of the payload, in place of `payload`.' },
  handler: { ...HANDLER_SCHEMA, default: 'default' },
  parameters: { type: 'object', additionalProperties: { type: 'string' }, description: "The handler's own." },
  delaySeconds: DELAY_SCHEMA,
  ttlSeconds: TTL_SCHEMA,
  maxRetries: RETRIES_SCHEMA,
  group: GROUP_SCHEMA,
  tags: TAGS_SCHEMA,
  priority: PRIORITY_SCHEMA,
  callbackUrl: CALLBACK_URL_SCHEMA,
  on: ENDS_SCHEMA,
};

const LETTER_IDS = {
  type: 'object', required: ['ids'], additionalProperties: false,
  properties: { ids: { type: 'array', items: { type: 'string', pattern: LETTER_ID.source }, minItems: 1, maxItems: MAX_LETTERS } },
};
const all = (/** @type {string} */ name, /** @type {string} */ description) => ({
  type: 'object', required: [name], additionalProperties: false, properties: { [name]: { const: true, description } },
});
const EXAMPLE_LETTER_ID = '2f5a1c0d9be84e6fa0c3d7b1e4926f58';
const LEFT = {
  missing: { ...COUNT, description: 'How many of the ids it did not come across: somebody else has them in hand, or they are gone.' },
  more: { type: 'boolean', description: `Whether there are letters that it has not come to: a call looks at ${MAX_LETTERS}.` },
};

const ONE_PAYLOAD = { type: 'object', additionalProperties: false, not: { required: ['payload', 'payloadBase64'] } };

/** @type {Record<string, Schema>} */
export const SCHEMAS = {
  Health: object({ status: { const: 'ok' }, version: { ...orNull({ type: 'string' }), description: 'The id of the version of the Worker that answers.' } }),
  Accepted: accepted({}),
  TaskSummary: object(SUMMARY),
  Task: {
    ...object({ ...SUMMARY, result: RESULT, ...RELATED_TASKS }),
    properties: {
      ...SUMMARY, result: RESULT,
      ...RELATED_TASKS,
      steps: { type: 'array', items: schemaOf('Step'), description: 'Of a task whose handler has steps, where one task is asked for.' },
    },
  },
  EventReceipt: object({
    taskId: TASK_ID_SCHEMA, event: { type: 'string' },
    isNew: { type: 'boolean', description: 'Whether it is the first event of its name; only that counts.' },
  }),
  Step: object({
    name: { type: 'string' }, kind: { enum: ['step', 'sleep', 'event'] },
    status: { enum: ['waiting', 'completed', 'failed'] }, attempts: COUNT, error: SUMMARY.error,
    startedAt: TIME, finishedAt: orNull(TIME), dueAt: { ...orNull(TIME), description: 'When a step that waits goes on by itself.' },
  }),
  TaskAttempts: object({ taskId: TASK_ID_SCHEMA, status: STATUS_SCHEMA, attempts: { type: 'array', items: schemaOf('Attempt'), description: `Oldest first. Up to ${KEPT_ATTEMPTS} that have ended are kept, of all runs.` } }),
  Attempt: object({
    run: { type: 'integer', minimum: 1 }, attempt: { type: 'integer', minimum: 1, description: 'Within its run.' },
    outcome: { enum: ['running', 'waiting', 'completed', 'failed', 'crashed', 'cancelled'], description: '`waiting`: its steps wait; `crashed`: its isolate died.' },
    startedAt: orNull(TIME), endedAt: { ...orNull(TIME), description: 'Null while it runs, and of a crash.' },
    error: orNull(schemaOf('Failure')),
    log: { type: 'array', maxItems: KEPT_LINES, items: schemaOf('LogLine'), description: 'The last lines of `context.log`.' },
    logDropped: { ...COUNT, description: 'How many lines came before them.' },
  }),
  Failure: object({
    name: { type: 'string' }, message: { type: 'string' }, stack: { ...orNull({ type: 'string' }), description: 'The calls, one a line.' },
    cause: orNull(schemaOf('Failure')),
  }),
  LogLine: object({
    at: TIME, level: { enum: ['debug', 'info', 'warn', 'error'] }, message: { type: 'string' },
    fields: { ...orNull({ type: 'string' }), description: `JSON, cut at ${LINE_LENGTH} characters.` },
  }),
  TaskParameters: object({ taskId: TASK_ID_SCHEMA, handler: HANDLER_SCHEMA, parameters: { type: 'object', additionalProperties: { type: 'string' } } }),
  TaskList: object({ tasks: { type: 'array', items: schemaOf('TaskSummary') }, cursor: orNull(CURSOR_SCHEMA) }),
  NewTask: {
    ...ONE_PAYLOAD,
    properties: {
      ...OWN_FIELDS,
      idempotencyKey: IDEMPOTENCY_KEY_SCHEMA,
      replace: REPLACE_SCHEMA,
      after: AFTER_SCHEMA,
      startWhen: START_WHEN_SCHEMA,
    },
  },
  NewTasks: {
    type: 'object',
    required: ['tasks'],
    properties: {
      tasks: { type: 'array', minItems: 1, maxItems: MAX_BATCH_TASKS, items: schemaOf('NewTask') },
      then: {
        ...ONE_PAYLOAD,
        properties: OWN_FIELDS,
        description: 'A task that starts when all others have ended. With it either all tasks are accepted or none. Not with the state store `kv`.',
      },
      startWhen: START_WHEN_SCHEMA,
    },
    dependentRequired: { startWhen: ['then'] },
    additionalProperties: false,
  },
  BatchReply: {
    type: 'object',
    required: ['tasks'],
    properties: {
      batchId: { ...TASK_ID_SCHEMA, description: 'With `then`: the id of that task.' },
      tasks: {
        type: 'array',
        description: 'One each, in the order of the request.',
        items: {
          oneOf: [
            accepted({ httpStatus: { const: 200 } }),
            object({ httpStatus: { enum: [400, 409, 413, 500, 503, 507] }, error: { type: 'string' }, code: { type: 'string' } }),
          ],
        },
      },
    },
  },
  Batch: object({
    batchId: TASK_ID_SCHEMA,
    startWhen: START_WHEN_SCHEMA,
    counts: object({ ...Object.fromEntries(STATUSES.map((status) => [status, COUNT])), expired: { ...COUNT, description: 'Those that are no longer there.' } }),
    tasks: { type: 'array', items: object({ taskId: TASK_ID_SCHEMA, status: { ...orNull(STATUS_SCHEMA), description: 'Null when it is no longer there.' } }) },
    then: { ...schemaOf('TaskSummary'), description: 'The task that starts after them.' },
  }),
  NewSchedule: {
    type: 'object',
    additionalProperties: false,
    oneOf: [{ required: ['cron'] }, { required: ['everySeconds'] }],
    properties: {
      cron: CRON,
      timezone: TIMEZONE,
      everySeconds: EVERY,
      overlap: OVERLAP,
      missed: MISSED_SCHEMA,
      ...OWN_FIELDS,
    },
  },
  Schedule: object({
    name: SCHEDULE_NAME_SCHEMA,
    owner: { enum: ['api', 'stack'], description: 'Who made it: one of the stack is changed by its settings alone.' },
    cron: orNull(CRON),
    timezone: TIMEZONE,
    everySeconds: orNull(EVERY),
    overlap: OVERLAP,
    missed: MISSED_SCHEMA,
    paused: { type: 'boolean' },
    handler: HANDLER_SCHEMA,
    delaySeconds: DELAY_SCHEMA,
    ttlSeconds: orNull(TTL_SCHEMA),
    maxRetries: orNull(RETRIES_SCHEMA),
    group: orNull(GROUP_SCHEMA),
    tags: TAGS_SCHEMA,
    priority: PRIORITY_SCHEMA,
    callbackUrl: { ...orNull({ type: 'string' }), description: 'The origin alone, for the rest may be a secret.' },
    nextRuns: { type: 'array', items: TIME, description: 'None while it is paused.' },
    lastRuns: { type: 'array', items: object({ taskId: TASK_ID_SCHEMA, scheduledAt: TIME }), description: 'Up to ten, newest first.' },
  }),
  Schedules: object({
    schedules: { type: 'array', items: schemaOf('Schedule'), maxItems: MAX_SCHEDULES },
    refused: {
      type: 'array', items: object({ name: { type: 'string' }, error: { type: 'string' } }),
      description: 'Schedules of the stack that the Worker does not take, and why: what there was of the name is as it was.',
    },
  }),
  Pauses: object({
    pauses: {
      type: 'array', items: schemaOf('Pause'),
      description: 'With `kv` an isolate goes by what it read up to a minute ago.',
    },
  }),
  Pause: object({ handler: { ...orNull(HANDLER_SCHEMA), description: 'Null: every handler.' }, since: TIME }),
  NewAction: {
    oneOf: ACTS.map((action) => ({
      type: 'object',
      required: ['action', 'filter'],
      additionalProperties: false,
      properties: {
        action: { const: action, description: ACT_IN_WORDS[action] },
        filter: {
          type: 'object', additionalProperties: false, minProperties: 1,
          properties: {
            status: { enum: ALLOWED[action] }, handler: HANDLER_SCHEMA, createdAfter: TIME,
            tags: { ...TAGS_SCHEMA, minProperties: 1, description: 'Those that have all of these tags.' },
            createdBefore: { ...TIME, description: 'Where it is not given, the moment of the request.' },
            ids: { type: 'array', items: TASK_ID_SCHEMA, minItems: 1, maxItems: MAX_IDS },
          },
          description: 'All that fit everything that is given, of those whose status allows the action.',
        },
        dryRun: { type: 'boolean', default: false, description: 'Counts alone.' },
      },
    })),
  },
  Action: object({
    id: { type: 'string', format: 'uuid' },
    action: { enum: ACTS },
    filter: object({ status: orNull(STATUS_SCHEMA), handler: orNull(HANDLER_SCHEMA), tags: orNull(TAGS_SCHEMA), createdAfter: orNull(TIME), createdBefore: orNull(TIME), ids: orNull({ type: 'array', items: TASK_ID_SCHEMA }) }),
    dryRun: { type: 'boolean' },
    state: { enum: ['running', 'completed', 'stopped'] },
    matched: { ...COUNT, description: 'Tasks so far that the filter names and whose status allows the action.' },
    done: COUNT,
    skipped: { ...COUNT, description: 'Tasks that have moved on meanwhile.' },
    createdAt: TIME,
    finishedAt: orNull(TIME),
  }),
  Actions: object({ actions: { type: 'array', items: schemaOf('Action') } }),
  DeadLetters: object({
    total: { ...COUNT, description: 'How many there are, as Cloudflare counts them: a moment old.' },
    deadLetters: { type: 'array', items: schemaOf('DeadLetter'), maxItems: MAX_LETTERS },
  }),
  DeadLetter: {
    ...object({
      letterId: { type: 'string', description: "Cloudflare's own." },
      state: {
        enum: LETTER_STATES,
        description: '`failed`: its task failed in that run, and a redrive runs it again. `stale`: its task has ended otherwise, or has begun a later run. '
          + '`unfinished`: its task has not ended yet. `gone`: its task has expired. `malformed`: it names no task.',
      },
      attempts: { ...COUNT, description: 'How often it was pulled: `dlq_max_retries` says how often it can be.' },
      sentAt: TIME,
      contentType: { type: 'string' },
      taskId: { ...orNull({ type: 'string' }), description: 'Null of one that names no task.' },
      run: { ...orNull({ type: 'integer', minimum: 1 }), description: 'The run of its task that failed.' },
      task: {
        ...orNull(object({ status: STATUS_SCHEMA, run: SUMMARY.run, handler: HANDLER_SCHEMA, error: SUMMARY.error })),
        description: 'As it is now; null where it is not there.',
      },
      body: { ...orNull({ type: 'string' }), description: `The first ${MAX_BODY_LENGTH} characters of one that names no task, for the role operate.` },
    }),
    examples: [{
      letterId: EXAMPLE_LETTER_ID, state: 'failed', attempts: 0, sentAt: '2026-11-30T09:00:00.000Z', contentType: 'json',
      taskId: '01a2044f-5f0e-7c53-a1d6-000000000001', run: 1,
      task: { status: 'failed', run: 1, handler: 'resize', error: { name: 'RangeError', message: 'no such picture' } }, body: null,
    }],
  },
  RedriveSelection: {
    anyOf: [LETTER_IDS, all('all', 'All whose tasks have failed.')], examples: [{ ids: [EXAMPLE_LETTER_ID] }, { all: true }],
  },
  PurgeSelection: {
    anyOf: [LETTER_IDS, all('stale', 'Those that are `stale` or `gone`.'), all('all', 'All there are, however many.')],
    examples: [{ ids: [EXAMPLE_LETTER_ID] }, { stale: true }, { all: true }],
  },
  Redriven: object({
    redriven: { ...COUNT, description: 'Their tasks run again, and they are gone.' },
    stale: { ...COUNT, description: 'Left: their tasks have ended otherwise, or moved on.' },
    unfinished: { ...COUNT, description: 'Left: their tasks have not ended yet.' },
    gone: { ...COUNT, description: 'Left: their tasks are not there any more.' },
    malformed: { ...COUNT, description: 'Left: they name no task.' },
    repeated: { ...COUNT, description: 'Left: their tasks were redriven by another letter just now, and may have failed again.' },
    ...LEFT,
  }),
  Purged: object({ purged: COUNT, ...LEFT }),
  Alerts: object({
    url: { ...orNull({ type: 'string' }), description: 'Where they are told: the origin alone, for the rest may be a secret. Null: the stack has none.' },
    alerts: { type: 'array', items: schemaOf('Alert') },
    untold: { ...COUNT, description: 'How many posts have not arrived yet: each sweep tries again, for a day.' },
  }),
  Alert: object({
    name: { enum: ALERT_NAMES },
    state: { enum: ['ok', 'pending', 'firing'], description: '`pending`: it has reached its limit, and not for long enough yet.' },
    value: { ...orNull({ type: 'number', minimum: 0 }), description: 'Null while what would tell does not answer.' },
    limit: { type: 'number', minimum: 0, description: 'From which value on it fires.' },
    resolvesBelow: { type: 'number', minimum: 0 },
    since: { ...orNull(TIME), description: 'When it was seen to have reached its limit.' },
    firedAt: orNull(TIME),
  }),
  Statistics: withOptional({ history: { ...schemaOf('History'), description: 'Of the `range` that was asked for; not there where none was.' } }, object({
    generatedAt: TIME,
    asOf: {
      ...orNull(TIME),
      description: 'When tasks were counted: at this moment where little has changed since the sweeper counted, else when it did; null where nobody has counted yet. `queue`, `deadLetters` and `databases` are of `generatedAt`.',
    },
    freshUntil: { ...TIME, description: 'Who asks no sooner than then, all day, stays within what the Free plan allows.' },
    counts: COUNTS,
    counted: object({
      tasks: { ...COUNT, description: 'How many tasks were counted; with `kv` the newest.' },
      since: { ...orNull(TIME), description: 'When the oldest of them was submitted.' },
      complete: { type: 'boolean', description: 'Whether these are all tasks.' },
    }),
    databases: {
      type: 'array',
      items: object({
        name: { type: 'string' }, bytes: COUNT, limitBytes: { type: 'integer', minimum: 1 },
        used: { type: 'number', minimum: 0, description: 'The part of the limit that is in use; the sweeper warns from 0.8 on.' },
      }),
      description: 'How full each database or Durable Object is; none with `kv`, which has no limit.',
    },
    former: {
      type: 'array',
      items: object({ store: { type: 'string' }, counts: COUNTS, complete: { type: 'boolean' } }),
      description: 'What each store of an earlier deployment still has; empty where there is none.',
    },
    queue: {
      ...orNull(object({
        ...BACKLOG,
        priorities: { ...orNull(object(Object.fromEntries(PRIORITIES.map((priority) => [priority, object(BACKLOG)])))), description: 'Of each, where they have queues of their own.' },
      })),
      description: NO_QUEUE,
    },
    deadLetters: {
      ...orNull(object({ count: COUNT, oldestAgeSeconds: orNull(COUNT), readable: { type: 'boolean', description: 'Whether `GET /dead-letters` shows them: the setting `dead_letter_api_token`.' } })),
      description: NO_QUEUE,
    },
    recent: object({
      minutes: COUNT,
      perMinute: { type: 'array', items: MINUTE, description: 'Oldest first; the last is the present minute.' },
      latencyMs: {
        ...PERCENTILES,
        description: 'From submission to completion, of what completed in these minutes; exact to 2.5 percent.',
      },
    }),
    objects: {
      type: 'array',
      items: object({ name: { type: 'string' }, version: orNull({ type: 'string' }) }),
      description: 'Which version of the Worker each Durable Object runs; empty with other stores.',
    },
    paused: { type: 'array', items: schemaOf('Pause'), description: 'Handlers whose tasks wait.' },
    firing: { type: 'array', items: { enum: ALERT_NAMES }, description: 'Alerts of the stack that fire.' },
    sweeper: {
      ...object({ expired: COUNT, resent: COUNT, returned: COUNT, failed: COUNT }),
      description: 'Tasks that the sweeper has deleted, sent again, returned from lost consumers, and failed since the store is there.',
    },
  })),
  History: object({
    range: { enum: RANGE_NAMES },
    bucketSeconds: { type: 'integer', minimum: 1 },
    buckets: {
      type: 'array',
      items: object({
        start: TIME, submitted: COUNT, completed: COUNT, failed: COUNT, cancelled: COUNT, latencyMs: COARSE_LATENCY,
        complete: { type: 'boolean', description: 'False where it is not over, or not all that was done in it is counted.' },
      }),
      description: 'Oldest first; the last is the present one. They begin at whole multiples of their length in UTC.',
    },
    latencyMs: COARSE_LATENCY,
  }),
};

/**
 * @param {Record<string, Schema>} optional
 * @param {Schema} schema a schema of an object
 * @returns {Schema}
 */
function withOptional(optional, schema) {
  return { ...schema, properties: { ...schema['properties'], ...optional } };
}

/**
 * @param {Record<string, Schema>} properties the properties, all of which are required
 * @returns {Schema}
 */
export function object(properties) {
  return { type: 'object', required: Object.keys(properties), properties };
}

/**
 * @param {Record<string, Schema>} more
 * @returns {Schema} the reply to an accepted task
 */
function accepted(more) {
  const always = object({ ...more, taskId: TASK_ID_SCHEMA, status: STATUS_SCHEMA });
  const replaced = { const: true, description: 'There when it took the place of a task that had not started.' };
  return withOptional({ replaced }, always);
}

/**
 * @param {Schema} schema
 * @returns {Schema}
 */
function orNull(schema) {
  return { anyOf: [schema, { type: 'null' }] };
}

/**
 * @param {readonly [number, number]} range
 * @param {string} description
 * @param {number} [otherwise]
 */
export function wholeNumber([minimum, maximum], description, otherwise) {
  return { type: 'integer', minimum, maximum, description, ...(otherwise !== undefined && { default: otherwise }) };
}

const OF_BATCH = { index: { ...COUNT, description: 'Of a batch with `then`: which of its tasks is at fault, from 0.' } };

/** @type {Record<Code, {description: string, extras?: Record<string, Schema>, optional?: Record<string, Schema>, headers?: string[]}>} */
const ERRORS = {
  incomplete_body: { description: 'The body broke off.' },
  invalid_json: { description: 'The body is not JSON, and should be.' },
  invalid_parameter: {
    description: 'A parameter, header or field is unknown or out of range.',
    optional: { parameter: { type: 'string', description: 'Its name, where it is one alone.' }, ...OF_BATCH },
  },
  invalid_payload: {
    description: "The payload does not keep to the handler's schema.",
    extras: {
      errors: {
        type: 'array', items: object({ path: { type: 'string' }, message: { type: 'string' } }),
        description: 'Where, as a JSON pointer, and what is wrong there.',
      },
    },
    optional: OF_BATCH,
  },
  unknown_handler: { description: 'There is no such handler.', extras: { handlers: { type: 'array', items: { type: 'string' } } }, optional: OF_BATCH },
  unauthorized: { description: 'There is no valid API token.', headers: ['WWW-Authenticate'] },
  forbidden: { description: "The token's role does not allow it." },
  forbidden_origin: { description: 'A page of another site made the request, with a Basic password.' },
  not_found: { description: 'There is no such path.' },
  task_not_found: { description: 'There is no such task, or its time to live is over.' },
  schedule_not_found: { description: 'There is no such schedule.' },
  action_not_found: { description: 'There is no such action.' },
  dead_letters_off: { description: 'The stack does not let the Worker read its dead letters (`dead_letter_api_token`), or has none.' },
  dead_letter_token_refused: { description: 'Cloudflare does not take the token of `dead_letter_api_token`, or it lacks the permission Queues Edit.' },
  dead_letter_queue_refused: { description: 'Cloudflare refuses a request for the dead-letter queue.' },
  dead_letter_queue_unavailable: { description: "Cloudflare's API does not answer, or has had too many requests.", headers: ['Retry-After'] },
  too_many_actions: { description: 'There are as many actions at the same time as there may be.' },
  schedule_of_stack: { description: 'The schedule is declared by the stack.' },
  batch_not_found: { description: 'There is no such batch, or the time to live of the task at its end is over.' },
  too_many_schedules: { description: 'There are as many schedules as there may be.' },
  method_not_allowed: { description: 'The path does not have the method.', headers: ['Allow'] },
  idempotency_conflict: { description: 'The idempotency key stands for another task.', extras: { taskId: TASK_ID_SCHEMA }, optional: OF_BATCH },
  wrong_status: { description: "The task's status does not allow it.", extras: { status: STATUS_SCHEMA } },
  payload_not_kept: { description: 'The task has completed, and its payload was dropped then (`keep_payload`).' },
  payload_too_large: { description: 'The body is too long.', optional: OF_BATCH },
  rate_limited: { description: 'The caller has sent too many requests.', headers: ['Retry-After'] },
  handler_check_failed: { description: "The handler failed at looking at the task's parameters or payload: a fault of the handler's.", optional: OF_BATCH },
  internal_error: { description: 'A fault of the task runner itself.' },
  backlog_full: { description: 'Too many tasks wait to be handed over, and the platform takes none for now.', headers: ['Retry-After'] },
  store_unavailable: { description: 'The store did not answer.', headers: ['Retry-After'] },
  store_full: { description: 'The store has no room for new tasks.' },
};

/** A schema for each error code. @type {Record<string, Schema>} */
export const ERROR_SCHEMAS = Object.fromEntries(Object.entries(ERRORS).map(([code, { description, extras = {}, optional = {} }]) => {
  const { properties, ...schema } = object({ error: { type: 'string', description: 'A sentence for people.' }, code: { const: code }, ...extras });
  return [code, { ...schema, properties: { ...properties, ...optional }, description }];
}));

/**
 * @param {Code[]} codes
 * @returns {Record<string, object>} the responses, by HTTP status
 */
export function refusals(codes) {
  const groups = Map.groupBy(codes, (code) => STATUS_OF_CODE[code]);
  return Object.fromEntries([...groups].map(([status, group]) => [status, {
    description: group.map((code) => `\`${code}\`: ${ERRORS[code].description}`).join(' '),
    headers: headers(group.flatMap((code) => ERRORS[code].headers ?? [])),
    content: { 'application/json': { schema: { anyOf: group.map(schemaOf) } } },
  }]));
}

/** @param {string[]} names */
export function headers(names) {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** Every header that a reply may add. */
export const HEADERS = {
  Allow: { description: 'The methods that the path has.', required: true, schema: { type: 'string' } },
  'Retry-After': { description: 'Seconds after which to try again.', required: true, schema: { type: 'integer' } },
  'WWW-Authenticate': { description: 'How to send a token.', required: true, schema: { type: 'string' } },
  'Caller-Role': {
    description: 'The role of the token; `operate` where none is asked for. Not there before the token is known: with `/health`, 401 and some 429.',
    schema: { type: 'string', enum: ROLES },
  },
  'Request-Id': { description: "The request's name in the log: Cloudflare's own (CF-Ray) where there is one.", required: true, schema: { type: 'string' } },
  'Idempotent-Replayed': { description: 'There when the idempotency key had its task already.', schema: { const: 'true' } },
};
