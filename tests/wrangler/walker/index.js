import { DurableObject, WorkflowEntrypoint } from 'cloudflare:workers';

export class Counter extends DurableObject {
  async next() {
    const count = ((await this.ctx.storage.get('count')) ?? 0) + 1;
    await this.ctx.storage.put('count', count);
    return count;
  }
}

export class Saga extends WorkflowEntrypoint {
  async run(event, step) {
    const made = await step.do('make', async () => ({ made: event.payload }));
    await step.sleep('rest', '1 hour');
    return made;
  }
}

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    console.log('walked to', pathname);
    if (pathname === '/count') return Response.json(await env.COUNTER.getByName('steps').next());
    if (pathname === '/fall') throw new Error('stumbled');
    const { GREETING, SECRET, OTHER } = env;
    return Response.json({ GREETING, SECRET, OTHER, version: env.VERSION.id });
  },
  async queue(batch) {
    batch.ackAll();
  },
  async scheduled() {},
};
