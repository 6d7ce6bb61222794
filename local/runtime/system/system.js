/** The system Worker: what the data plane runs inside workerd, beside the user's Workers. */

export { AnalyticsDataset } from '../../products/analytics_engine/runtime/dataset.js';
export { default } from './gateway.js';
export { KvBinding } from '../../products/kv/runtime/binding.js';
export { KvObject } from '../../products/kv/runtime/object.js';
export { QueueObject } from '../../products/queues/runtime/object.js';
export { QueueProducer } from '../../products/queues/runtime/producer.js';
export { Tail } from '../../products/tails/runtime/tail.js';
export { WorkflowObject } from '../../products/workflows/runtime/object.js';
export { WorkflowBinding } from '../../products/workflows/runtime/binding.js';
