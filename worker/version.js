/** Which version of the Worker runs, as the platform tells it. */

/**
 * What the platform tells a version of itself (https://developers.cloudflare.com/workers/runtime-apis/bindings/version-metadata/).
 *
 * @typedef {{CF_VERSION_METADATA?: WorkerVersionMetadata}} VersionSettings
 */

/**
 * @param {VersionSettings} env
 * @returns {string | null} the id; null where the Worker was not told, as in a test
 */
export function workerVersion(env) {
  return env.CF_VERSION_METADATA?.id ?? null;
}
