/** Cloudflare's TypeScript SDK, method by method, against the local Cloudflare; tsc holds each reply to the SDK's types. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import Cloudflare, { toFile } from 'cloudflare';

import { LocalCloudflare } from './local_cloudflare.js';

const POLL_MS = 50;
const PATIENCE_MS = 20_000;

const CODE = `
import { DurableObject, WorkflowEntrypoint } from 'cloudflare:workers'
export class Counter extends DurableObject {
  async add() {
    const count = (await this.ctx.storage.get('count') ?? 0) + 1
    await this.ctx.storage.put('count', count)
    return count
  }
}
export class Doubling extends WorkflowEntrypoint {
  async run(event, step) {
    const doubled = await step.do('double', async () => 2 * Number(event.payload))
    const { payload } = await step.waitForEvent('the word', { type: 'go', timeout: '1 minute' })
    return payload.word + doubled
  }
}
export default {
  async fetch(request, env) {
    const count = await env.COUNTER.get(env.COUNTER.idFromName('the one')).add()
    return Response.json({ greeting: env.GREETING, count })
  },
  async queue(batch) { batch.ackAll() },
  async scheduled() {},
}
`;

/**
 * Ask until there is an answer.
 *
 * @template T
 * @param {() => Promise<T | null | undefined | false>} probe
 * @returns {Promise<T>}
 */
async function eventually(probe) {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    const answer = await probe();
    if (answer) return answer;
  }
  throw new Error(`nothing came of it within ${PATIENCE_MS} ms`);
}

/**
 * @template T
 * @param {AsyncIterable<T>} pages
 */
async function all(pages) {
  /** @type {T[]} */
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

/**
 * Make a part of a form that is JSON. Version 7 of the SDK spreads an object over parts named metadata[main_module] and so
 * on, which Cloudflare does not read (cloudflare-typescript, #2799); a file it leaves whole.
 *
 * @template T
 * @param {T} value
 * @returns {Promise<T>} a file, in the type that the SDK asks for
 */
const json = async (value) =>
  /** @type {any} */ (await toFile(Buffer.from(JSON.stringify(value)), 'part.json', { type: 'application/json' }));

/** For `scripts.update`, whose form goes as application/javascript otherwise (#2799, too). */
const AS_FORM = { headers: { 'Content-Type': null } };

/** @param {string} code */
const indexModule = async (code) => [await toFile(Buffer.from(code), 'index.js', { type: 'application/javascript+module' })];

describe('the TypeScript SDK', () => {
  /** @type {LocalCloudflare} */ let cloudflare;
  /** @type {Cloudflare} */ let sdk;
  /** @type {string} */ let account_id;

  before(() => {
    cloudflare = new LocalCloudflare();
    sdk = cloudflare.client();
    account_id = cloudflare.accountId;
  });
  after(() => cloudflare.stop());

  test('knows who it is', async () => {
    assert.equal((await sdk.user.tokens.verify()).status, 'active');
    assert.equal((await sdk.accounts.tokens.verify({ account_id })).status, 'active');
    assert.deepEqual((await all(sdk.accounts.list())).map(({ id }) => id), [account_id]);
    assert.equal((await sdk.accounts.get({ account_id })).id, account_id);
    assert.deepEqual((await all(sdk.memberships.list())).map(({ status }) => status), ['accepted']);
    assert.ok(await sdk.user.get());
  });

  test('keeps databases', async () => {
    const { database } = sdk.d1;
    const { uuid = '' } = await database.create({ account_id, name: 'sdk-database' });
    const updated = await database.update(uuid, { account_id, read_replication: { mode: 'auto' } });
    assert.equal(updated.read_replication?.mode, 'auto');
    const edited = await database.edit(uuid, { account_id, read_replication: { mode: 'disabled' } });
    assert.equal(edited.read_replication?.mode, 'disabled');
    const batch = [{ sql: 'CREATE TABLE t (a TEXT)' }, { sql: 'INSERT INTO t VALUES (?)', params: ['x'] }];
    const made = await all(database.query(uuid, { account_id, batch }));
    assert.deepEqual(made.map(({ success, meta }) => [success, meta?.changes]), [[true, 0], [true, 1]]);
    const [rows] = await all(database.query(uuid, { account_id, sql: 'SELECT a FROM t' }));
    assert.deepEqual(rows?.results, [{ a: 'x' }]);
    const [raw] = await all(database.raw(uuid, { account_id, sql: 'SELECT a FROM t' }));
    assert.deepEqual(raw?.results, { columns: ['a'], rows: [['x']] });
    assert.equal((await database.get(uuid, { account_id })).num_tables, 1);
    assert.equal(await database.delete(uuid, { account_id }), null);
  });

  test('moves databases in and out', async () => {
    const { database } = sdk.d1;
    const { uuid = '' } = await database.create({ account_id, name: 'sdk-transfers' });
    const sql = "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x');";
    const etag = createHash('md5').update(sql).digest('hex');
    const begun = await database.import(uuid, { account_id, action: 'init', etag });
    await fetch(String(begun.upload_url), { method: 'PUT', body: sql });
    let done = await database.import(uuid, { account_id, action: 'ingest', etag, filename: String(begun.filename) });
    while (done.status !== 'complete') {
      done = await database.import(uuid, { account_id, action: 'poll', current_bookmark: String(done.at_bookmark) });
    }
    assert.equal(done.result?.num_queries, 2);
    let dump = await database.export(uuid, { account_id, output_format: 'polling' });
    while (dump.status !== 'complete') {
      dump = await database.export(uuid, { account_id, output_format: 'polling', current_bookmark: dump.at_bookmark });
    }
    assert.match(await (await fetch(String(dump.result?.signed_url))).text(), /INSERT INTO .?t.?/);
  });

  test('goes through pages by itself', async () => {
    const names = ['page-a', 'page-b', 'page-c'];
    for (const name of names) await sdk.d1.database.create({ account_id, name });
    const pages = [];
    for await (const page of (await sdk.d1.database.list({ account_id, name: 'page-', per_page: 2 })).iterPages()) {
      pages.push(page.result.map(({ name }) => name));
    }
    assert.deepEqual(pages, [names.slice(0, 2), names.slice(2), []]); // it asks until there is nothing
    assert.deepEqual((await all(sdk.d1.database.list({ account_id, name: 'page-', per_page: 1 }))).map(({ name }) => name), names);
  });

  test('keeps keys and values', async () => {
    const { namespaces } = sdk.kv;
    const { id } = await namespaces.create({ account_id, title: 'sdk-namespace' });
    const here = { account_id, namespace_id: id };
    assert.deepEqual((await all(namespaces.list({ account_id }))).map((one) => one.id), [id]);
    assert.equal((await namespaces.update(id, { account_id, title: 'sdk-renamed' })).title, 'sdk-renamed');
    assert.equal((await namespaces.get(id, { account_id })).title, 'sdk-renamed');

    await namespaces.values.update('a/b c%', { ...here, value: 'text', metadata: JSON.stringify({ a: [1] }), expiration_ttl: 60 });
    const got = await namespaces.values.get('a/b c%', here);
    assert.equal(await got.text(), 'text');
    assert.ok(Number(got.headers.get('expiration')) > Date.now() / 1000);
    assert.deepEqual(await namespaces.metadata.get('a/b c%', here), { a: [1] });
    await namespaces.values.delete('a/b c%', here);

    const keys = Array.from({ length: 25 }, (_, index) => `key-${String(index).padStart(2, '0')}`);
    const written = await namespaces.bulkUpdate(id, { account_id, body: keys.map((key) => ({ key, value: key })) });
    assert.equal(written?.successful_key_count, keys.length);
    const listed = await all(namespaces.keys.list(id, { account_id, prefix: 'key-', limit: 10 })); // three pages, by cursor
    assert.deepEqual(listed.map(({ name }) => name), keys);
    const values = await namespaces.bulkGet(id, { account_id, keys: ['key-00', 'none'] });
    assert.deepEqual(values?.values, { 'key-00': 'key-00', none: null });
    const deleted = await namespaces.bulkDelete(id, { account_id, body: keys });
    assert.equal(deleted?.successful_key_count, keys.length);
    await namespaces.delete(id, { account_id });
  });

  test('keeps buckets and objects', async () => {
    const { buckets } = sdk.r2;
    const { name: bucket_name = '' } = await buckets.create({ account_id, name: 'sdk-bucket' });
    assert.deepEqual((await buckets.list({ account_id })).buckets?.map(({ name }) => name), [bucket_name]);
    assert.equal((await buckets.get(bucket_name, { account_id })).storage_class, 'Standard');
    const edited = await buckets.edit(bucket_name, { account_id, storage_class: 'InfrequentAccess' });
    assert.equal(edited.storage_class, 'InfrequentAccess');
    const here = { account_id, bucket_name };
    for (const key of ['a/1', 'a/2', 'b']) {
      assert.equal((await buckets.objects.upload(key, await toFile(Buffer.from(key)), here)).key, key);
    }
    const listed = await all(buckets.objects.list(bucket_name, { account_id, prefix: 'a/', per_page: 1 })); // by cursor
    assert.deepEqual(listed.map(({ key }) => key), ['a/1', 'a/2']);
    assert.equal(await (await buckets.objects.get('a/1', here)).text(), 'a/1');
    for (const key of ['a/1', 'a/2', 'b']) await buckets.objects.delete(key, here);
    await buckets.delete(bucket_name, { account_id });
  });

  test('keeps queues, and what is in them', async () => {
    const { queues } = sdk;
    const { queue_id = '' } = await queues.create({ account_id, queue_name: 'sdk-queue' });
    const patched = await queues.edit(queue_id, { account_id, settings: { delivery_delay: 1 } });
    assert.equal(patched.settings?.delivery_delay, 1);
    const replaced = await queues.update(queue_id, { account_id, queue_name: 'sdk-renamed' });
    assert.deepEqual([replaced.queue_name, replaced.settings?.delivery_delay], ['sdk-renamed', 0]);
    assert.deepEqual((await all(queues.list({ account_id }))).map((one) => one.queue_id), [queue_id]);

    const pull = await queues.consumers.create(queue_id, { account_id, type: 'http_pull', settings: { max_retries: 1 } });
    const consumer_id = String(pull.consumer_id);
    const changed = { account_id, queue_id, type: /** @type {const} */ ('http_pull'), settings: { max_retries: 2 } };
    await queues.consumers.update(consumer_id, changed);
    assert.equal((await queues.consumers.get(consumer_id, { account_id, queue_id })).settings?.max_retries, 2);
    assert.equal((await all(queues.consumers.list(queue_id, { account_id }))).length, 1);
    assert.equal((await queues.get(queue_id, { account_id })).consumers_total_count, 1);

    await queues.messages.push(queue_id, { account_id, body: { number: 1 }, content_type: 'json' });
    await queues.messages.bulkPush(queue_id, { account_id, messages: [{ body: 'two', content_type: 'text' }] });
    const { messages: peeked } = await queues.messages.peek(queue_id, { account_id });
    assert.equal(peeked?.length, 2);
    const { messages = [] } = await queues.messages.pull(queue_id, { account_id, batch_size: 2 });
    assert.deepEqual(messages.map(({ body, attempts }) => [body, attempts]), [['eyJudW1iZXIiOjF9', 1], ['two', 1]]);
    const [first, second] = messages.map(({ lease_id }) => ({ lease_id }));
    assert.ok(first && second);
    const ending = await queues.messages.ack(queue_id, { account_id, acks: [first], retries: [second] });
    assert.deepEqual([ending.ackCount, ending.retryCount], [1, 1]);
    assert.equal((await queues.getMetrics(queue_id, { account_id })).backlog_count, 1);

    await queues.purge.start(queue_id, { account_id, delete_messages_permanently: true });
    assert.equal((await queues.purge.status(queue_id, { account_id })).completed, 'true');
    assert.equal((await queues.getMetrics(queue_id, { account_id })).backlog_count, 0);
    await queues.consumers.delete(consumer_id, { account_id, queue_id });
    await queues.delete(queue_id, { account_id });
  });

  describe('with a script', () => {
    const script_name = 'sdk-script';

    before(async () => {
      const uploaded = await sdk.workers.scripts.update(script_name, {
        account_id,
        metadata: await json({
          main_module: 'index.js',
          compatibility_date: '2025-04-01',
          bindings: [
            { type: 'plain_text', name: 'GREETING', text: 'hello' },
            { type: 'durable_object_namespace', name: 'COUNTER', class_name: 'Counter' },
          ],
          migrations: { new_tag: 'v1', new_sqlite_classes: ['Counter'] },
        }),
        files: await indexModule(CODE),
      }, AS_FORM);
      assert.equal(uploaded.id, script_name);
    });
    after(() => sdk.workers.scripts.delete(script_name, { account_id, force: true }));

    const address = async () => (await sdk.workers.beta.workers.get(script_name, { account_id })).subdomain.url;

    test('runs it, and finds its objects', async () => {
      const { scripts } = sdk.workers;
      assert.deepEqual((await all(scripts.list({ account_id }))).map(({ id }) => id), [script_name]);
      assert.deepEqual(await (await fetch(String(await address()))).json(), { greeting: 'hello', count: 1 });
      const [namespace] = await all(sdk.durableObjects.namespaces.list({ account_id }));
      assert.deepEqual([namespace?.class, namespace?.use_sqlite], ['Counter', true]);
      const objects = await all(sdk.durableObjects.namespaces.objects.list(String(namespace?.id), { account_id, limit: 10 }));
      assert.deepEqual(objects.map(({ hasStoredData }) => hasStoredData), [true]);
    });

    test('reads and replaces its code', async () => {
      const { content } = sdk.workers.scripts;
      assert.match(await (await content.get(script_name, { account_id })).text(), /class Counter/);
      assert.match(await sdk.workers.scripts.get(script_name, { account_id }), /class Counter/);
      const files = await indexModule(`${CODE}\n// replaced`);
      await content.update(script_name, { account_id, metadata: await json({ main_module: 'index.js' }), files });
      assert.match(await (await content.get(script_name, { account_id })).text(), /replaced/);
    });

    test('uploads versions and deploys them', async () => {
      const { versions, deployments } = sdk.workers.scripts;
      const { id: version_id = '' } = await versions.create(script_name, {
        account_id,
        metadata: await json({ main_module: 'index.js', bindings: [{ type: 'inherit', name: 'COUNTER' }] }),
        files: await indexModule(CODE),
      });
      assert.equal((await versions.get(version_id, { account_id, script_name })).id, version_id);
      assert.equal((await all(versions.list(script_name, { account_id })))[0]?.id, version_id);
      const made = await deployments.create(script_name, {
        account_id,
        strategy: 'percentage',
        versions: [{ version_id, percentage: 100 }],
      });
      assert.deepEqual((await deployments.get(made.id, { account_id, script_name })).versions, made.versions);
      // The list itself is `result.deployments`, where this SDK looks for `result.items`: its page is empty.
      const page = await deployments.list(script_name, { account_id });
      const { deployments: [latest, earlier] } = /** @type {any} */ (page.result);
      assert.equal(latest.id, made.id);
      await deployments.delete(earlier.id, { account_id, script_name });
      await assert.rejects(deployments.get(earlier.id, { account_id, script_name }), Cloudflare.NotFoundError);
    });

    test('sets secrets, one and many', async () => {
      const { secrets } = sdk.workers.scripts;
      await secrets.update(script_name, { account_id, name: 'ONE', text: 'x', type: 'secret_text' });
      const two = { name: 'TWO', text: 'y', type: /** @type {const} */ ('secret_text') };
      await secrets.bulkUpdate(script_name, { account_id, secrets: { TWO: two } });
      const listed = await all(secrets.list(script_name, { account_id }));
      assert.deepEqual(listed, [{ name: 'ONE', type: 'secret_text' }, { name: 'TWO', type: 'secret_text' }]);
      assert.deepEqual(await secrets.get('ONE', { account_id, script_name }), listed[0]);
      await secrets.delete('ONE', { account_id, script_name });
      assert.deepEqual(await all(secrets.list(script_name, { account_id })), listed.slice(1));
    });

    test('sets its schedules, subdomain and settings', async () => {
      const { scripts } = sdk.workers;
      const body = [{ cron: '*/5 * * * *' }];
      assert.equal((await scripts.schedules.update(script_name, { account_id, body })).schedules[0]?.cron, '*/5 * * * *');
      assert.equal((await scripts.schedules.get(script_name, { account_id })).schedules.length, 1);
      await scripts.subdomain.create(script_name, { account_id, enabled: true, previews_enabled: true });
      assert.equal((await scripts.subdomain.get(script_name, { account_id })).previews_enabled, true);
      assert.equal((await scripts.subdomain.delete(script_name, { account_id })).enabled, false);
      assert.equal((await scripts.settings.edit(script_name, { account_id, logpush: true })).logpush, true);
      assert.equal((await scripts.settings.get(script_name, { account_id })).logpush, true);
      const settings = await json({ tags: ['one'], compatibility_flags: ['nodejs_compat'] });
      const { scriptAndVersionSettings } = scripts;
      await scriptAndVersionSettings.edit(script_name, { account_id, settings });
      const got = await scriptAndVersionSettings.get(script_name, { account_id });
      assert.deepEqual([got.tags, got.compatibility_flags], [['one'], ['nodejs_compat']]);
    });

    test('tails it', async () => {
      const { tail } = sdk.workers.scripts;
      const made = await tail.create(script_name, { account_id });
      assert.match(made.url, /^ws/);
      const listed = /** @type {any} */ (await tail.get(script_name, { account_id })); // an array, against its type
      assert.deepEqual(listed.map((/** @type {{id: string}} */ { id }) => id), [made.id]);
      await tail.delete(made.id, { account_id, script_name });
    });

    test('runs its workflow', async () => {
      const workflow_name = 'sdk-workflow';
      const { workflows } = sdk;
      await workflows.update(workflow_name, { account_id, script_name, class_name: 'Doubling' });
      assert.equal((await workflows.get(workflow_name, { account_id })).class_name, 'Doubling');
      assert.deepEqual((await all(workflows.list({ account_id }))).map(({ name }) => name), [workflow_name]);
      const [version] = await all(workflows.versions.list(workflow_name, { account_id }));
      assert.ok(version);
      assert.equal((await workflows.versions.get(version.id, { account_id, workflow_name })).class_name, 'Doubling');

      const { instances } = workflows;
      const { id: instance_id } = await instances.create(workflow_name, { account_id, params: '21' });
      const event = { account_id, workflow_name, instance_id, body: { word: 'answer ' } };
      await eventually(async () => (await instances.get(instance_id, { account_id, workflow_name })).status === 'waiting');
      await instances.events.create('go', event);
      const done = await eventually(async () => {
        const instance = await instances.get(instance_id, { account_id, workflow_name });
        return instance.status === 'complete' && instance;
      });
      assert.equal(done.output, 'answer 42');
      const step = await instances.step(instance_id, { account_id, workflow_name, name: 'double-1', type: 'step' });
      assert.equal(step.output, 42);

      const batch = await all(instances.bulk(workflow_name, { account_id, body: [{ instance_id: 'b-1' }, { instance_id: 'b-2' }] }));
      assert.deepEqual(batch.map(({ id }) => id), ['b-1', 'b-2']);
      await instances.status.edit('b-1', { account_id, workflow_name, status: 'terminate' });
      await eventually(async () => (await instances.get('b-1', { account_id, workflow_name })).status === 'terminated');
      const listed = await all(instances.list(workflow_name, { account_id, per_page: 1 })); // three pages
      assert.deepEqual(listed.map(({ id }) => id).sort(), [instance_id, 'b-1', 'b-2'].sort());
      await workflows.delete(workflow_name, { account_id });
    });

    test('lets it consume a queue, which keeps both from being deleted', async () => {
      const { queue_id = '' } = await sdk.queues.create({ account_id, queue_name: 'sdk-consumed' });
      const consumer = await sdk.queues.consumers.create(queue_id, { account_id, type: 'worker', script_name });
      await assert.rejects(
        sdk.workers.scripts.delete(script_name, { account_id }),
        (error) => error instanceof Cloudflare.PermissionDeniedError && error.errors[0]?.code === 10064,
      );
      await sdk.queues.consumers.delete(String(consumer.consumer_id), { account_id, queue_id });
      await sdk.queues.delete(queue_id, { account_id });
    });
  });

  test('keeps Workers and their versions', async () => {
    const { workers } = sdk.workers.beta;
    const made = await workers.create({ account_id, name: 'sdk-worker', subdomain: { enabled: true } });
    const edited = await workers.edit(made.id, { account_id, ...made, tags: ['one'] });
    assert.deepEqual([edited.name, edited.tags], ['sdk-worker', ['one']]);
    assert.deepEqual((await workers.update(made.id, { account_id, name: 'sdk-worker', logpush: true })).tags, []);
    assert.deepEqual((await all(workers.list({ account_id }))).map(({ name }) => name), ['sdk-worker']);
    const code = "export default { fetch: () => new Response('made') }";
    const upload = {
      account_id,
      main_module: 'index.js',
      compatibility_date: '2025-04-01',
      modules: [{
        name: 'index.js',
        content_type: 'application/javascript+module',
        content_base64: Buffer.from(code).toString('base64'),
      }],
    };
    const deployed = await workers.versions.create(made.id, { ...upload, deploy: true });
    assert.equal(await (await fetch(String(edited.subdomain.url))).text(), 'made');
    const spare = await workers.versions.create(made.id, upload);
    assert.deepEqual((await all(workers.versions.list(made.id, { account_id }))).map(({ id }) => id), [spare.id, deployed.id]);
    const got = await workers.versions.get(spare.id, { account_id, worker_id: made.id, include: 'modules' });
    assert.equal(got.modules?.[0]?.name, 'index.js');
    await workers.versions.delete(spare.id, { account_id, worker_id: made.id });
    await workers.delete(made.id, { account_id });
  });

  test('sets the account\'s subdomain', async () => {
    assert.equal((await sdk.workers.subdomains.update({ account_id, subdomain: 'sdk' })).subdomain, 'sdk');
    assert.equal((await sdk.workers.subdomains.get({ account_id })).subdomain, 'sdk');
  });

  describe('throws', () => {
    /** What is asked for, the class of the error, and the code in it. @type {[string, () => Promise<unknown>, Function, number][]} */
    const cases = [
      ['a body that is refused', () => sdk.queues.create({ account_id, queue_name: 'Not a name' }), Cloudflare.BadRequestError, 11003],
      ['an unknown token', async () => cloudflare.client('x'.repeat(40)).user.get(), Cloudflare.AuthenticationError, 10000],
      ['another account', () => all(sdk.queues.list({ account_id: 'f'.repeat(32) })), Cloudflare.PermissionDeniedError, 10000],
      ['what is not there', () => sdk.queues.get('0'.repeat(32), { account_id }), Cloudflare.NotFoundError, 11000],
      ['a name that is taken', () => twice(() => sdk.queues.create({ account_id, queue_name: 'taken' })), Cloudflare.ConflictError, 11009],
      ['what is not here', () => all(sdk.vectorize.indexes.list({ account_id })), Cloudflare.InternalServerError, 7000],
    ];

    for (const [what, ask, type, code] of cases) {
      test(`${type.name} for ${what}`, async () => {
        const error = await ask().then(() => null, (reason) => reason);
        assert.ok(error instanceof Cloudflare.APIError);
        assert.equal(error.constructor, type);
        assert.deepEqual(error.errors.map((one) => one.code), [code]);
      });
    }

    /** @param {() => Promise<unknown>} ask */
    const twice = async (ask) => [await ask(), await ask()];
  });
});
