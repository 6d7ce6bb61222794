/**
 * The Node process's access to a workerd: to the objects of products in the store, and to what each process of Workers has, by kind, id and method. A
 * method may be called if its product's `calls.js` has it. Calls are JSON over HTTP, except the method `bytes`, which gets the request and answers
 * it.
 */

/**
 * @typedef {{GATEWAY_TOKEN: string}} Env
 * @typedef {Record<string, Record<string, (env: any, id: string, body: any) => Promise<object>>>} Calls by kind and method
 */

/** The method whose request and answer are bytes. */
const BYTES = 'bytes';

/** @param {Calls} calls */
export function gateway(calls) {
  return {
    /**
     * @param {Request} request
     * @param {Env} env
     */
    async fetch(request, env) {
      // Every program on this computer can open the socket, the user's Workers included.
      if (request.headers.get('Authorization') !== `Bearer ${env.GATEWAY_TOKEN}`) return failure('unauthorized', '');
      try {
        return await answer(calls, env, request);
      } catch (error) {
        const kind = error instanceof Error && 'kind' in error ? String(error.kind) : 'internal';
        const text = error instanceof Error ? (kind === 'internal' ? (error.stack ?? error.message) : error.message) : String(error);
        return failure(kind, text);
      }
    },
  };
}

/**
 * `/objects/{kind}/{id}/{method}` calls one object; `/each/{kind}/{method}` calls many, with a body by id.
 *
 * @param {Calls} calls
 * @param {Env} env
 * @param {Request} request
 */
async function answer(calls, env, request) {
  const [, what, kind = '', ...more] = new URL(request.url).pathname.split('/').map(decodeURIComponent);
  if (what === 'objects') {
    const [id = '', name = ''] = more;
    const method = allowed(calls, kind, name);
    if (!method) return failure('not_found', `objects of kind ${kind} have no method ${name}`);
    if (name === BYTES) return /** @type {Response} */ (await method(env, id, request));
    return Response.json(await method(env, id, await request.json()));
  }
  if (what === 'each') {
    const method = allowed(calls, kind, more[0] ?? '');
    if (!method) return failure('not_found', `objects of kind ${kind} have no method ${more[0]}`);
    /** @type {Record<string, object>} */
    const bodies = await request.json();
    await Promise.all(Object.entries(bodies).map(([id, body]) => method(env, id, body)));
    return Response.json({});
  }
  if (what === 'ping') return Response.json({});
  return failure('not_found', 'no such route');
}

/**
 * @param {Calls} calls
 * @param {string} kind
 * @param {string} method
 */
function allowed(calls, kind, method) {
  const methods = Object.hasOwn(calls, kind) ? calls[kind] : undefined;
  return methods && Object.hasOwn(methods, method) ? methods[method] : undefined;
}

/**
 * The Node process knows the status of each kind; a caller without a token sees only one.
 *
 * @param {string} kind
 * @param {string} message
 */
function failure(kind, message) {
  return Response.json({ error: { kind, message } }, { status: kind === 'unauthorized' ? 401 : 500 });
}
