export { FaultDraws } from './draws.js';
