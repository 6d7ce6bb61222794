/** Faults of calls that do not pass the store: the code that makes them, in a Worker's own isolate, asks here first. */

import { WorkerEntrypoint } from 'cloudflare:workers';

import { drawFault, hasFaults } from './rules.js';

/**
 * @import { Fault, FaultProduct } from './rules.js'
 *
 * @typedef {{product: FaultProduct, resource: string}} Props
 */

/** @extends {WorkerEntrypoint<object, Props>} */
export class FaultDraws extends WorkerEntrypoint {
  /**
   * Checks a call against the rules; `isQuiet` says that no rule is about this product.
   *
   * @param {string} method
   * @returns {Promise<{isQuiet: boolean, fault: Fault | null}>}
   */
  async draw(method) {
    const { product, resource } = this.ctx.props;
    return { isQuiet: !hasFaults(product), fault: drawFault({ product, resource, method }) };
  }
}
