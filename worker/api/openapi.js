/** `GET /openapi.json`: describes every route in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1). */

import { RANGE_NAMES } from '../stores/history.js';
import { STATUSES } from '../task.js';
import { DEFAULT_LIST_TASKS, EVENT_NAME, EVENT_STREAM, ID_PREFIX, LIST_TASKS, MAX_ERROR_TEXT_LENGTH, WAIT_SECONDS } from './task.js';
import {
  AFTER_SCHEMA, CALLBACK_URL_SCHEMA, CURSOR_SCHEMA, DELAY_SCHEMA, ENDS_SCHEMA, ERROR_SCHEMAS, GROUP_SCHEMA, HANDLER_SCHEMA, HEADERS, headers, IDEMPOTENCY_KEY_SCHEMA, NEW_TAG_SCHEMA, PRIORITY_SCHEMA, refusals,
  REPLACE_SCHEMA, RETRIES_SCHEMA, schemaOf, SCHEDULE_NAME_SCHEMA, SCHEMAS, START_WHEN_SCHEMA, STATUS_SCHEMA, TAG_SCHEMA, TASK_ID_SCHEMA, TTL_SCHEMA, wholeNumber,
} from './openapi_schemas.js';
import { LIST_LETTERS } from './dead_letters.js';
import { METRICS_TYPE } from './stats.js';
import { jsonReply } from './reply.js';
import { DEFAULT_HANDLER, PARAMETER_PREFIX, TAG } from './submission.js';

/** @import { Handlers } from '../handler.js' */
/** @import { Schema } from './openapi_schemas.js' */
/** @import { Code } from './reply.js' */
/** @import { Call } from './router.js' */

/** The error codes of every route except the open one, and those of routes that change something. @type {Code[]} */
const ANY = ['unauthorized', 'forbidden', 'rate_limited', 'internal_error', 'store_unavailable'];
/** @type {Code[]} */
const ANY_CHANGE = [...ANY, 'forbidden_origin', 'store_full'];

/** The error codes of routes that start a run, and of routes that submit tasks. @type {Code[]} */
const ANY_RUN = [...ANY_CHANGE, 'backlog_full'];
/** @type {Code[]} */
const ANY_SUBMISSION = [...ANY_RUN, 'incomplete_body', 'invalid_json', 'invalid_parameter', 'payload_too_large'];

/** The error codes of routes that ask Cloudflare about dead letters. @type {Code[]} */
const ANY_LETTERS = ['invalid_parameter', 'dead_letters_off', 'dead_letter_token_refused', 'dead_letter_queue_refused', 'dead_letter_queue_unavailable'];

/** The version of the API, not of the Worker: `docs/api.md` says what changes it. */
const API_VERSION = '1.0.0';

/** The groups of operations. */
const TAGS = {
  tasks: 'To submit tasks, follow them, cancel them and run them again.',
  schedules: 'What makes a task at each tick.',
  pauses: 'To let tasks wait.',
  actions: 'To do something to many tasks.',
  'dead-letters': 'What tasks that failed have left in the dead-letter queue, in a stack with the setting `dead_letter_api_token`.',
  statistics: 'What there is and what has happened.',
  dashboard: 'A page for people.',
  about: 'The Worker and this API.',
};

/** @typedef {keyof typeof TAGS} Tag */

const EVENTS_SCHEMA = { type: 'string', description: 'Events `task`, each with a task as JSON: at once and at each change.' };

const TASK_ID_PARAMETER = { name: 'taskId', in: 'path', required: true, schema: TASK_ID_SCHEMA };

const EVENT_NAME_PARAMETER = { name: 'name', in: 'path', required: true, schema: { type: 'string', pattern: EVENT_NAME.source } };
const ANY_HANDLER_PARAMETER = { name: 'handler', in: 'path', required: true, schema: HANDLER_SCHEMA };
const SCHEDULE_PARAMETER = { name: 'name', in: 'path', required: true, schema: SCHEDULE_NAME_SCHEMA };

/** The operations on the task that a reply names. */
const LINKS = Object.fromEntries(['getTask', 'cancelTask', 'retryTask'].map((operationId) => [
  operationId, { operationId, parameters: { taskId: '$response.body#/taskId' } },
]));

/** @param {Call} call */
export function showDescription({ handlers, url }) {
  return jsonReply(describe(handlers, url.origin));
}

/**
 * @param {Handlers} handlers the handlers of this deployment
 * @param {string} origin the deployment's origin
 */
export function describe(handlers, origin) {
  return {
    openapi: '3.1.1',
    info: {
      title: 'Task runner',
      version: API_VERSION,
      description: 'Takes tasks, carries each to its handler until it has ended, and tells what became of it. '
        + `A task is ${STATUSES.slice(0, -1).join(', ')} or ${STATUSES.at(-1)}.`,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: origin }],
    security: [{ bearer: [] }, { basic: [] }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths: {
      '/health': { get: { ...operation('about', 'getHealth', 'Tells that the Worker answers', { 200: json('Health') }), security: [] } },
      '/task': { post: submitTask(handlers) },
      '/tasks': { get: listTasks(), post: submitTasks() },
      '/batches/{batchId}': { parameters: [{ ...TASK_ID_PARAMETER, name: 'batchId' }], get: showBatch() },
      '/task/{taskId}': {
        parameters: [TASK_ID_PARAMETER], get: showTask(), delete: { ...cancelTask('cancelTaskByDelete'), summary: 'Cancels a task, as POST /task/{taskId}/cancel does' },
      },
      '/task/{taskId}/attempts': {
        parameters: [TASK_ID_PARAMETER],
        get: operation('tasks', 'getAttempts', 'Shows the attempts of a task, with their errors and what they have logged', {
          200: { ...json('TaskAttempts'), description: 'Those that are kept: the last ones, in 32 KiB.' }, ...refusals([...ANY, 'invalid_parameter', 'task_not_found']),
        }),
      },
      '/task/{taskId}/parameters': {
        parameters: [TASK_ID_PARAMETER],
        get: operation('tasks', 'getParameters', "Shows the handler's parameters of a task; for the role operate", {
          200: json('TaskParameters'), ...refusals([...ANY, 'invalid_parameter', 'task_not_found']),
        }),
      },
      '/task/{taskId}/payload': { parameters: [TASK_ID_PARAMETER], get: showPayload() },
      '/task/{taskId}/cancel': { parameters: [TASK_ID_PARAMETER], post: cancelTask('cancelTask') },
      '/task/{taskId}/retry': { parameters: [TASK_ID_PARAMETER], post: retryTask() },
      '/task/{taskId}/events/{name}': { parameters: [TASK_ID_PARAMETER, EVENT_NAME_PARAMETER], post: sendEvent() },
      '/schedules': { get: operation('schedules', 'listSchedules', 'Lists schedules', { 200: json('Schedules'), ...refusals([...ANY, 'invalid_parameter']) }) },
      '/schedules/{name}': { parameters: [SCHEDULE_PARAMETER], ...schedule() },
      '/schedules/{name}/pause': { parameters: [SCHEDULE_PARAMETER], post: changeSchedule('pauseSchedule', 'Pauses a schedule') },
      '/schedules/{name}/resume': {
        parameters: [SCHEDULE_PARAMETER], post: changeSchedule('resumeSchedule', 'Resumes a schedule; what was not made meanwhile is not made up for'),
      },
      '/pauses': { get: operation('pauses', 'listPauses', 'Lists what is paused', { 200: json('Pauses'), ...refusals([...ANY, 'invalid_parameter']) }) },
      '/pause': { post: changePause('pauseAll', 'Lets all tasks wait; those that are running go on to their end') },
      '/resume': { post: changePause('resumeAll', 'Takes the pause of all handlers back; a handler that is paused itself stays so') },
      '/handlers/{handler}/pause': {
        parameters: [{ ...ANY_HANDLER_PARAMETER, schema: { enum: Object.keys(handlers) } }], post: changePause('pauseHandler', 'Lets the tasks of a handler wait; those that are running go on to their end', ['unknown_handler']),
      },
      '/handlers/{handler}/resume': { parameters: [ANY_HANDLER_PARAMETER], post: changePause('resumeHandler', 'Lets the tasks of a handler go on, the oldest first') },
      '/actions': {
        get: operation('actions', 'listActions', 'Lists the last actions, newest first', { 200: json('Actions'), ...refusals([...ANY, 'invalid_parameter']) }),
        post: {
          ...operation('actions', 'startAction', 'Cancels, retries or deletes the tasks that a filter names', {
            200: { ...json('Action'), description: 'It has begun; `GET /actions/{id}` tells how far it is.' },
            ...refusals([...ANY_CHANGE, 'incomplete_body', 'invalid_json', 'invalid_parameter', 'payload_too_large', 'too_many_actions']),
          }),
          requestBody: { required: true, content: { 'application/json': { schema: schemaOf('NewAction') } } },
        },
      },
      '/actions/{id}': {
        parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } }],
        get: operation('actions', 'getAction', 'Tells how far an action is', { 200: json('Action'), ...refusals([...ANY, 'invalid_parameter', 'action_not_found']) }),
        delete: operation('actions', 'stopAction', 'Stops an action; what it has done stays done', { 200: json('Action'), ...refusals([...ANY_CHANGE, 'invalid_parameter', 'action_not_found']) }),
      },
      '/dead-letters': {
        get: operation('dead-letters', 'listDeadLetters', 'Lists the oldest dead letters, with what their tasks are now; it uses nothing up', {
          200: json('DeadLetters'), ...refusals([...ANY, ...ANY_LETTERS]),
        }, [query('limit', wholeNumber(LIST_LETTERS, 'Most letters of a list.', LIST_LETTERS[1]))]),
      },
      '/dead-letters/redrive': {
        post: actOnLetters('redriveDeadLetters', 'Runs the tasks of dead letters again, as the next run of each; the letters go', 'RedriveSelection', 'Redriven', ['backlog_full']),
      },
      '/dead-letters/purge': { post: actOnLetters('purgeDeadLetters', 'Deletes dead letters for good', 'PurgeSelection', 'Purged') },
      '/alerts': {
        get: operation('statistics', 'getAlerts', "Shows the stack's alerts: what they measure, and which of them fire", {
          200: { ...json('Alerts'), description: 'Values of up to five seconds ago; states of the last check, which comes once a minute.' },
          ...refusals([...ANY, 'invalid_parameter']),
        }),
      },
      '/stats': {
        get: operation('statistics', 'getStatistics', 'Counts, backlogs, throughput and latency', {
          200: { ...json('Statistics'), description: 'Of up to five seconds ago; counts are of the newest tasks, at most 10,000.' },
          ...refusals([...ANY, 'invalid_parameter']),
        }, [query('range', { type: 'string', enum: RANGE_NAMES, description: 'Adds `history`: throughput and latency of that time.' })]),
      },
      '/metrics': {
        get: operation('statistics', 'getMetrics', 'The same, and what only grows by handler, for Prometheus', {
          200: { description: 'In the text format of OpenMetrics 1.0; of up to five seconds ago.', content: { [METRICS_TYPE]: { schema: { type: 'string' } } } },
          ...refusals([...ANY, 'invalid_parameter']),
        }),
      },
      '/openapi.json': { get: file('about', 'getDescription', 'This description', 'application/json', { type: 'object' }) },
      '/': { get: file('dashboard', 'getDashboard', 'A page that shows all this', 'text/html') },
      '/dashboard.css': { get: file('dashboard', 'getDashboardStyle', "The page's style", 'text/css') },
      '/dashboard.js': { get: file('dashboard', 'getDashboardProgram', "The page's program", 'text/javascript') },
    },
    components: {
      schemas: { ...SCHEMAS, ...ERROR_SCHEMAS },
      headers: HEADERS,
      links: LINKS,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'An API token.' },
        basic: { type: 'http', scheme: 'basic', description: 'An API token as the password, with any user name: for a browser, which asks for it.' },
      },
    },
  };
}

/** @param {Handlers} handlers */
function submitTask(handlers) {
  return {
    ...operation('tasks', 'submitTask', 'Submits a task', {
      200: { ...json('Accepted'), headers: headers(['Idempotent-Replayed']), links: links('getTask', 'cancelTask', 'retryTask') },
      ...refusals([...ANY_SUBMISSION, 'invalid_payload', 'unknown_handler', 'idempotency_conflict', 'handler_check_failed']),
    }, [
      query('handler', { type: 'string', enum: Object.keys(handlers), default: DEFAULT_HANDLER, description: 'What does the work.' }),
      query('delaySeconds', DELAY_SCHEMA),
      query('ttlSeconds', TTL_SCHEMA),
      query('maxRetries', RETRIES_SCHEMA),
      query('callbackUrl', CALLBACK_URL_SCHEMA),
      { ...query('on', ENDS_SCHEMA), style: 'form', explode: false },
      query('group', GROUP_SCHEMA),
      query(TAG, NEW_TAG_SCHEMA),
      query('priority', PRIORITY_SCHEMA),
      query('replace', REPLACE_SCHEMA),
      { ...query('after', AFTER_SCHEMA), style: 'form', explode: false },
      query('startWhen', START_WHEN_SCHEMA),
      { name: 'Idempotency-Key', in: 'header', schema: IDEMPOTENCY_KEY_SCHEMA },
      ...handlerParameters(handlers),
    ]),
    requestBody: {
      description: 'The payload: anything of at most 1 MiB, untouched; none at all is {}. What is declared to be JSON must be.',
      content: { 'application/json': { schema: payloadSchema(handlers) }, 'text/plain': { schema: { type: 'string' } }, 'application/octet-stream': {} },
    },
  };
}

/**
 * @param {Handlers} handlers
 * @returns {Schema} the schema of any payload; its text names the handlers that have schemas of their own
 */
function payloadSchema(handlers) {
  const schemas = Object.entries(handlers).flatMap(([name, { payload }]) => (
    payload ? [{ title: `With handler=${name}`, ...payload }] : []
  ));
  return schemas.length > 0 ? { anyOf: [...schemas, { title: 'With another handler' }] } : {};
}

/**
 * @param {Handlers} handlers
 * @returns {object[]} a parameter for each one that some handler takes
 */
function handlerParameters(handlers) {
  const uses = Object.entries(handlers).flatMap(([handler, { parameters = {} }]) => (
    Object.entries(parameters).map(([name, what]) => ({ name, text: `With \`handler=${handler}\`: ${what}` }))
  ));
  return [...Map.groupBy(uses, ({ name }) => name)].map(([name, texts]) => (
    query(PARAMETER_PREFIX + name, { type: 'string', description: texts.map(({ text }) => text).join(' ') })
  ));
}

function submitTasks() {
  return {
    ...operation('tasks', 'submitTasks', 'Submits up to a hundred tasks: each accepted or refused on its own, or all with one that starts after them', {
      200: { ...json('BatchReply'), headers: headers(['Idempotent-Replayed']) },
      ...refusals([...ANY_SUBMISSION, 'invalid_payload', 'unknown_handler', 'idempotency_conflict', 'handler_check_failed']),
    }, [
      { name: 'Idempotency-Key', in: 'header', schema: { ...IDEMPOTENCY_KEY_SCHEMA, description: 'Of the whole batch, with `then`: the same batch with the same key is accepted once.' } },
    ]),
    requestBody: { required: true, description: 'At most 10 MiB.', content: { 'application/json': { schema: schemaOf('NewTasks') } } },
  };
}

function showBatch() {
  return operation('tasks', 'getBatch', 'Shows how far the tasks of a batch have come, and the task that starts after them', {
    200: json('Batch'), ...refusals([...ANY, 'invalid_parameter', 'task_not_found', 'batch_not_found']),
  });
}

function listTasks() {
  return operation('tasks', 'listTasks', 'Lists tasks, newest first', {
    200: { ...json('TaskList'), description: 'A list may be short and yet have a cursor: it looks at a bounded number of tasks.' },
    ...refusals([...ANY, 'invalid_parameter']),
  }, [
    query('status', STATUS_SCHEMA),
    query('handler', HANDLER_SCHEMA),
    query('group', { type: 'string', pattern: GROUP_SCHEMA['pattern'], description: 'Those of the groups with this key, whichever handler they are of.' }),
    query(TAG, { ...TAG_SCHEMA, description: 'Those with this tag, such as `customer:acme`; may come several times, and then those with all of them.' }),
    query('parent', { ...TASK_ID_SCHEMA, description: 'The children of this task: what its handler has submitted, and its callbacks.' }),
    query('id', { type: 'string', pattern: ID_PREFIX.source, description: 'The beginning of an id, or all of it.' }),
    query('createdAfter', { type: 'string', format: 'date-time', description: 'Those that were submitted then or later.' }),
    query('createdBefore', { type: 'string', format: 'date-time', description: 'Those that were submitted earlier.' }),
    query('error', { type: 'string', minLength: 1, maxLength: MAX_ERROR_TEXT_LENGTH, description: 'Those whose error has this in its name or message, in any case.' }),
    query('limit', wholeNumber(LIST_TASKS, 'Most tasks of a list.', DEFAULT_LIST_TASKS)),
    query('cursor', CURSOR_SCHEMA),
  ]);
}

function showTask() {
  const task = json('Task');
  return operation('tasks', 'getTask', 'Shows a task, or streams its changes', {
    200: { ...task, content: { ...task.content, [EVENT_STREAM]: { schema: EVENTS_SCHEMA } } },
    204: { description: 'The client of a stream has seen the end (`Last-Event-ID`).' },
    ...refusals([...ANY, 'invalid_parameter', 'task_not_found']),
  }, [
    query('wait', wholeNumber(WAIT_SECONDS, 'Seconds to wait for the end of the task; a stream does not.', 0)),
    { name: 'Last-Event-ID', in: 'header', schema: { type: 'string' }, description: 'The last event that the client of a stream has seen.' },
  ]);
}

function showPayload() {
  return operation('tasks', 'getPayload', 'Gives the payload of a task as it was submitted; for the role operate', {
    200: { description: 'The payload, byte for byte; none at all was {}.', content: { 'application/octet-stream': {} } },
    ...refusals([...ANY, 'invalid_parameter', 'task_not_found', 'payload_not_kept']),
  });
}

/** @param {string} operationId */
function cancelTask(operationId) {
  return operation('tasks', operationId, 'Cancels a task', {
    200: { ...json('Task'), description: 'The task is cancelled, now or before.', links: links('getTask', 'retryTask') },
    ...refusals([...ANY_CHANGE, 'invalid_parameter', 'task_not_found', 'wrong_status']),
  });
}

function retryTask() {
  return operation('tasks', 'retryTask', 'Runs a failed or cancelled task again', {
    200: { ...json('Accepted'), links: links('getTask', 'cancelTask') },
    ...refusals([...ANY_RUN, 'invalid_parameter', 'task_not_found', 'wrong_status']),
  });
}

function sendEvent() {
  return {
    ...operation('tasks', 'sendEvent', 'Tells a task of an event that its handler waits for, or will', {
      200: json('EventReceipt'),
      ...refusals([...ANY_CHANGE, 'incomplete_body', 'invalid_json', 'invalid_parameter', 'payload_too_large', 'task_not_found', 'wrong_status']),
    }),
    requestBody: { description: 'JSON of at most 1 MiB; none at all is {}.', content: { 'application/json': { schema: {} } } },
  };
}

function schedule() {
  return {
    get: operation('schedules', 'getSchedule', 'Shows a schedule', { 200: json('Schedule'), ...refusals([...ANY, 'invalid_parameter', 'schedule_not_found']) }),
    put: {
      ...operation('schedules', 'putSchedule', 'Makes a schedule, or changes it; it ticks after now', {
        200: json('Schedule'),
        ...refusals([
          ...ANY_CHANGE, 'incomplete_body', 'invalid_json', 'invalid_parameter', 'payload_too_large', 'invalid_payload', 'unknown_handler',
          'handler_check_failed', 'schedule_of_stack', 'too_many_schedules',
        ]),
      }),
      requestBody: { required: true, description: 'At most 64 KiB.', content: { 'application/json': { schema: schemaOf('NewSchedule') } } },
    },
    delete: changeSchedule('deleteSchedule', 'Deletes a schedule; its tasks stay', ['schedule_of_stack']),
  };
}

/**
 * @param {string} operationId
 * @param {string} summary
 * @param {Code[]} [more]
 */
function changeSchedule(operationId, summary, more = []) {
  return operation('schedules', operationId, summary, { 200: json('Schedule'), ...refusals([...ANY_CHANGE, 'invalid_parameter', 'schedule_not_found', ...more]) });
}

/**
 * @param {string} operationId
 * @param {string} summary
 * @param {string} selection
 * @param {string} answer
 * @param {Code[]} [more]
 */
function actOnLetters(operationId, summary, selection, answer, more = []) {
  return {
    ...operation('dead-letters', operationId, summary, {
      200: json(answer), ...refusals([...ANY_CHANGE, ...more, ...ANY_LETTERS, 'incomplete_body', 'invalid_json', 'payload_too_large']),
    }),
    requestBody: { required: true, content: { 'application/json': { schema: schemaOf(selection) } } },
  };
}

/**
 * @param {string} operationId
 * @param {string} summary
 * @param {Code[]} [more]
 */
function changePause(operationId, summary, more = []) {
  return operation('pauses', operationId, summary, { 200: json('Pauses'), ...refusals([...ANY_CHANGE, 'invalid_parameter', ...more]) });
}

/**
 * @param {Tag} tag
 * @param {string} operationId
 * @param {string} summary
 * @param {string} type
 * @param {Schema} [schema]
 */
function file(tag, operationId, summary, type, schema = { type: 'string' }) {
  return operation(tag, operationId, summary, { 200: { description: summary, content: { [type]: { schema } } }, ...refusals(ANY) });
}

/**
 * @param {Tag} tag
 * @param {string} operationId the id; generated SDKs name their methods after it
 * @param {string} summary
 * @param {Record<string, Record<string, unknown>>} responses the responses by status
 * @param {object[]} [parameters]
 */
function operation(tag, operationId, summary, responses, parameters = []) {
  const named = Object.entries(responses).map(([status, response]) => [status, { ...response, headers: { ...headers(['Caller-Role', 'Request-Id']), .../** @type {object | undefined} */ (response['headers']) } }]);
  return { operationId, summary, tags: [tag], parameters, responses: Object.fromEntries(named) };
}

/**
 * @param {string} name
 * @param {Schema} schema
 */
function query(name, schema) {
  return { name, in: 'query', schema };
}

/** @param {...string} names names of {@link LINKS} */
function links(...names) {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/links/${name}` }]));
}

/** @param {string} name the name of a schema */
function json(name) {
  return { description: name, content: { 'application/json': { schema: schemaOf(name) } } };
}
