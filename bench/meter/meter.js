/**
 * Counts what a Worker uses in the units that Cloudflare bills. It wraps the Worker's bindings without changing their calls and answers. Units are
 * counted by what started the code: fetch, queue, scheduled, object, workflow.
 *
 * `GET /.meter` returns the counts, `DELETE /.meter` resets them, `POST /.meter` runs what the cron trigger runs.
 */

/** @typedef {'fetch' | 'queue' | 'scheduled' | 'object' | 'workflow'} Trigger */
/** @typedef {(unit: string, amount?: number) => void} Count */
/** @typedef {Record<string, string>} BindingTypes by name, with the API's names of types */

const METER_PATH = '/.meter';
/** A message counts once for each 64 KB (https://developers.cloudflare.com/queues/platform/pricing/). */
const QUEUE_OPERATION_BYTES = 65_536;

/** @type {Record<string, Record<string, number>>} */
let counts = {};

/** @type {Map<Trigger, Count>} */
const COUNTERS = new Map();

/**
 * @param {Trigger} trigger
 * @returns {Count} the same object each time
 */
function counter(trigger) {
  const count = COUNTERS.get(trigger) ?? ((unit, amount = 1) => {
    const own = (counts[trigger] ??= {});
    own[unit] = (own[unit] ?? 0) + amount;
  });
  COUNTERS.set(trigger, count);
  return count;
}

/**
 * Returns the Worker's handlers, metered.
 *
 * @param {ExportedHandler<any>} worker
 * @param {BindingTypes} types
 * @returns {ExportedHandler<any>}
 */
export function meteredWorker(worker, types) {
  return {
    async fetch(request, env, context) {
      if (new URL(request.url).pathname === METER_PATH) {
        if (request.method === 'POST') await /** @type {any} */ (this.scheduled)({ cron: '', scheduledTime: Date.now() }, env, context);
        return meter(request.method);
      }
      const count = counter('fetch');
      count('requests');
      return /** @type {any} */ (worker.fetch)(request, meteredEnv(env, types, count), context);
    },
    ...(worker.queue && {
      async queue(/** @type {any} */ batch, /** @type {any} */ env, /** @type {any} */ context) {
        const count = counter('queue');
        count('requests');
        const metered = meteredBatch(batch, count);
        await /** @type {any} */ (worker.queue)(metered.batch, meteredEnv(env, types, count), context);
        metered.settle();
      },
    }),
    ...(worker.scheduled && {
      async scheduled(/** @type {any} */ controller, /** @type {any} */ env, /** @type {any} */ context) {
        return /** @type {any} */ (worker.scheduled)(controller, meteredEnv(env, types, counter('scheduled')), context);
      },
    }),
  };
}

/**
 * Returns a Durable Object class, metered.
 *
 * @param {any} ObjectClass
 * @param {BindingTypes} types
 */
export function meteredObject(ObjectClass, types) {
  const count = counter('object');
  return class extends ObjectClass {
    /** @param {any[]} parts */
    constructor(...parts) {
      super(...parts);
      const own = /** @type {any} */ (this);
      own.ctx = replacing(own.ctx, { storage: meteredStorage(own.ctx.storage, count) });
      own.env = meteredEnv(own.env, types, count);
    }
  };
}

/**
 * Returns a Workflow class, metered.
 *
 * @param {any} WorkflowClass
 * @param {BindingTypes} types
 */
export function meteredWorkflow(WorkflowClass, types) {
  return class extends WorkflowClass {
    /** @param {any[]} parts */
    constructor(...parts) {
      super(...parts);
      const own = /** @type {any} */ (this);
      own.env = meteredEnv(own.env, types, counter('workflow'));
    }

    /**
     * @param {unknown} event
     * @param {any} step
     */
    async run(event, step) {
      const count = counter('workflow');
      count('requests');
      const counted = (/** @type {string} */ name) => (/** @type {any[]} */ ...rest) => {
        count('workflow_steps');
        return step[name](...rest);
      };
      return super.run(event, Object.fromEntries(['do', 'sleep', 'sleepUntil', 'waitForEvent'].map((name) => [name, counted(name)])));
    }
  };
}

/** @param {string} method */
function meter(method) {
  const seen = counts;
  if (method === 'DELETE') counts = {};
  return Response.json(seen);
}

/** @type {Record<string, (binding: any, count: Count) => unknown>} */
const METERED_BINDINGS = {
  d1: meteredDatabase,
  queue: meteredQueue,
  kv_namespace: meteredNamespace,
  durable_object_namespace: meteredObjects,
};

/** The metered binding of each real one, by counter: the same object is returned each time, because a Worker may use a binding as a key, for instance
 * to join concurrent calls. @type {WeakMap<Count, WeakMap<object, unknown>>} */
const METERED = new WeakMap();

/**
 * @param {Record<string, unknown>} env
 * @param {BindingTypes} types
 * @param {Count} count
 */
function meteredEnv(env, types, count) {
  const known = METERED.get(count) ?? new WeakMap();
  METERED.set(count, known);
  return Object.fromEntries(Object.entries(env).map(([name, binding]) => {
    const meteredBinding = METERED_BINDINGS[types[name] ?? ''];
    if (!meteredBinding) return [name, binding];
    const real = /** @type {object} */ (binding);
    if (!known.has(real)) known.set(real, meteredBinding(real, count));
    return [name, known.get(real)];
  }));
}

/**
 * @param {D1Database} database
 * @param {Count} count
 */
function meteredDatabase(database, count) {
  /** The real statement of each metered one. @type {WeakMap<object, D1PreparedStatement>} */
  const real = new WeakMap();

  /** @param {D1PreparedStatement} statement */
  function metered(statement) {
    const all = async () => {
      count('d1_round_trips');
      return counted(await statement.all());
    };
    const wrapper = replacing(statement, {
      bind: (/** @type {unknown[]} */ ...values) => metered(statement.bind(...values)),
      all,
      run: all,
      // They run the same statement as `all`, and return a part of its answer, without the cost.
      first: async (/** @type {string | undefined} */ column) => {
        const [row = null] = /** @type {Record<string, unknown>[]} */ ((await all()).results);
        return row && column !== undefined ? row[column] : row;
      },
      raw: async () => /** @type {Record<string, unknown>[]} */ ((await all()).results).map(Object.values),
    });
    real.set(wrapper, statement);
    return wrapper;
  }

  /** @param {D1Result} result */
  function counted(result) {
    count('d1_rows_read', result.meta.rows_read);
    count('d1_rows_written', result.meta.rows_written);
    return result;
  }

  return replacing(database, {
    prepare: (/** @type {string} */ sql) => metered(database.prepare(sql)),
    batch: async (/** @type {object[]} */ statements) => {
      count('d1_round_trips');
      const results = await database.batch(statements.map((each) => /** @type {D1PreparedStatement} */ (real.get(each))));
      return results.map(counted);
    },
  });
}

/**
 * @param {Queue} queue
 * @param {Count} count
 */
function meteredQueue(queue, count) {
  return replacing(queue, {
    send: (/** @type {unknown} */ body, /** @type {QueueSendOptions} */ options) => {
      count('queue_writes', operations(body));
      return queue.send(body, options);
    },
    sendBatch: (/** @type {Iterable<MessageSendRequest>} */ messages, /** @type {QueueSendBatchOptions} */ options) => {
      const all = [...messages];
      for (const { body } of all) count('queue_writes', operations(body));
      return queue.sendBatch(all, options);
    },
  });
}

/**
 * @param {MessageBatch} batch
 * @param {Count} count
 * @returns {{batch: MessageBatch, settle: () => void}} must be called when the consumer has succeeded
 */
function meteredBatch(batch, count) {
  /** @type {Set<Message>} */
  const retried = new Set();
  for (const { body } of batch.messages) count('queue_reads', operations(body));
  const messages = batch.messages.map((message) => replacing(message, {
    retry: (/** @type {QueueRetryOptions} */ options) => {
      retried.add(message);
      message.retry(options);
    },
  }));
  const retryAll = (/** @type {QueueRetryOptions} */ options) => {
    batch.messages.forEach((message) => retried.add(message));
    batch.retryAll(options);
  };
  return {
    batch: replacing(batch, { messages, retryAll }),
    settle: () => {
      for (const message of batch.messages) if (!retried.has(message)) count('queue_deletes', operations(message.body));
    },
  };
}

/** @param {unknown} body */
function operations(body) {
  const bytes = typeof body === 'string' ? body : (JSON.stringify(body) ?? '');
  return Math.max(1, Math.ceil(new TextEncoder().encode(bytes).byteLength / QUEUE_OPERATION_BYTES));
}

/**
 * @param {any} namespace
 * @param {Count} count
 */
function meteredNamespace(namespace, count) {
  const keys = (/** @type {unknown} */ key) => (Array.isArray(key) ? key.length : 1);
  const counted = (/** @type {string} */ name, /** @type {string} */ unit) => (/** @type {any[]} */ ...rest) => {
    count(unit, keys(rest[0]));
    return namespace[name](...rest);
  };
  return replacing(namespace, {
    get: counted('get', 'kv_reads'),
    getWithMetadata: counted('getWithMetadata', 'kv_reads'),
    put: counted('put', 'kv_writes'),
    delete: counted('delete', 'kv_deletes'),
    list: counted('list', 'kv_lists'),
  });
}

/**
 * @param {any} namespace
 * @param {Count} count
 */
function meteredObjects(namespace, count) {
  const stub = (/** @type {any} */ object) => new Proxy(object, {
    get(target, name) {
      const member = target[name];
      if (typeof member !== 'function') return member;
      return (/** @type {any[]} */ ...rest) => {
        count('object_requests');
        return target[name](...rest);
      };
    },
  });
  return replacing(namespace, {
    get: (/** @type {any[]} */ ...rest) => stub(namespace.get(...rest)),
    getByName: (/** @type {any[]} */ ...rest) => stub(namespace.getByName(...rest)),
  });
}

/**
 * Setting an alarm is billed as a written row (https://developers.cloudflare.com/durable-objects/platform/pricing/).
 *
 * @param {any} storage
 * @param {Count} count
 */
function meteredStorage(storage, count) {
  const exec = (/** @type {any[]} */ ...rest) => {
    const cursor = storage.sql.exec(...rest);
    /** @template T @param {T} rows */
    const counted = (rows) => {
      count('object_rows_read', cursor.rowsRead);
      count('object_rows_written', cursor.rowsWritten);
      return rows;
    };
    return replacing(cursor, { toArray: () => counted(cursor.toArray()), one: () => counted(cursor.one()) });
  };
  return replacing(storage, {
    sql: replacing(storage.sql, { exec }),
    setAlarm: (/** @type {any[]} */ ...rest) => {
      count('object_rows_written');
      return storage.setAlarm(...rest);
    },
  });
}

/**
 * Returns an object with some members replaced. Methods run on the real object: the runtime's methods accept no other.
 *
 * @template {object} T
 * @param {T} object
 * @param {Record<string, unknown>} members
 * @returns {T}
 */
function replacing(object, members) {
  return new Proxy(object, {
    get(target, name) {
      if (typeof name === 'string' && Object.hasOwn(members, name)) return members[name];
      const member = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
