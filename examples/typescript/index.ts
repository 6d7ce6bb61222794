import * as path from 'node:path';

import * as ephemera from '@pulumi/ephemera';
import * as pulumi from '@pulumi/pulumi';

const runner = new ephemera.TaskRunner('words', {
  accountId: new pulumi.Config().require('accountId'),
  public: true,
  maxRetries: pulumi.output(3),
  handlers: path.resolve('handlers'), // the component runs in a process of its own
});

export const url = runner.url;
export const queueName = runner.queueName;
