/** Who listens to tails, for the Node side. */

import { listenTo } from './tail.js';

export default {
  tails: {
    /** @type {(env: object, id: string, body: {workers: string[]}) => Promise<object>} */
    async configure(_env, _id, { workers }) {
      listenTo(workers);
      return {};
    },
  },
};
