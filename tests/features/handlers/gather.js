/** Submits two tasks and one that starts after them; or, as that one, tells what became of those. */

/** @param {string} payload @param {any} context */
export default async function gather(payload, context) {
  if (context.after) return { payload, parts: await context.dependencies() };
  const parts = await Promise.all(['One Two', 'Three'].map((text) => context.submit({ handler: 'slug', payload: text, callbackUrl: '' })));
  if (payload !== 'all') return { parts: parts.map(({ taskId }) => taskId) };
  const last = await context.submit({ handler: 'gather', payload: 'last', after: parts.map(({ taskId }) => taskId), key: 'last' });
  if (context.attempt === 1) throw new Error('after it has submitted');
  return { last: last.taskId };
}
