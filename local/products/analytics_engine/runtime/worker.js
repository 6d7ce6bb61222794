export { AnalyticsDataset } from './dataset.js';
