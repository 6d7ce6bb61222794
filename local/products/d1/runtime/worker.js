export { D1Binding } from './binding.js';
