import assert from 'node:assert/strict';
import { registerHooks } from 'node:module';
import { test } from 'node:test';

// A text module, as the Worker's runtime has them.
registerHooks({
  resolve: (specifier, context, next) => (
    specifier.endsWith('.txt') ? { url: new URL(specifier, context.parentURL).href, shortCircuit: true } : next(specifier, context)
  ),
  load: (url, context, next) => (url.endsWith('.txt') ? { format: 'module', source: "export default '';", shortCircuit: true } : next(url, context)),
});
const { ROUTES } = await import('../../worker/api/router.js');
const { describe: describeApi } = await import('../../worker/api/openapi.js');
const { STATUS_OF_CODE } = await import('../../worker/api/reply.js');

const HANDLERS = /** @type {any} */ ({ default: {}, http: { parameters: { url: 'where to', method: 'how' } }, other: { parameters: { url: 'what' } } });
const description = /** @type {any} */ (describeApi(HANDLERS, 'https://tasks.example'));

/** @type {[string, any][]} */
const OPERATIONS = Object.entries(/** @type {Record<string, any>} */ (description.paths)).flatMap(([path, { parameters: _, ...methods }]) => (
  Object.entries(methods).map(([method, operation]) => /** @type {[string, any]} */ ([`${method.toUpperCase()} ${path}`, operation]))
));

test('every route is described, and nothing else', () => {
  const routes = Object.entries(ROUTES).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`));
  assert.deepEqual(OPERATIONS.map(([name]) => name).sort(), routes.sort());
});

test('every reference leads to something, and everything is referred to', () => {
  const text = JSON.stringify(description);
  const references = new Set([...text.matchAll(/"\$ref":"#\/components\/(\w+)\/([\w-]+)"/g)].map(([, kind, name]) => `${kind}/${name}`));
  const { securitySchemes: _, ...kinds } = description.components;
  const components = Object.entries(kinds).flatMap(([kind, members]) => Object.keys(members).map((name) => `${kind}/${name}`));
  // What every path answers to a method or a path that it is not.
  const answersToNoRoute = ['schemas/not_found', 'schemas/method_not_allowed', 'headers/Allow'];
  assert.deepEqual([...references].sort(), components.filter((name) => !answersToNoRoute.includes(name)).sort());
});

test('every code has its schema and its status', () => {
  for (const code of Object.keys(STATUS_OF_CODE)) assert.equal(description.components.schemas[code].properties.code.const, code);
  for (const [name, { responses }] of OPERATIONS) {
    for (const [status, response] of Object.entries(/** @type {Record<string, any>} */ (responses))) {
      for (const { $ref } of response.content?.['application/json']?.schema?.anyOf ?? []) {
        assert.equal(STATUS_OF_CODE[/** @type {keyof typeof STATUS_OF_CODE} */ ($ref.split('/').at(-1))], Number(status), `${name} ${$ref}`);
      }
    }
  }
});

test('every route but /health asks for a token', () => {
  assert.deepEqual(description.security, [{ bearer: [] }, { basic: [] }]);
  assert.deepEqual(OPERATIONS.filter(([, { security }]) => security).map(([name]) => name), ['GET /health']);
  for (const [name, { responses }] of OPERATIONS) {
    const codes = [200, 401, 403, 429, 500, 503, 507].filter((status) => responses[status]);
    const ofAll = [200, 401, 403, 429, 500, 503];
    assert.deepEqual(codes, name === 'GET /health' ? [200] : name.startsWith('GET') ? ofAll : [...ofAll, 507], name);
  }
});

test('where a run begins, too many that wait may refuse it', () => {
  const refusing = OPERATIONS.filter(([, { responses }]) => JSON.stringify(responses[503] ?? {}).includes('backlog_full')).map(([name]) => name);
  assert.deepEqual(refusing, ['POST /task', 'POST /tasks', 'POST /task/{taskId}/retry', 'POST /dead-letters/redrive']);
});

test('operation ids are of one operation each, and links lead to one', () => {
  const ids = OPERATIONS.map(([, { operationId }]) => operationId);
  assert.equal(new Set(ids).size, OPERATIONS.length);
  for (const { operationId } of Object.values(description.components.links)) assert.ok(ids.includes(operationId));
});

test("a deployment's handlers are described, with their parameters", () => {
  const { parameters } = description.paths['/task'].post;
  const byName = Object.fromEntries(parameters.map((/** @type {any} */ each) => [each.name, each]));
  assert.deepEqual(byName.handler.schema.enum, ['default', 'http', 'other']);
  assert.deepEqual(byName['param.url'], { name: 'param.url', in: 'query', schema: { type: 'string', description: 'With `handler=http`: where to With `handler=other`: what' } });
  assert.deepEqual(Object.keys(byName), ['handler', 'delaySeconds', 'ttlSeconds', 'maxRetries', 'callbackUrl', 'on', 'group', 'tag', 'priority', 'replace', 'after', 'startWhen', 'Idempotency-Key', 'param.url', 'param.method']);
  assert.deepEqual(description.servers, [{ url: 'https://tasks.example' }]);
});
