/**
 * The dashboard: asks the API that it came from every few seconds and draws the answers. The browser sends the
 * credentials that it was given for the page. What a task holds is shown as text only.
 */

/** @import { Minute, Percentiles, Stats, Status, Task, TaskPage } from './answers.d.ts' */

const POLL_MS = 5_000;
const MAX_BACKOFF_MS = 60_000;
const REQUEST_MS = 20_000;
const LISTED_TASKS = 20;
const LISTED_FAILURES = 5;
/** From what part of its limit on a database is shown as a fault; as `worker/sweeper.js`. */
const NEARLY_FULL = 0.8;
const MIN_SPAN_MS = 60_000;
const MAX_SPAN_MS = 15 * 60_000;
const CHART_PX = { height: 170, top: 8, right: 10, bottom: 20, left: 52 };

/** @type {readonly Status[]} */
const STATUSES = ['pending', 'processing', 'completed', 'failed', 'cancelled'];
const ENDS = /** @type {const} */ (['completed', 'failed', 'cancelled']);
const SERIES = /** @type {const} */ (['submitted', ...ENDS]);
const PERCENTILES = /** @type {const} */ (['p50', 'p95', 'p99']);

// ---- the API

/** What the API refused or could not do, in words for the reader; `wait_ms` is how long it asks to be left alone. */
class ApiError extends Error {
  /** @param {number} status 0: no answer @param {string} message @param {number} wait_ms */
  constructor(status, message, wait_ms = 0) {
    super(message);
    this.status = status;
    this.wait_ms = wait_ms;
  }
}

/** @param {string} path @param {RequestInit} [init] @returns {Promise<any>} the JSON of a good answer; others throw */
async function call(path, init) {
  const reply = await fetch(path, { cache: 'no-store', signal: AbortSignal.timeout(REQUEST_MS), ...init }).catch(() => {
    throw new ApiError(0, 'The API cannot be reached.');
  });
  const body = await reply.json().catch(() => null);
  if (reply.ok && body) return body;
  throw new ApiError(reply.status, inWords(reply.status, body?.error), 1_000 * Number(reply.headers.get('Retry-After')));
}

/** @param {number} status @param {string} [error] the API's own words */
function inWords(status, error = 'without a reason') {
  if (status === 401) return 'The API refuses the token: reload the page and sign in, with an API token as the password.';
  if (status === 429) return 'The API takes no more requests with this token for now.';
  return `The API answered ${status}: ${error}.`;
}

/** @param {Record<string, string | number>} parameters empty ones are left out @returns {Promise<TaskPage>} */
function listTasks(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  return call(`/tasks?${new URLSearchParams(given.map(([name, value]) => [name, `${value}`]))}`);
}

/** @param {string} taskId */
const pathOf = (taskId) => `/task/${encodeURIComponent(taskId)}`;

// ---- elements

/** @param {string} selector @param {ParentNode} root @returns {any} the element, which is in the page */
const one = (selector, root = document) => root.querySelector(selector);

/** Leaves equal text alone: it may be selected, and need not be read out again. @param {Element} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} element @param {Record<string, string | number>} attributes @param {(Element | string)[]} children */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, `${value}`);
  element.append(...children);
  return element;
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {(Element | string)[]} children */
const html = (name, attributes, ...children) => fill(document.createElement(name), attributes, children);

/** @param {string} name @param {Record<string, string | number>} attributes @param {(Element | string)[]} children */
const svg = (name, attributes, ...children) => fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);

// ---- words

const UNITS_MS = /** @type {const} */ ([['d', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', 1_000]]);
const number = new Intl.NumberFormat();
const percent = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const hourMinute = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** @param {number} length_ms */
function duration(length_ms) {
  for (const [unit, unit_ms] of UNITS_MS) {
    const units = length_ms / unit_ms;
    if (units >= 1) return `${units < 10 ? Math.round(units * 10) / 10 : Math.round(units)} ${unit}`;
  }
  return `${Math.round(Math.max(0, length_ms))} ms`;
}

/** @param {number} bytes */
const megabytes = (bytes) => `${number.format(Math.round(bytes / 1e5) / 10)} MB`;

/** @param {string | null} iso */
const at = (iso) => (iso ? dateTime.format(Date.parse(iso)) : '');

/** @param {Task} task */
function attemptsOf({ attempts, maxRetries, run }) {
  return `${attempts}${maxRetries === null ? '' : ` of ${maxRetries + 1}`}${run > 1 ? `, run ${run}` : ''}`;
}

/** @param {Task} task */
function tookOf({ startedAt, finishedAt }) {
  return startedAt ? duration((finishedAt ? Date.parse(finishedAt) : Date.now()) - Date.parse(startedAt)) : '';
}

/** @param {Task} task what there is to say beside its status */
function noteOf({ status, progress, error, nextAttemptAt }) {
  if (status === 'processing') return progress?.note ?? '';
  const wait_ms = status === 'pending' && nextAttemptAt ? Date.parse(nextAttemptAt) - Date.now() : 0;
  return [wait_ms > 0 && `due in ${duration(Math.max(1_000, wait_ms))}`, error && `${error.name}: ${error.message}`].filter(Boolean).join(' · ');
}

// ---- counts

let failedBefore = Infinity;

/** @param {Stats} stats */
function showStats({ generatedAt, asOf, counts, counted, databases, queue, deadLetters, recent, sweeper }) {
  for (const status of STATUSES) write(one(`#tiles .${status} b`), number.format(counts[status]));
  showTile('#queue', queue?.backlog, queue?.oldestAgeSeconds);
  showTile('#dead-letters', deadLetters?.count, deadLetters?.oldestAgeSeconds);
  one('#dlq').hidden = !deadLetters?.count;
  const age_ms = asOf ? Date.parse(generatedAt) - Date.parse(asOf) : 0;
  const age = age_ms > POLL_MS ? `Tasks were counted ${duration(age_ms)} ago. ` : '';
  const part = counted.complete ? '' : `${number.format(counted.tasks)} tasks are counted, since ${at(counted.since)}; there are more. `;
  const full = databases.map(({ name, bytes, limitBytes, used }) => `${name} has ${megabytes(bytes)} of ${megabytes(limitBytes)} (${percent.format(used)}). `);
  const { expired, resent, returned, failed } = sweeper;
  const swept = `Sweeper: ${expired} expired, ${resent} sent again, ${returned} taken back, ${failed} failed.`;
  one('#remarks').classList.toggle('bad', databases.some(({ used }) => used >= NEARLY_FULL));
  write(one('#remarks'), age + part + full.join('') + (expired + resent + returned + failed ? swept : ''));
  if (counts.failed > failedBefore) write(one('#news'), `${counts.failed} tasks have failed.`);
  failedBefore = counts.failed;
  drawThroughput(recent.perMinute);
  drawLatency(recent.latencyMs);
}

/** @param {string} selector @param {number | undefined} count undefined: there is none @param {number | null | undefined} age_seconds */
function showTile(selector, count, age_seconds) {
  one(selector).hidden = count === undefined;
  write(one(`${selector} b`), number.format(count ?? 0));
  write(one(`${selector} small`), age_seconds == null ? '' : `oldest ${duration(age_seconds * 1_000)}`);
}

// ---- charts

/** Draws the charts again, in the width that there is. @type {Map<string, () => void>} */
const redraw = new Map();

/**
 * @param {string} selector of its place
 * @param {string} summary the chart in words
 * @param {[name: string, value: string][]} legend
 * @param {(width: number, height: number) => Element[]} plot what is in it, of that size in pixels
 */
function drawChart(selector, summary, legend, plot) {
  const { top, right, bottom, left, height } = CHART_PX;
  redraw.set(selector, () => {
    const place = one(selector);
    const width = Math.max(place.clientWidth, 200);
    const content = svg('g', { transform: `translate(${left} ${top})` }, ...plot(width - left - right, height - top - bottom));
    const entries = legend.map(([name, value]) => html('li', { class: name }, `${name} `, html('b', {}, value)));
    place.replaceChildren(svg('svg', { width, height, role: 'img', 'aria-label': summary }, content), html('ul', { class: 'legend' }, ...entries));
  });
  redraw.get(selector)?.();
}

/** @param {number} width @param {number} y @param {string} label */
function gridLine(width, y, label) {
  return [svg('line', { x2: width, y1: y, y2: y }), svg('text', { x: -8, y: y + 4, 'text-anchor': 'end' }, label)];
}

/** @param {number} width @param {number} height @param {number} start_ms @param {number} end_ms */
function timeAxis(width, height, start_ms, end_ms) {
  const y = height + 16;
  return [svg('text', { y }, hourMinute.format(start_ms)), svg('text', { x: width, y, 'text-anchor': 'end' }, hourMinute.format(end_ms))];
}

/** @param {number} highest @returns {number} a round number at least as high, with a whole half */
function roundUp(highest) {
  for (let power = 1; ; power *= 10) {
    for (const step of [2, 4, 6, 10]) if (step * power >= highest) return step * power;
  }
}

/** @param {Minute[]} minutes oldest first */
function drawThroughput(minutes) {
  /** @type {[string, string][]} */
  const totals = SERIES.map((name) => [name, number.format(minutes.reduce((sum, each) => sum + each[name], 0))]);
  const summary = `The last ${minutes.length} minutes: ${totals.map(([name, total]) => `${total} ${name}`).join(', ')}`;
  drawChart('#throughput', summary, totals, (width, height) => {
    const top = roundUp(Math.max(...minutes.flatMap((each) => [each.submitted, each.completed + each.failed + each.cancelled])));
    const slot = width / minutes.length;
    const y = (/** @type {number} */ count) => height * (1 - count / top);
    const bars = minutes.flatMap((each, index) => {
      let stacked = 0;
      return ENDS.map((name) => {
        stacked += each[name];
        return svg('rect', { class: name, x: slot * (index + 0.15), width: slot * 0.7, y: y(stacked), height: height - y(each[name]) });
      });
    });
    const submitted = minutes.map((each, index) => `${slot * (index + 0.5)},${y(each.submitted)}`).join(' ');
    return [
      ...[0, top / 2, top].flatMap((count) => gridLine(width, y(count), number.format(count))),
      ...bars,
      svg('polyline', { class: 'submitted', points: submitted }),
      ...timeAxis(width, height, Date.parse(minutes[0]?.minute ?? ''), Date.now()),
    ];
  });
}

/** What each poll has seen. @type {(Percentiles & {at_ms: number})[]} */
let latencies = [];

/** @param {Percentiles | null} latest */
function drawLatency(latest) {
  const end_ms = Date.now();
  if (latest) latencies.push({ ...latest, at_ms: end_ms });
  latencies = latencies.filter(({ at_ms }) => at_ms > end_ms - MAX_SPAN_MS);
  const start_ms = Math.min(latencies[0]?.at_ms ?? end_ms, end_ms - MIN_SPAN_MS);
  /** @type {[string, string][]} */
  const legend = PERCENTILES.map((name) => [name, latest ? duration(latest[name]) : '–']);
  const summary = latest ? legend.map((each) => each.join(' ')).join(', ') : 'No task has been completed lately';
  drawChart('#latency', summary, legend, (width, height) => {
    if (!latencies.length) return [svg('text', { x: width / 2, y: height / 2, 'text-anchor': 'middle' }, summary)];
    // The percentiles lie far apart: the scale is logarithmic, of whole decades.
    const power = (/** @type {number} */ value_ms) => Math.log10(Math.max(value_ms, 1));
    const powers = latencies.flatMap((each) => PERCENTILES.map((name) => power(each[name])));
    const low = Math.floor(Math.min(...powers));
    const high = Math.max(low + 1, Math.ceil(Math.max(...powers)));
    const y = (/** @type {number} */ of) => (height * (high - of)) / (high - low);
    const x = (/** @type {number} */ at_ms) => (width * (at_ms - start_ms)) / (end_ms - start_ms);
    const lines = PERCENTILES.flatMap((name) => {
      const points = latencies.map((each) => [x(each.at_ms), y(power(each[name]))]);
      const [cx = 0, cy = 0] = points.at(-1) ?? [];
      return [svg('polyline', { class: name, points: points.join(' ') }), svg('circle', { class: name, cx, cy, r: 3 })];
    });
    const decades = Array.from({ length: high - low + 1 }, (_, each) => low + each);
    return [
      ...decades.flatMap((each) => gridLine(width, y(each), each < 3 ? `${10 ** each} ms` : `${number.format(10 ** (each - 3))} s`)),
      ...lines,
      ...timeAxis(width, height, start_ms, end_ms),
    ];
  });
}

// ---- tables of tasks

/**
 * Makes a table's rows those of the tasks. A row stays with its task, and so do focus and selection; the focus in a row
 * that goes moves to the section's heading.
 *
 * @param {string} section
 * @param {Task[]} tasks
 */
function showRows(section, tasks) {
  /** @type {HTMLTableSectionElement} */
  const body = one(`${section} tbody`);
  const listed = new Set(tasks.map(({ taskId }) => taskId));
  for (const row of [...body.rows]) {
    if (listed.has(row.dataset['taskId'] ?? '')) continue;
    if (row.contains(document.activeElement)) one(`${section} h2`).focus();
    row.remove();
  }
  const rows = new Map([...body.rows].map((row) => [row.dataset['taskId'], row]));
  tasks.forEach((task, index) => {
    const row = rows.get(task.taskId) ?? newRow(task.taskId);
    if (body.rows[index] !== row) body.insertBefore(row, body.rows[index] ?? null);
    paintRow(row, task);
  });
}

/** @param {string} taskId @returns {HTMLTableRowElement} */
function newRow(taskId) {
  const row = one('#row').content.firstElementChild.cloneNode(true);
  row.dataset.taskId = taskId;
  const link = one('a', row);
  link.href = `#task/${encodeURIComponent(taskId)}`;
  const lastGroup = taskId.lastIndexOf('-') + 1;
  link.firstChild.append(taskId.slice(0, lastGroup));
  link.lastChild.append(taskId.slice(lastGroup));
  for (const button of row.querySelectorAll('button')) button.ariaLabel = `${button.textContent} ${taskId}`;
  return row;
}

/** @param {HTMLTableRowElement} row @param {Task} task */
function paintRow(row, task) {
  paintStatus(row, task);
  const progress = one('progress', row);
  progress.hidden = task.status !== 'processing' || !task.progress;
  progress.value = task.progress?.percent ?? 0;
  progress.ariaLabel = `Progress of ${task.taskId}`;
  write(one('small', row), noteOf(task));
  const time = one('time', row);
  time.dateTime = task.createdAt;
  time.title = at(task.createdAt);
  write(time, `${duration(1_000 * Math.max(1, Math.round((Date.now() - Date.parse(task.createdAt)) / 1_000)))} ago`);
  const [, , handler, attempts, , took] = row.cells;
  for (const [cell, text] of /** @type {[Element, string][]} */ ([[handler, task.handler], [attempts, attemptsOf(task)], [took, tookOf(task)]])) write(cell, text);
}

/** Shows the status, and enables what can be done. @param {HTMLElement} place @param {Task} task */
function paintStatus(place, { status }) {
  const element = one('.status', place);
  element.className = `status ${status}`;
  write(element, status);
  for (const [action, statuses] of Object.entries({ retry: ['failed', 'cancelled'], cancel: ['pending', 'processing'] })) {
    const button = one(`[data-action=${action}]`, place);
    const can = statuses.includes(status);
    if (!can && button === document.activeElement) one('a, #close', place).focus();
    button.disabled = !can;
  }
}

/** What the table of tasks shows; older pages are not polled. `asked` counts the questions: only the last is answered. */
const list = { tasks: /** @type {Task[]} */ ([]), cursor: /** @type {string | null} */ (null), older: false, asked: 0 };
let filter = { status: '', handler: '' };

/** @param {HTMLFormElement} form @param {string} name */
const field = (form, name) => `${new FormData(form).get(name)}`.trim();

/** @param {string} [cursor] of the page to add; the newest takes the place of what is there */
async function showTasks(cursor = '') {
  const question = (list.asked += 1);
  list.older = cursor !== '';
  one('#newest').hidden = !list.older;
  const page = await listTasks({ ...filter, limit: LISTED_TASKS, cursor });
  if (question !== list.asked) return;
  list.tasks = cursor ? [...list.tasks, ...page.tasks] : page.tasks;
  list.cursor = page.cursor;
  showRows('#tasks', list.tasks);
  one('#more').hidden = !page.cursor;
  const none = page.cursor ? 'None among the newest tasks: load more to look further back.' : 'There are no such tasks.';
  write(one('#tasks-note'), list.older ? `Not live: older tasks are shown as of ${clock.format()}.` : page.tasks.length ? '' : none);
}

async function showFailures() {
  const { tasks } = await listTasks({ status: 'failed', limit: LISTED_FAILURES });
  showRows('#failures', tasks);
  one('#failures').hidden = !tasks.length;
}

function applyFilter() {
  const form = one('#filter');
  if (!form.reportValidity()) return;
  filter = { status: field(form, 'status'), handler: field(form, 'handler') };
  for (const tile of document.querySelectorAll('#tiles button')) tile.ariaPressed = `${tile.className === filter.status}`;
  void attempt(showTasks);
}

// ---- one task

/** @type {HTMLDialogElement} */
const dialog = one('#details');
let detailsShown = '';

/** The task that the address names: a link to it can be sent to others. */
const namedTask = () => decodeURIComponent(/^#task\/(.+)$/.exec(location.hash)?.[1] ?? '');

async function showDetails() {
  const taskId = namedTask();
  if (!taskId) return dialog.close();
  if (!dialog.open || dialog.dataset['taskId'] !== taskId) clearDetails(taskId);
  try {
    const task = await call(pathOf(taskId));
    if (taskId === namedTask()) paintDetails(task);
  } catch (error) {
    const { status, message } = /** @type {ApiError} */ (error);
    say(status === 404 ? 'There is no such task, or no more.' : message);
  }
}

/** @param {string} taskId */
function clearDetails(taskId) {
  detailsShown = '';
  dialog.dataset['taskId'] = taskId;
  write(one('code', dialog), taskId);
  for (const part of dialog.querySelectorAll('.status, .notice, dl, pre')) part.replaceChildren();
  for (const button of dialog.querySelectorAll('button')) button.disabled = button.id !== 'close';
  if (!dialog.open) dialog.showModal();
}

/** @param {Task} task */
function paintDetails(task) {
  const text = JSON.stringify(task);
  if (text === detailsShown) return; // what is selected there stays so
  detailsShown = text;
  paintStatus(dialog, task);
  const facts = Object.entries({
    Handler: task.handler,
    Attempts: attemptsOf(task),
    Progress: task.progress && `${task.progress.percent} % ${task.progress.note ?? ''}`,
    Error: task.error && `${task.error.name}: ${task.error.message}`,
    Created: at(task.createdAt),
    Started: at(task.startedAt),
    Finished: at(task.finishedAt),
    Took: task.finishedAt && tookOf(task),
    'Next attempt': at(task.nextAttemptAt),
    Expires: at(task.expiresAt),
  });
  one('dl', dialog).replaceChildren(...facts.flatMap(([name, fact]) => (fact ? [html('dt', {}, name), html('dd', {}, fact)] : [])));
  write(one('pre', dialog), task.status === 'completed' ? JSON.stringify(task.result, null, 2) : 'none');
}

// ---- what the reader asks for

/** Where it can be seen: above the page, or in the dialog that covers it. @param {string} text */
const say = (text) => write(one(dialog.open ? 'dialog .notice' : '.notice'), text);

/** Does it, or says why not. @param {() => Promise<unknown>} action */
const attempt = (action) => action().catch((error) => say(error.message));

/** @param {string} action @param {string} taskId */
async function act(action, taskId) {
  const retried = action === 'retry';
  await call(pathOf(taskId) + (retried ? '/retry' : ''), { method: retried ? 'POST' : 'DELETE' });
  say(`Task ${taskId} is ${retried ? 'pending again' : 'cancelled'}.`);
  const task = await call(pathOf(taskId));
  list.tasks = list.tasks.map((each) => (each.taskId === taskId ? task : each));
  showRows('#tasks', list.tasks);
  if (dialog.open) paintDetails(task);
  await poll();
}

/** @param {HTMLFormElement} form */
async function submit(form) {
  const query = new URLSearchParams(field(form, 'parameters'));
  for (const name of ['handler', 'delay']) query.set(name, field(form, name));
  const { taskId } = await call(`/task?${query}`, { method: 'POST', body: field(form, 'payload') });
  say(`Task ${taskId} is submitted.`);
  await poll();
}

// ---- polling

const polling = { timer: 0, next_ms: 0, fresh_ms: 0, failures: 0, running: false, paused: false };

/** @param {Stats} stats */
async function refreshStats(stats) {
  polling.fresh_ms = Date.parse(stats.freshUntil) - Date.parse(stats.generatedAt);
  showStats(stats);
  if (stats.counts.failed || !one('#failures').hidden) await showFailures();
}

/** Asks for everything, then waits: longer after each failure, and as long as the API says. */
async function poll() {
  if (polling.running) return;
  polling.running = true;
  let wait_ms = POLL_MS;
  try {
    await Promise.all([call('/stats').then(refreshStats), !list.older && showTasks(), dialog.open && showDetails()]);
    polling.failures = 0;
    wait_ms = Math.max(POLL_MS, polling.fresh_ms);
    write(one('#updated'), clock.format());
    showConnection('');
  } catch (error) {
    polling.failures += 1;
    const problem = error instanceof ApiError ? error : new ApiError(0, `${error}`);
    wait_ms = Math.max(problem.wait_ms, Math.min(POLL_MS * 2 ** polling.failures, MAX_BACKOFF_MS));
    if (problem.status === 401) wait_ms = Infinity; // a refused token stays refused
    showConnection(`${problem.message}${wait_ms < Infinity ? ` Next attempt in ${duration(wait_ms)}.` : ''}`);
  }
  polling.running = false;
  polling.next_ms = Date.now() + wait_ms;
  schedule();
}

/** A page that nobody sees is not polled for. */
function schedule() {
  clearTimeout(polling.timer);
  if (polling.paused || document.hidden || polling.next_ms === Infinity) return;
  polling.timer = setTimeout(poll, polling.next_ms - Date.now());
}

/** @param {string} problem */
function showConnection(problem) {
  one('#connection').classList.toggle('bad', problem !== '');
  write(one('#connection'), problem || (polling.paused ? 'Paused' : 'Live'));
}

function togglePause() {
  polling.paused = !polling.paused;
  one('#pause').ariaPressed = `${polling.paused}`;
  polling.next_ms = 0;
  showConnection('');
  schedule();
}

// ---- start

/** @param {string} selector @param {string} type @param {(event: any) => unknown} listener */
const on = (selector, type, listener) => one(selector).addEventListener(type, listener);

for (const status of STATUSES) {
  one('#filter select').append(html('option', {}, status));
  const name = html('span', { class: `status ${status}` }, status);
  one('#queue').before(html('li', {}, html('button', { class: status, 'aria-pressed': 'false' }, html('b', {}, '–'), ' ', name)));
}
for (const table of document.querySelectorAll('table')) table.append(one('#head').content.cloneNode(true));
write(one('#host'), location.host);

on('#refresh', 'click', poll);
on('#pause', 'click', togglePause);
on('#more', 'click', () => attempt(() => showTasks(list.cursor ?? '')));
on('#newest', 'click', () => attempt(showTasks));
on('#filter', 'change', applyFilter);
on('#filter', 'submit', (event) => event.preventDefault());
on('#submit', 'submit', (event) => {
  event.preventDefault();
  void attempt(() => submit(event.target));
});
on('#tiles', 'click', ({ target }) => {
  const tile = target.closest('button');
  if (!tile) return;
  one('#filter select').value = tile.ariaPressed === 'true' ? '' : tile.className;
  applyFilter();
});
on('#close', 'click', () => dialog.close());
on('#details', 'close', () => history.replaceState(null, '', location.pathname));
on('body', 'click', ({ target, detail }) => {
  const { action } = target.dataset;
  // The second of a double click may fall on the button that took the first one's place.
  if (action && detail < 2) void attempt(() => act(action, target.closest('[data-task-id]').dataset.taskId));
});
document.addEventListener('visibilitychange', schedule);
addEventListener('hashchange', () => attempt(showDetails));
new ResizeObserver(() => redraw.forEach((draw) => draw())).observe(one('#throughput'));

void attempt(showDetails);
schedule();
