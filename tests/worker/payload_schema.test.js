import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { assertRefused, startApi } from './api_under_test.js';

/** In TypeScript, as people write handlers. */
const RESIZE = `
  interface Size { width: number; height?: number }
  export const payload = {
    type: 'object',
    properties: { width: { type: 'integer', minimum: 1 }, height: { type: 'integer' } },
    required: ['width'],
    additionalProperties: false,
  } as const;
  export default (text: string): number => { const { width, height = 1 }: Size = JSON.parse(text); return width * height; };
`;

describe('a handler with a schema of its payload', () => {
  /** @type {import('./api_under_test.js').ApiUnderTest} */
  let api;
  before(async () => {
    api = await startApi({
      handlers: {
        'resize.ts': RESIZE,
        'wrong.js': "export const payload = { type: 'string', pattern: '(' }; export default () => null;",
        'tree.js': "export const payload = { type: 'array', items: { $ref: '#' } }; export default () => null;",
      },
    });
  });
  after(() => api.stop());

  test('takes what keeps to it', async () => {
    const taskId = await api.submit('?handler=resize', { body: { width: 3, height: 4 } });
    await api.attempt(taskId);
    assert.equal((await api.task(taskId)).result, 12);
  });

  test('does not take anything else, alone or in a batch', async () => {
    const reply = await api.call('POST', '/task?handler=resize', { body: { width: 0, depth: 1 } });
    assertRefused(reply, 400, 'invalid_payload', { errors: reply.body.errors });
    assert.deepEqual(reply.body.errors.map((/** @type {{path: string}} */ { path }) => path).sort(), ['/depth', '/width']);
    assert.match(reply.body.error, /schema of handler resize, got one with .*\/width: 0 is less than 1/);
    assertRefused(await api.call('POST', '/task?handler=resize', { body: 'no JSON' }), 400, 'invalid_json');
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [{ handler: 'resize', payload: {} }, { payload: {} }] } });
    assert.deepEqual(body.tasks.map((/** @type {{httpStatus: number}} */ { httpStatus }) => httpStatus), [400, 200]);
  });

  test('whose schema cannot be followed refuses its own tasks, and no others of a batch', async () => {
    assertRefused(await api.call('POST', '/task?handler=wrong', { body: '"text"' }), 500, 'handler_check_failed');
    const { body } = await api.call('POST', '/tasks', { body: { tasks: [{ handler: 'wrong', payload: '"text"' }, { payload: {} }] } });
    assert.deepEqual(body.tasks.map((/** @type {{httpStatus: number}} */ { httpStatus }) => httpStatus), [500, 200]);
  });

  test('refuses a payload that is nested deeper than it can be looked at', async () => {
    const reply = await api.call('POST', '/task?handler=tree', { body: '['.repeat(100_000) + ']'.repeat(100_000) });
    assertRefused(reply, 400, 'invalid_payload', { errors: [{ path: '', message: 'It is nested too deeply.' }] });
  });

  test('is shown in the description of the API', async () => {
    const { body } = await api.call('GET', '/openapi.json');
    const { anyOf: [resize] } = body.paths['/task'].post.requestBody.content['application/json'].schema;
    assert.equal(resize.title, 'With handler=resize');
    assert.deepEqual(resize.required, ['width']);
  });
});
