export { Tail } from './tail.js';
