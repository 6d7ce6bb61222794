/** Hyperdrive in the Node process: Miniflare passes a Worker's connections on to the database. */

/** Used in a trial: code that is being loaded cannot connect. */
const NOWHERE = 'postgres://trial:trial@127.0.0.1:9/trial';

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    hyperdrive: {
      live: ({ id, connection_string }) => ({ type: 'hyperdrive', id, dev: { connectionString: connection_string } }),
      trial: () => ({ type: 'hyperdrive', id: 'trial', dev: { connectionString: NOWHERE } }),
    },
  },
};
