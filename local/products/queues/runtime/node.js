/** Queues in the Node process. */

import { STORE_WORKER, TRIAL_SERVICE, storeCalls, workerdBinding } from '../../../runtime/bindings.js';
import { targets } from '../../../runtime/desired_state.js';

/** @import { DesiredState, QueueSettings } from '../../../runtime/desired_state.js' */

/** @type {import('../../../runtime/products.js').NodeProduct} */
export default {
  bindings: {
    queue: {
      live: ({ queue_id, delivery_delay = null }) =>
        workerdBinding({ queue: storeCalls('QueueProducer', { queueId: queue_id, deliveryDelay: delivery_delay }) }),
      trial: () => workerdBinding({ queue: TRIAL_SERVICE }),
    },
  },
  // A queue's timers exist only in the object's memory.
  classes: { QueueObject: { binding: 'QUEUES', uniqueKey: 'local-queues', preventEviction: true } },
  environment: { KILLABLE: { type: 'worker', worker: STORE_WORKER, exportName: 'KillableInvocation' } },
  standing: { queues: { settings: queueSettings, leaves: true } },
};

/**
 * Returns the settings of each queue's Durable Object, by queue id.
 *
 * @param {DesiredState} state
 * @returns {Record<string, QueueSettings>}
 */
function queueSettings({ workers, queues }) {
  const byName = new Map(workers.map((worker) => [worker.name, worker]));
  return Object.fromEntries(
    queues.map(({ id, consumer, ...settings }) => [
      id,
      {
        ...settings,
        consumer:
          consumer?.type === 'worker' ? { ...consumer, targets: targets(byName.get(consumer.script_name)) } : consumer,
      },
    ]),
  );
}
