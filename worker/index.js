/** The Worker's entry point for every combination of parts: `components/bundle/` inserts those of the deployment. */

import { Consumer, Engine, handlers, Store, sweep, Validator } from 'task-runner:parts';

import { taskRunner } from './task_runner.js';

export * from 'task-runner:classes';
export default taskRunner({ Store, Engine, handlers, Consumer, sweep, Validator });
