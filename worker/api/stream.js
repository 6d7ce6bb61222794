/** `GET /task/:id` as a stream of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */

import { ENDED } from '../task.js';
import { TaskWatch } from './watch.js';
import { taskJson, UNCACHED } from './reply.js';

/** @import { Handlers } from '../handler.js' */
/** @import { TaskRecord } from '../task.js' */
/** @import { SeenTask } from './watch.js' */
/** @import { Call } from './router.js' */

/** How long a stream lasts, after which its client comes again: 43 looks at most, or 20 of two queries at a task with steps, as many as the Free
 * plan has with room to spare; whoever is told of more changes ends when these are spent. */
const STREAM_SECONDS = 40;

/** After how long the client of a stream that has ended comes again. */
const RECONNECT_MS = 1_000;

/** What keeps a connection alive and tells whether there is still a client. */
const NOTHING_NEW = ':\n\n';

export const EVENT_STREAM = 'text/event-stream';

/** @param {Request} request */
export function wantsStream({ method, headers }) {
  const accepted = (headers.get('Accept') ?? '').toLowerCase().split(',').map((each) => each.split(';')[0]?.trim());
  return method === 'GET' && accepted.includes(EVENT_STREAM);
}

/**
 * A client that has seen the end comes again all the same: 204 is what tells it not to.
 *
 * @param {Call} call
 * @param {TaskRecord} task
 */
export function streamTask(call, task) {
  if (ENDED.has(task.status) && call.request.headers.get('Last-Event-ID') === eventId(task)) {
    return new Response(null, { status: 204, headers: UNCACHED });
  }
  return new Response(bytesOf(eventsOf(call, task)), { headers: { 'Content-Type': EVENT_STREAM, ...UNCACHED } });
}

/**
 * @param {Call} call
 * @param {TaskRecord} first the task as it is now
 * @returns {AsyncGenerator<string>} events up to the task's end
 */
async function* eventsOf({ store, env, handlers }, first) {
  const watch = new TaskWatch(store, first.taskId, Date.now() + STREAM_SECONDS * 1000, hasSteps(handlers, first));
  try {
    yield `retry: ${RECONNECT_MS}\n\n`;
    let sent = '';
    /** @type {SeenTask | null} */
    let task = await watch.again(first); // it may have changed before anybody listened
    for (; task; task = await watch.again(task)) {
      const json = taskJson(task, env, task.steps);
      yield json === sent ? NOTHING_NEW : `id: ${eventId(task)}\nevent: task\ndata: ${json}\n\n`;
      sent = json;
      if (ENDED.has(task.status) || !await watch.next(task)) return;
    }
  } finally {
    watch.stop();
  }
}

/**
 * @param {AsyncGenerator<string>} texts
 * @returns {ReadableStream<Uint8Array>} which asks for a text only when the one before is sent, and so for no more once
 *   its client is gone
 */
function bytesOf(texts) {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await texts.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
  }, { highWaterMark: 0 });
}

/**
 * @param {Handlers} handlers
 * @param {TaskRecord} task
 */
export function hasSteps(handlers, { handler }) {
  return Object.hasOwn(handlers, handler) && handlers[handler]?.steps === true;
}

/** @param {TaskRecord} task */
function eventId({ run, status }) {
  return `${run}-${status}`;
}
