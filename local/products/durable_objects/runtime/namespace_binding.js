/**
 * A binding to a Durable Object namespace whose calls can be made to fail. It runs in the Worker's own isolate, because a call to an object goes
 * directly from there.
 *
 * Namespace and stubs are workerd's own objects with a replaced prototype, which intercepts each call: so they can be passed on, and keep all their
 * other abilities. A stub accepts any method name, but workerd supports that only for objects with its own prototype, so the calls are made on a
 * second stub of the same object.
 */

/**
 * @typedef {{effect: 'before' | 'after' | 'delay', message: string, properties: object, delayMs: number}} Fault
 * @typedef {{draw(method: string): Promise<{isQuiet: boolean, fault: Fault | null}>}} Draws
 * @typedef {(...args: any[]) => any} Method
 */

/**
 * How long the knowledge that there are no rules stays valid. Setting a rule waits as long, so that it applies to every later call (`QUIET_MS` in
 * faults/runtime/node.js).
 */
const QUIET_MS = 10;
const GIVES_STUB = new Set(['get', 'getByName', 'getExisting']);
/** Methods of a stub that do not call the object. */
const NO_CALLS = new Set(['connect', 'constructor', 'dup', 'then', 'toString', 'valueOf', 'hasOwnProperty', 'toJSON']);

/**
 * @param {{namespace: any, draws: Draws}} bindings
 * @returns {any} the namespace
 */
export default function ({ namespace, draws }) {
  return watchedNamespace(namespace, new Calls(draws));
}

/**
 * @param {any} namespace
 * @param {Calls} calls
 */
function watchedNamespace(namespace, calls) {
  /** @type {WeakMap<object, any>} the stubs that make the calls */
  const callers = new WeakMap();
  const stubs = new Prototype((stub, name) => {
    const caller = callers.get(stub);
    const value = Reflect.get(caller, name, caller);
    if (typeof name !== 'string' || typeof value !== 'function') return value;
    return NO_CALLS.has(name) ? value : calls.method(name, value, name === 'fetch' ? caller : undefined);
  });
  /** @type {(self: object, method: Method) => Method} */
  const givingStubs = (self, method) => (...args) => {
    const stub = Reflect.apply(method, self, args);
    callers.set(stub, Reflect.apply(method, self, args));
    return stubs.give(stub);
  };
  const namespaces = new Prototype((self, name, prototype) => {
    const value = Reflect.get(prototype, name, self);
    if (GIVES_STUB.has(String(name))) return givingStubs(self, value);
    if (name !== 'jurisdiction') return value;
    return (/** @type {any[]} */ ...args) => watchedNamespace(Reflect.apply(value, self, args), calls);
  });
  return namespaces.give(namespace);
}

/** A prototype that intercepts reads of the prototype that it replaces. */
class Prototype {
  #read;
  /** @type {object | null} */
  #prototype = null;

  /** @param {(self: any, name: string | symbol, prototype: object) => unknown} read */
  constructor(read) {
    this.#read = read;
  }

  /**
   * @template {object} T
   * @param {T} object an object; always of the same kind
   */
  give(object) {
    this.#prototype ??= this.#around(Object.getPrototypeOf(object));
    return Object.setPrototypeOf(object, this.#prototype);
  }

  /** @param {object} prototype */
  #around(prototype) {
    const read = this.#read;
    return new Proxy(prototype, { get: (target, name, self) => read(self, name, target) });
  }
}

/** Calls to the objects of a namespace. */
class Calls {
  #draws;
  #quietUntil = 0;

  /** @param {Draws} draws */
  constructor(draws) {
    this.#draws = draws;
  }

  /**
   * A method, or a property, of a stub: it can be called, awaited, and its members read.
   *
   * @param {string} name
   * @param {Method} method workerd's method
   * @param {unknown} self the object on which it is called
   */
  method(name, method, self) {
    /** @type {(make: () => any) => any} */
    const guarded = (make) => (Date.now() < this.#quietUntil ? make() : later(this.#make(name, make)));
    return new Proxy(method, {
      apply: (_target, _self, args) => guarded(() => Reflect.apply(method, self, args)),
      get: (target, key) => {
        if (key !== 'then') return Reflect.get(target, key, target);
        return (/** @type {any} */ done, /** @type {any} */ failed) => guarded(() => target).then(done, failed);
      },
    });
  }

  /**
   * @param {string} name
   * @param {() => any} make
   */
  async #make(name, make) {
    const { isQuiet, fault } = await this.#draws.draw(name);
    if (isQuiet) this.#quietUntil = Date.now() + QUIET_MS;
    if (fault === null) return make();
    if (fault.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    if (fault.effect === 'delay') return make();
    if (fault.effect === 'after') await Promise.resolve(make()).catch(() => {}); // its own error is lost too
    throw Object.assign(new Error(fault.message), fault.properties);
  }
}

/**
 * A promise whose value can be called and whose members can be read before it resolves, like a promise of workerd's RPC.
 *
 * @param {Promise<any>} promise
 * @returns {any}
 */
function later(promise) {
  return new Proxy(promise, {
    get(target, name) {
      if (name in target) {
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      if (typeof name === 'symbol') return undefined;
      return laterPart(target, name);
    },
  });
}

/**
 * @param {Promise<any>} whole
 * @param {string} name
 */
function laterPart(whole, name) {
  const part = () => later(whole.then((value) => value[name]));
  return new Proxy(/** @type {any} */ (function () {}), {
    apply: (_target, _self, args) => later(whole.then((value) => value[name](...args))),
    get: (_target, key) => part()[key],
  });
}
