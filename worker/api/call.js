/** What the API's routes are given. */

/** @import { Engine } from '../engines/engine.js' */
/** @import { Handlers } from '../handler.js' */
/** @import { Invocation } from '../joint.js' */
/** @import { Store } from '../stores/store.js' */
/** @import { ValidatorClass } from './payload_schema.js' */

/** What a deployment is made of, and what the request brings.
 *
 * @typedef {{store: Store, engine: Engine, handlers: Handlers, Validator?: ValidatorClass | undefined, invocation: Invocation}} Parts
 */

/**
 * The Worker's bindings and settings, so far as the API reads them; without `API_TOKENS` anybody may call.
 *
 * @typedef {object} Environment
 * @property {string} MAX_RETRIES of tasks that do not say otherwise
 * @property {string} [DELIVERY_DELAY_SECONDS] of tasks that do not say otherwise; none where it is not given
 * @property {string} [API_TOKENS] JSON: name, role and SHA-256 of each
 * @property {RateLimit} [RATE_LIMITER]
 * @property {string} [RATE_LIMIT_PERIOD_SECONDS]
 * @property {string} [CORS_ORIGINS] separated by single spaces
 */

/** A request on its way through the API. @typedef {Parts & {request: Request, url: URL, env: Environment}} Call */

/** Answers a request; the parameters are those of its path. @typedef {(call: Call, ...parameters: string[]) => Response | Promise<Response>} Answer */

export {};
