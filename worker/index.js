/** The Worker's entry point: the parts that a deployment is made of; these are d1 and queue. */

import { QueueEngine } from './engines/queue.js';
import * as defaultHandler from './handlers/default.js';
import * as httpHandler from './handlers/http.js';
import { D1Store } from './stores/d1.js';
import { sweep } from './sweeper.js';
import { taskRunner } from './task_runner.js';

const Store = D1Store;
const handlers = { 'default': defaultHandler, 'http': httpHandler };
export default taskRunner({ Store, Engine: QueueEngine, handlers, Consumer: QueueEngine, sweep });
