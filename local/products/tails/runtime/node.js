/** Tails in the Node process. */

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  standing: {
    tails: {
      inWorkers: true,
      settings: ({ workers }) => ({ all: { workers: workers.filter(({ tailed }) => tailed).map(({ name }) => name) } }),
    },
  },
};
