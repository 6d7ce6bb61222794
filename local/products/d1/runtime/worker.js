export { D1Binding } from './binding.js';
export { D1Object } from './object.js';
