/**
 * Everything that is used of Miniflare beyond its documented interface, so that an upgrade is one diff. tests/data_plane/miniflare_internals.test.js
 * checks each. Node and our own Workers import it.
 */

/** workerd's name of a Worker's service is this prefix and the Worker's name. */
export const SERVICE_PREFIX = 'core:user:';

/** What Miniflare adds to a configuration by itself, as workerd's messages name it. */
export const OWN_PARTS = /\bMINIFLARE_|"core:(?!user:)/;

/** The header in which a socket of a Worker takes `request.cf`, as JSON. */
export const CF_HEADER = 'mf-cf-blob';

/** Miniflare's code for a workerd that ended while it started, or could not be restarted after a crash. */
export const RUNTIME_ENDED = 'ERR_RUNTIME_FAILURE';

/** The environment variable with the program that is started instead of workerd. */
export const WORKERD_VARIABLE = 'MINIFLARE_WORKERD_PATH';

/** The folder of the Durable Objects of Workers, in that of all resources; the folder of each namespace is named by its unique key. */
export const OBJECTS_FOLDER = 'do';

/**
 * The objects of Miniflare's own products: their class in workerd's configuration, the unique key of their namespace, and the folder of that
 * namespace's files, in that of all resources.
 */
export const R2_OBJECTS = objects('r2:bucket', 'R2BucketObject', 'r2');
export const RATE_LIMIT_OBJECTS = objects('ratelimit:ns', 'RateLimiterObject', 'ratelimit');

/** The folder of buckets' contents: one for each bucket, by its name. */
export const R2_BLOBS_FOLDER = 'r2';

/** The service with the files of the Cache API. The first one of this name counts, and the first Worker has no cache. */
export const CACHE_STORAGE = 'cache:storage';

/**
 * `cf` of a request to an object of Miniflare's, which tells the object its own name.
 *
 * @param {string} name
 * @returns {any}
 */
export function namedObject(name) {
  return { miniflare: { name } };
}

/** Requests the bookmark of a database, and contains it in the answer. */
export const D1_BOOKMARK_HEADER = 'x-cf-d1-session-commit-token';

/**
 * Returns the class of a workflow's engine, which has an object for each instance.
 *
 * @param {string} workflow its name in Miniflare
 */
export function engineClass(workflow) {
  return { className: 'Engine', serviceName: `workflows:${workflow}` };
}

/** The folder of all workflows' instances, in that of all resources; each workflow's folder is named by the namespace of its engine. */
export const WORKFLOWS_FOLDER = 'workflows';

/** @param {string} workflow its name in Miniflare */
export function instancesNamespace(workflow) {
  return `miniflare-workflows-${workflow}`;
}

/** Modules that make a binding from the services inside of it: the result is in the Worker's environment. */
export const D1_WRAPPER = 'cloudflare-internal:d1-api';
export const WORKFLOW_WRAPPER = 'workflows:local-wrapped-binding';
/** The path of the module for rate limits in the package; a process only has it by itself if it has rate limits of its own. */
export const RATE_LIMIT_WRAPPER_FILE = 'dist/src/workers/ratelimit/ratelimit.worker.js';

/**
 * @param {string} serviceName
 * @param {string} className
 * @param {string} plugin
 */
function objects(serviceName, className, plugin) {
  const namespace = `miniflare-${className}`;
  return { binding: { serviceName, className }, namespace, folder: `${plugin}/${namespace}` };
}
