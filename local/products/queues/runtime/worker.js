export { KillableInvocation } from './killable.js';
export { QueueObject } from './object.js';
export { QueueProducer } from './producer.js';
