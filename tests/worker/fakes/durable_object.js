/** Durable Objects in this process: each with its SQLite and its alarm. */

import { FakeSqlite, isReading } from './sqlite.js';

/** @typedef {(name: string, work: () => any, method: string) => Promise<any>} Call each call of an object's method */

export class FakeNamespace {
  /** @type {Map<string, {sqlite: FakeSqlite, context: any, instance: any}>} */
  objects = new Map();

  /**
   * @param {new (context: any, env: any) => any} Class
   * @param {(name: string) => any} envOf its environment
   * @param {Call} [call]
   */
  constructor(Class, envOf, call = async (_, work) => work()) {
    this.Class = Class;
    this.envOf = envOf;
    this.call = call;
  }

  /** @param {string} name @returns {any} a stub */
  getByName(name) {
    return new Proxy({}, {
      get: (_, method) => (/** @type {unknown[]} */ ...parameters) => (
        this.call(name, async () => structuredClone(await this.object(name).instance[method](...structuredClone(parameters))), String(method))
      ),
    });
  }

  /** @param {string} name */
  object(name) {
    let object = this.objects.get(name);
    if (!object) {
      const sqlite = new FakeSqlite();
      const context = { storage: storageOf(sqlite, () => this.#ring(name)) };
      object = { sqlite, context, instance: new this.Class(context, this.envOf(name)) };
      this.objects.set(name, object);
    }
    return object;
  }

  /** @param {string} name what was in memory is gone */
  reset(name) {
    const object = this.objects.get(name);
    if (object) object.instance = new this.Class(object.context, this.envOf(name));
  }

  /** @param {string} name */
  async #ring(name) {
    await this.object(name).instance.alarm();
  }
}

/**
 * @param {FakeSqlite} sqlite
 * @param {() => Promise<void>} ring
 */
function storageOf(sqlite, ring) {
  /** @type {number | null} */
  let alarm_ms = null;
  return {
    sql: {
      databaseSize: 4096,
      /** @param {string} sql @param {...unknown} parameters */
      exec: (sql, ...parameters) => {
        if (parameters.length === 0 && !isReading(sql)) {
          sqlite.exec(sql);
          return { toArray: () => [], one: () => undefined, rowsWritten: 1 };
        }
        const rows = sqlite.all(sql, parameters).map((row) => ({ ...row }));
        return { toArray: () => rows, one: () => rows[0], rowsWritten: isReading(sql) ? 0 : 1 };
      },
    },
    /** @param {() => any} work */
    transactionSync: (work) => sqlite.transaction(work),
    getAlarm: async () => alarm_ms,
    /** @param {number} at_ms */
    setAlarm: async (at_ms) => {
      alarm_ms = at_ms;
      setTimeout(() => {
        if (alarm_ms !== at_ms) return;
        alarm_ms = null;
        void ring();
      }, at_ms - Date.now());
    },
    deleteAlarm: async () => { alarm_ms = null; },
    deleteAll: async () => {
      const names = sqlite.all("SELECT name FROM sqlite_schema WHERE type = 'table'", []).map(({ name }) => name);
      for (const name of names) sqlite.exec(`DROP TABLE "${name}"`);
    },
  };
}
