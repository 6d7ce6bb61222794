/** Runs as many steps as requested, a sleep and a wait for an event. */

/** How long the message of a waiting task stays in the queue. */
const PATIENCE_SECONDS = 6;

export const steps = true;
export const parameters = { steps: 'how many', nap_seconds: 'how long it sleeps', event: 'the name of the event that it waits for' };

/** @type {import('../../worker/handler.js').Handler} */
export default async function stepped(_payload, { parameters: { steps: count = '0', nap_seconds, event }, step, sleep, waitForEvent }) {
  for (let number = 0; number < Number(count); number++) await step(`step ${number}`, () => number);
  if (nap_seconds) await sleep('nap', Number(nap_seconds));
  if (event) await waitForEvent(event, { timeoutSeconds: PATIENCE_SECONDS });
}
