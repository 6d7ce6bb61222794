/** Tails, as the Node process sees them. */

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  standing: {
    tails: {
      inWorkers: true,
      settings: ({ workers }) => ({ all: { workers: workers.filter(({ tailed }) => tailed).map(({ name }) => name) } }),
    },
  },
};
