/** The version of the Worker that runs, as reported by the platform. */

/**
 * The platform's metadata of a version (https://developers.cloudflare.com/workers/runtime-apis/bindings/version-metadata/).
 *
 * @typedef {{CF_VERSION_METADATA?: WorkerVersionMetadata}} VersionSettings
 */

/**
 * @param {VersionSettings} env
 * @returns {string | null} the id; null without the binding, as in a test
 */
export function workerVersion(env) {
  return env.CF_VERSION_METADATA?.id ?? null;
}
