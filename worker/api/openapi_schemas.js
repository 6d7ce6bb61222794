/** What the API's JSON is made of, as JSON Schema (2020-12, which is OpenAPI 3.1's). */

import {
  MAX_DELAY_SECONDS, MAX_RETRIES, MAX_TTL_SECONDS, MIN_TTL_SECONDS, STATUSES, TASK_TTL_SECONDS,
} from '../task.js';
import { TASK_ID } from '../task_id.js';
import { MAX_BATCH_TASKS } from './batch.js';
import { CURSOR, HANDLER_NAME } from './list.js';
import { IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_IN_WORDS } from './new_task.js';

/** @typedef {Readonly<Record<string, any>>} Schema */

/** @param {string} name of a component */
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
export const DELAY_SCHEMA = wholeNumber([0, MAX_DELAY_SECONDS], "Seconds before the first attempt; the stack's setting where it is not given.");

/** @type {Schema} */
export const TTL_SCHEMA = wholeNumber([MIN_TTL_SECONDS, MAX_TTL_SECONDS], 'Seconds for which the task is kept, from the end of its delay.', TASK_TTL_SECONDS);

/** @type {Schema} */
export const RETRIES_SCHEMA = wholeNumber([0, MAX_RETRIES], "Retries after the first attempt; the stack's setting where it is not given.");

const TIME = { type: 'string', format: 'date-time' };
const COUNT = { type: 'integer', minimum: 0 };
const PERCENT = { type: 'number', minimum: 0, maximum: 100 };

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
  nextAttemptAt: { ...orNull(TIME), description: 'When a pending task is due that waits for its delay or its backoff.' },
  expiresAt: TIME,
};

const NO_QUEUE = 'Null with workflows, and while the queue does not answer.';
const COUNTS = object(Object.fromEntries(STATUSES.map((status) => [status, COUNT])));
const MINUTE = object({ minute: TIME, submitted: COUNT, completed: COUNT, failed: COUNT, cancelled: COUNT });
const LATENCY = { type: 'number', minimum: 0 };

/** @type {Record<string, Schema>} */
export const SCHEMAS = {
  Health: object({ status: { const: 'ok' } }),
  Accepted: object({ taskId: TASK_ID_SCHEMA, status: STATUS_SCHEMA }),
  TaskSummary: object(SUMMARY),
  Task: object({ ...SUMMARY, result: { description: 'Whatever the handler returned; null until the task has completed.' } }),
  TaskList: object({ tasks: { type: 'array', items: schemaOf('TaskSummary') }, cursor: orNull(CURSOR_SCHEMA) }),
  NewTask: {
    type: 'object',
    additionalProperties: false,
    not: { required: ['payload', 'payloadBase64'] },
    properties: {
      payload: { description: 'A text as it is, anything else as its JSON; {} where there is none.' },
      payloadBase64: { type: 'string', contentEncoding: 'base64', description: 'The bytes of the payload, in place of `payload`.' },
      handler: { ...HANDLER_SCHEMA, default: 'default' },
      parameters: { type: 'object', additionalProperties: { type: 'string' }, description: "The handler's own." },
      delaySeconds: DELAY_SCHEMA,
      ttlSeconds: TTL_SCHEMA,
      maxRetries: RETRIES_SCHEMA,
      idempotencyKey: IDEMPOTENCY_KEY_SCHEMA,
    },
  },
  NewTasks: {
    ...object({ tasks: { type: 'array', minItems: 1, maxItems: MAX_BATCH_TASKS, items: schemaOf('NewTask') } }),
    additionalProperties: false,
  },
  BatchReply: object({
    tasks: {
      type: 'array',
      description: 'One each, in the order of the request.',
      items: {
        oneOf: [
          object({ httpStatus: { const: 200 }, taskId: TASK_ID_SCHEMA, status: STATUS_SCHEMA }),
          object({ httpStatus: { enum: [400, 409, 413, 500] }, error: { type: 'string' }, code: { type: 'string' } }),
        ],
      },
    },
  }),
  Statistics: object({
    generatedAt: TIME,
    freshUntil: { ...TIME, description: 'The same answer is given until then, at least by the same isolate: it is no use to ask sooner.' },
    counts: COUNTS,
    counted: object({
      tasks: { ...COUNT, description: 'How many of the newest tasks were counted.' },
      since: orNull(TIME),
      complete: { type: 'boolean', description: 'Whether these are all tasks.' },
    }),
    former: {
      type: 'array',
      items: object({ store: { type: 'string' }, counts: COUNTS, complete: { type: 'boolean' } }),
      description: 'What each store of an earlier deployment still has; empty where there is none.',
    },
    queue: { ...orNull(object({ backlog: COUNT, oldestAgeSeconds: orNull(COUNT) })), description: NO_QUEUE },
    deadLetters: { ...orNull(object({ count: COUNT, oldestAgeSeconds: orNull(COUNT) })), description: NO_QUEUE },
    recent: object({
      minutes: COUNT,
      perMinute: { type: 'array', items: MINUTE, description: 'Oldest first; the last is the present minute.' },
      latencyMs: {
        ...orNull(object({ samples: COUNT, p50: LATENCY, p95: LATENCY, p99: LATENCY })),
        description: 'From submission to completion, of what completed in these minutes.',
      },
    }),
    sweeper: {
      ...object({ expired: COUNT, resent: COUNT, returned: COUNT, failed: COUNT }),
      description: 'Tasks that the sweeper has deleted, sent again, returned from lost consumers, and failed since the store is there.',
    },
  }),
};

/**
 * @param {Record<string, Schema>} properties all of which are always there
 * @returns {Schema}
 */
export function object(properties) {
  return { type: 'object', required: Object.keys(properties), properties };
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
