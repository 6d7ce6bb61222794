/** The system Worker: what the data plane runs inside workerd, beside the user's Workers. */

export { default } from './gateway.js';
export { QueueObject } from './queue.js';
export { QueueProducer } from './queue_producer.js';
export { Tail } from './tail.js';
