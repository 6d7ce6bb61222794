export { KvBinding } from './binding.js';
export { KvObject } from './object.js';
