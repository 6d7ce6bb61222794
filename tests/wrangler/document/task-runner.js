// The Worker of the document that this project began with, as it stands there.
export default {
  // ---- API (producer) ----
  async fetch(request, env) {
    const url = new URL(request.url);
    if (request.method === 'POST' && url.pathname === '/task') {
      const taskId = crypto.randomUUID();
      const payload = (await request.text()) || '{}';
      const expires = Math.floor(Date.now() / 1000) + 86400;
      await env.DB.prepare('INSERT INTO tasks (taskId, status, payload, expires_at) VALUES (?, ?, ?, ?)')
        .bind(taskId, 'pending', payload, expires).run();
      await env.TASK_QUEUE.send({ taskId, payload });
      return Response.json({ taskId, status: 'pending' });
    }
    const m = url.pathname.match(/^\/task\/(.+)$/);
    if (request.method === 'GET' && m) {
      const row = await env.DB.prepare('SELECT status FROM tasks WHERE taskId = ?').bind(m[1]).first();
      return row ? Response.json({ taskId: m[1], status: row.status })
                 : Response.json({ error: 'not found' }, { status: 404 });
    }
    return Response.json({ error: 'method not allowed' }, { status: 405 });
  },
  // ---- consumer (queue-triggered) ----
  async queue(batch, env) {
    for (const msg of batch.messages) {
      const { taskId } = msg.body;
      try {
        await env.DB.prepare('UPDATE tasks SET status = ? WHERE taskId = ?').bind('processing', taskId).run();
        // ...actual work here...
        await env.DB.prepare('UPDATE tasks SET status = ? WHERE taskId = ?').bind('completed', taskId).run();
        msg.ack();
      } catch (e) {
        msg.retry();          // after max_retries (§4) the message auto-routes to the DLQ
      }
    }
  }
};
