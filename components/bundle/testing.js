/**
 * Runs a handler in workerd, for its own tests:
 *
 *     const handler = await startHandler(new URL('./resize.js', import.meta.url));
 *     const { result } = await handler.run('{"width": 3}');
 *     await handler.stop();
 */

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { existsSync } from 'node:fs';

import { bundle } from './bundle.js';

/** The result of running a handler. `error` is what the handler threw, null if it threw nothing.
 * @typedef {{result: any, error: {name: string, message: string} | null, progress: {percent: number, note: string | null}[], submitted: SubmittedTask[]}} Run */

/** @import { Dependency, SubmittedTask } from '../../worker/handler.js' */

/** Calls the handler in the same way as an attempt does. */
const entry = (/** @type {string} */ file) => `
  import * as handler from ${JSON.stringify(file)};
  import { contextOf } from './context.js';
  import { requireHandlers } from './handler.js';
  import { NO_STEPS } from './steps.js';
  requireHandlers({ handler });
  export default {
    async fetch(request, env) {
      const form = await request.formData();
      const text = form.get('text');
      const payload = typeof text === 'string' ? text : new Uint8Array(await form.get('bytes').arrayBuffer());
      const { parameters, attempts, events, dependencies } = JSON.parse(form.get('task'));
      const fault = handler.check?.(parameters, env);
      const progress = [];
      const submitted = [];
      const steps = !handler.steps ? NO_STEPS : {
        step: async (_name, _options, work) => JSON.parse(JSON.stringify(await work({ attempt: 1 })) ?? 'null'),
        sleep: async () => {},
        waitForEvent: async (name) => {
          if (name in events) return { name, payload: events[name], receivedAt: new Date().toISOString() };
          throw Object.assign(new Error('expected the event ' + name + ' in time, got none'), { name: 'EventTimeout', permanent: true });
        },
      };
      try {
        if (fault) throw new TypeError(fault);
        const task = { taskId: '00000000-0000-7000-8000-000000000000', handler: 'handler', attempts, parameters, after: dependencies && { taskIds: dependencies.map(({ taskId }) => taskId), startWhen: 'ended' } };
        const others = {
          submit: async (task) => ({ taskId: '00000000-0000-7000-8000-' + String(submitted.push(task)).padStart(12, '0'), status: 'pending' }),
          dependencies: async (taskIds) => (dependencies ?? []).filter(({ taskId }) => !taskIds || taskIds.includes(taskId)),
        };
        const context = contextOf(task, env, { signal: new AbortController().signal }, (told) => progress.push(told), steps, { log() {} }, others);
        const result = await handler.default(payload, context);
        return Response.json({ result: result ?? null, error: null, progress, submitted });
      } catch (error) {
        return Response.json({ result: null, error: { name: error.name, message: error.message }, progress, submitted });
      }
    },
  };`;

/**
 * @param {URL | string} file the handler's file
 * @param {object} [options]
 * @param {Record<string, any>} [options.bindings] the bindings that the handler finds in `context.bindings`, in Miniflare's form or as plain texts
 * @param {string[]} [options.compatibilityFlags]
 * @returns {Promise<HandlerUnderTest>}
 */
export async function startHandler(file, { bindings = {}, compatibilityFlags = [] } = {}) {
  const { Miniflare } = await import('miniflare');
  const path = file instanceof URL ? fileURLToPath(file.href) : file;
  const here = import.meta.dirname;
  const workerFolder = [join(here, '..', 'worker'), join(here, '..', '..', 'worker')].find((folder) => existsSync(folder)) ?? '';
  const toolchain = [here, join(here, '..', '..'), dirname(path), process.cwd()].find((folder) => existsSync(join(folder, 'node_modules', 'esbuild')));
  if (toolchain === undefined) throw new Error('expected esbuild in node_modules: run npm install --save-dev esbuild miniflare');
  const { modules } = await bundle({
    workerFolder, toolchain, stores: [{ name: 'd1', shardCounts: [1] }], engines: ['queue'], handlerFolders: [], entry: entry(path),
    nodejs: compatibilityFlags.includes('nodejs_compat'),
  });
  const code = modules.filter(({ contentType }) => contentType === 'application/javascript+module');
  /** @type {any} */
  const config = {
    name: 'handler', compatibilityDate: '2026-10-01', compatibilityFlags, triggers: [],
    manifest: {
      mainModule: 'index.js', modulesRoot: '/worker',
      modules: Object.fromEntries(code.map(({ name, content }) => [name, { type: 'esm', contents: new TextDecoder().decode(content) }])),
    },
    env: Object.fromEntries(Object.entries(bindings).map(([name, value]) => [name, typeof value === 'string' ? { type: 'text', value } : value])),
  };
  const miniflare = new Miniflare({ cf: false, workers: [{ config }] });
  await miniflare.ready;
  return new HandlerUnderTest(miniflare);
}

export class HandlerUnderTest {
  /** @param {import('miniflare').Miniflare} miniflare */
  constructor(miniflare) {
    this.miniflare = miniflare;
  }

  /**
   * @param {string | Uint8Array} payload the payload of the task: a text, or bytes that are not text
   * @param {{parameters?: Record<string, string>, attempt?: number, events?: Record<string, unknown>, dependencies?: Partial<Dependency>[]}} [task]
   *   `events` are the events that the handler's steps wait for, by name. A sleep takes no time, and a failed step is not retried. `dependencies` are
   *   the tasks after which this one starts. What the handler submits is in the result
   * @returns {Promise<Run>}
   */
  async run(payload, { parameters = {}, attempt = 1, events = {}, dependencies } = {}) {
    const { FormData } = await import('miniflare');
    const form = new FormData();
    if (typeof payload === 'string') form.set('text', payload);
    else form.set('bytes', new Blob([/** @type {any} */ (payload)]));
    form.set('task', JSON.stringify({ parameters, attempts: attempt, events, dependencies }));
    const reply = await this.miniflare.dispatchFetch('http://handler/', { method: 'POST', body: form });
    return /** @type {Promise<any>} */ (reply.json());
  }

  stop() {
    return this.miniflare.dispose();
  }
}
