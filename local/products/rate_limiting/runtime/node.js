/** Rate limiting, as the Node process sees it. */

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: { ratelimit: { live: ({ namespace_id, simple }) => ({ type: 'rate-limit', namespace: namespace_id, simple }) } },
};
