/** The callback of a submission: its own, else the handler's, else the stack's. */

import { ENDS } from '../callback.js';
import { PermanentError } from '../handler.js';
import { readUrl } from '../handlers/_delivery.js';
import { invalidParameter, Refusal } from './reply.js';

/** @import { Callback, End } from '../callback.js' */
/** @import { HandlerModule } from '../handler.js' */
/** @import { Environment } from './router.js' */

/** What a submission says of it; null where it says nothing. An empty URL: none, whatever the defaults are.
 *
 * @typedef {{url: string | null, on: End[] | null}} AskedCallback
 */

/**
 * @param {unknown} url undefined where it is not given
 * @param {unknown} on a list of ends
 * @param {string} urlName what the caller calls the URL
 * @returns {AskedCallback}
 * @throws {Refusal}
 */
export function readCallback(url, on, urlName) {
  if (url !== undefined && typeof url !== 'string') throw invalidParameter(urlName, 'a URL', url);
  return { url: url ?? null, on: on === undefined ? null : readEnds(on) };
}

/**
 * @param {AskedCallback} asked
 * @param {string} handler its name
 * @param {HandlerModule} module
 * @param {Environment} env
 * @returns {Callback | null}
 * @throws {Refusal} there is none that `on` could be of, or its host may not be delivered to
 */
export function callbackOf({ url, on }, handler, module, env) {
  const usual = defaultCallback(handler, module, env);
  if (url === '') return null;
  if (url === null && usual === null) {
    if (on === null) return null;
    throw new Refusal('invalid_parameter', 'expected on to come with callbackUrl, got it alone: neither the handler nor the stack has a callback', {
      extras: { parameter: 'on' },
    });
  }
  if (url !== null) return { url: checkedUrl(url, env), on: on ?? usual?.on ?? [...ENDS] };
  return usual && { ...usual, ...(on && { on }) };
}

/**
 * @param {string} handler
 * @param {HandlerModule} module
 * @param {Environment} env
 * @returns {Callback | null}
 * @throws {Refusal} the handler's may not be delivered to, which is no fault of the caller's
 */
function defaultCallback(handler, { callback }, env) {
  if (callback) {
    try {
      return { url: checkedUrl(callback.url, env), on: callback.on ?? [...ENDS] };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      console.error(`the callback of handler ${handler} is of no use`, { handler, error: error.message });
      throw new Refusal('handler_check_failed', `the callback of handler ${handler} is of no use: ${error.message}`);
    }
  }
  if (!env.CALLBACK_URL) return null;
  return { url: env.CALLBACK_URL, on: env.CALLBACK_ON ? /** @type {End[]} */ (env.CALLBACK_ON.split(' ')) : [...ENDS] };
}

/**
 * @param {string} text
 * @param {Environment} env
 * @throws {Refusal}
 */
function checkedUrl(text, env) {
  try {
    readUrl(text, env.HTTP_ALLOWED_HOSTS, 'callbackUrl');
    return text;
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    throw new Refusal('invalid_parameter', error.message, { extras: { parameter: 'callbackUrl' } });
  }
}

/**
 * @param {unknown} on
 * @returns {End[]}
 * @throws {Refusal}
 */
function readEnds(on) {
  const known = /** @type {readonly unknown[]} */ (ENDS);
  if (Array.isArray(on) && on.length > 0 && on.every((end) => known.includes(end)) && new Set(on).size === on.length) return on;
  throw invalidParameter('on', `some of ${ENDS.join(', ')}, each once`, on);
}
