export { WorkflowBinding } from './binding.js';
export { WorkflowObject } from './object.js';
