/** The API's errors as OpenAPI describes them. */

import { object, schemaOf, STATUS_SCHEMA, TASK_ID_SCHEMA } from './openapi_schemas.js';
import { STATUS_OF_CODE } from './refusal.js';

/** @import { Schema } from './openapi_schemas.js' */
/** @import { Code } from './refusal.js' */

/** @type {Record<Code, {description: string, extras?: Record<string, Schema>, optional?: Record<string, Schema>, headers?: string[]}>} */
const ERRORS = {
  incomplete_body: { description: 'The body broke off.' },
  invalid_json: { description: 'The body is not JSON, and should be.' },
  invalid_parameter: {
    description: 'A parameter, header or field is unknown or out of range.',
    optional: { parameter: { type: 'string', description: 'Its name, where it is one alone.' } },
  },
  invalid_payload: {
    description: "The payload does not keep to the handler's schema.",
    extras: {
      errors: {
        type: 'array', items: object({ path: { type: 'string' }, message: { type: 'string' } }),
        description: 'Where, as a JSON pointer, and what is wrong there.',
      },
    },
  },
  unknown_handler: { description: 'There is no such handler.', extras: { handlers: { type: 'array', items: { type: 'string' } } } },
  unauthorized: { description: 'There is no valid API token.', headers: ['WWW-Authenticate'] },
  forbidden: { description: "The token's role does not allow it." },
  forbidden_origin: { description: 'A page of another site made the request, with a Basic password.' },
  not_found: { description: 'There is no such path.' },
  task_not_found: { description: 'There is no such task, or its time to live is over.' },
  method_not_allowed: { description: 'The path does not have the method.', headers: ['Allow'] },
  idempotency_conflict: { description: 'The idempotency key stands for another task.', extras: { taskId: TASK_ID_SCHEMA } },
  wrong_status: { description: "The task's status does not allow it.", extras: { status: STATUS_SCHEMA } },
  payload_too_large: { description: 'The body is too long.' },
  rate_limited: { description: 'The caller has sent too many requests.', headers: ['Retry-After'] },
  handler_check_failed: { description: "The handler failed at looking at the task's parameters: a fault of the handler's." },
  internal_error: { description: 'A fault of the task runner itself.' },
  backlog_full: { description: 'Too many tasks wait to be handed over, and the platform takes none for now.', headers: ['Retry-After'] },
  store_unavailable: { description: 'The store did not answer.', headers: ['Retry-After'] },
  store_full: { description: 'The store has no room for new tasks.' },
};

/** A schema for each code. @type {Record<string, Schema>} */
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

/** Every header that a reply may have of its own. */
export const HEADERS = {
  Allow: { description: 'The methods that the path has.', required: true, schema: { type: 'string' } },
  'Retry-After': { description: 'Seconds after which to try again.', required: true, schema: { type: 'integer' } },
  'WWW-Authenticate': { description: 'How to send a token.', required: true, schema: { type: 'string' } },
  'Idempotent-Replayed': { description: 'There when the idempotency key had its task already.', schema: { const: 'true' } },
};
