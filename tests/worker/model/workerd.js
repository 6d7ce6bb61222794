/** What workerd has and Node has not: to be imported before what needs it. */

import { registerHooks } from 'node:module';

/** @type {Record<string, string>} */
const MODULES = {
  'cloudflare:workers': `
    class Entrypoint { constructor(ctx, env) { this.ctx = ctx; this.env = env; } }
    export class DurableObject extends Entrypoint {}
    export class WorkflowEntrypoint extends Entrypoint {}`,
  'cloudflare:workflows': 'export class NonRetryableError extends Error {}',
};

registerHooks({
  resolve: (specifier, context, next) => {
    const source = MODULES[specifier];
    return source ? { url: `data:text/javascript,${encodeURIComponent(source)}`, shortCircuit: true } : next(specifier, context);
  },
});
