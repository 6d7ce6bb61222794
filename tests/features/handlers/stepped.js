/** A step, a sleep, and a wait for an event. */

export const steps = true;

/** @param {unknown} _payload @param {any} context */
export default async function stepped(_payload, context) {
  const first = await context.step('first', (/** @type {{attempt: number}} */ { attempt }) => ({ attempt, at: Date.now() }));
  await context.sleep('nap', 1);
  const { payload } = await context.waitForEvent('go', { timeoutSeconds: 300 });
  const again = await context.step('second', () => ({ told: payload }));
  return { first, again, attempt: context.attempt, ended: Date.now() };
}
