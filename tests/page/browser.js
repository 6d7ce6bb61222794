/** A page in a real browser, watched for everything that it complains of. */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium as driver } from 'playwright-core';

import { chromium, MISSING } from './chromium.js';

/** @import { Browser, BrowserContextOptions, Page } from 'playwright-core' */

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** @returns {Promise<Browser>} */
export async function startBrowser() {
  if (!chromium) throw new Error(MISSING);
  // Chromium's own sandbox needs privileges that a container often lacks; the page is ours.
  return driver.launch({ executablePath: chromium, args: ['--no-sandbox'] });
}

/** What a page is like unless a test asks for something else. */
const USUAL = {
  viewport: { width: 1280, height: 900 }, colorScheme: /** @type {const} */ ('light'),
  reducedMotion: /** @type {const} */ ('reduce'), // a colour on its way to another one is none that the page has
};
const NOWHERE = 'about:blank';

/**
 * The pages that are used again, by what cannot be changed once they are there. Chromium computes four times as long for a new page in a
 * context of its own as for a load in one that is there.
 *
 * @type {WeakMap<Browser, Map<string, Promise<KeptPage>>>}
 */
const keptPages = new WeakMap();

/** @typedef {{page: Page, complaints: string[]}} KeptPage */

/**
 * Opens an address as a page of its own would, but for what the browser stores for an origin. It is the page that the last call with the
 * same further options gave, so a test that needs two at once makes one itself.
 *
 * @param {Browser} browser
 * @param {string} url
 * @param {BrowserContextOptions} [options]
 * @returns {Promise<KeptPage>} `complaints`: errors, and violations of its policy
 */
export async function open(browser, url, { viewport = USUAL.viewport, colorScheme = USUAL.colorScheme, ...further } = {}) {
  const kept = await keptPage(browser, JSON.stringify(further), further);
  await reset(kept.page);
  await kept.page.setViewportSize(viewport ?? USUAL.viewport);
  await kept.page.emulateMedia({ colorScheme });
  kept.complaints = [];
  await kept.page.goto(url);
  return { ...kept };
}

/**
 * Opens an address where time passes only when a test says so. A clock can't be taken away again, so it is in a page of its own.
 *
 * @param {Browser} browser
 * @param {string} url
 */
export async function openWithClock(browser, url) {
  const { page } = await keptPage(browser, 'clock');
  await reset(page);
  await page.clock.install(); // once more: it is now again
  await page.clock.pauseAt(Date.now() + 1_000);
  await page.goto(url);
  return page;
}

/**
 * Has the pages of a browser show nothing, so that they ask nobody.
 *
 * @param {Browser} browser
 */
export async function leaveAll(browser) {
  for (const page of browser.contexts().flatMap((context) => context.pages())) await leave(page);
}

/** @param {Page} page */
async function leave(page) {
  if (page.url() !== NOWHERE) await page.goto(NOWHERE);
}

/** @param {Page} page */
async function reset(page) {
  await leave(page);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  await page.mouse.move(0, 0);
}

/**
 * @param {Browser} browser
 * @param {string} name
 * @param {BrowserContextOptions} [options]
 */
function keptPage(browser, name, options = {}) {
  /** @type {Map<string, Promise<KeptPage>>} */
  const pages = keptPages.get(browser) ?? new Map();
  keptPages.set(browser, pages);
  const kept = pages.get(name) ?? newPage(browser, options);
  pages.set(name, kept);
  return kept;
}

/**
 * @param {Browser} browser
 * @param {BrowserContextOptions} options
 * @returns {Promise<KeptPage>}
 */
async function newPage(browser, options) {
  const page = await (await browser.newContext({ ...USUAL, ...options })).newPage();
  /** @type {KeptPage} */
  const kept = { page, complaints: [] };
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) kept.complaints.push(message.text()); });
  page.on('pageerror', (error) => kept.complaints.push(String(error)));
  return kept;
}

/**
 * @param {Page} page
 * @param {object} [options] axe's, when not all of its rules are meant
 * @returns {Promise<string[]>} what keeps people from using it, in short
 */
export async function accessibilityProblems(page, options = {}) {
  if (!await page.evaluate(() => 'axe' in globalThis)) await page.evaluate(AXE);
  return page.evaluate(async (given) => {
    const { violations } = await /** @type {any} */ (globalThis).axe.run({ resultTypes: ['violations'], ...given });
    return violations.map((/** @type {any} */ { id, nodes }) => `${id}: ${nodes.map((/** @type {any} */ node) => node.html).join(' ')}`);
  }, options);
}
