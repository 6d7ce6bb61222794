/** The system Worker: what the data plane runs inside workerd, beside the user's Workers. */

export { AnalyticsDataset } from './analytics_dataset.js';
export { default } from './gateway.js';
export { KvBinding } from './kv_binding.js';
export { KvObject } from './kv_store.js';
export { QueueObject } from './queue.js';
export { QueueProducer } from './queue_producer.js';
export { Tail } from './tail.js';
export { WorkflowObject } from './workflow.js';
export { WorkflowBinding } from './workflow_binding.js';
