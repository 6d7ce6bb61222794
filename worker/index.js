/**
 * The Worker's entry point, whatever it is made of: `components/bundle/` puts in the parts that a deployment uses.
 */

import { Consumer, Engine, handlers, Store, sweep, Validator } from 'task-runner:parts';

import { taskRunner } from './task_runner.js';

export * from 'task-runner:classes';
export default taskRunner({ Store, Engine, handlers, Consumer, sweep, Validator });
