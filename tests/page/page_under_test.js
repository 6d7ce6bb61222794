/** The page in a real browser, with answers that the tests choose. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';

import { accessibilityProblems, leaveAll, open, openWithClock, startBrowser } from './browser.js';
import { MARKUP, StandInApi } from './stand_in_api.js';

/** @import { Browser, BrowserContextOptions, Page } from 'playwright-core' */

export const ERROR = { name: 'RangeError', message: `${MARKUP} cannot do that` };

export const PHONE = { viewport: { width: 360, height: 740 } };
export const DARK = /** @type {const} */ ({ colorScheme: 'dark' });

/** A colour scheme changes colours alone. */
const COLOUR_RULES = ['color-contrast', 'link-in-text-block'];
/** How a view is looked at, and which of axe's rules can tell something new then. */
const LOOKS = [
  { options: {}, rules: {} },
  { options: DARK, rules: { runOnly: { type: 'rule', values: COLOUR_RULES } } },
  { options: PHONE, rules: {} },
];

/** One for all tests of a file. @type {Promise<Browser> | null} */
let started = null;
after(async () => (await started)?.close());

/** For the tests of one `describe`: a browser for all, and an API for each. */
export class PageUnderTest {
  /** @type {Browser} */ browser = /** @type {any} */ (null);
  /** @type {StandInApi} */ api = /** @type {any} */ (null);
  url = '';
  /** What the browser complains of. @type {string[]} */
  complaints = [];

  constructor() {
    before(async () => { this.browser = await (started ??= startBrowser()); });
    beforeEach(async () => {
      this.api = new StandInApi();
      this.url = await this.api.start();
    });
    afterEach(async () => {
      await leaveAll(this.browser);
      this.api.stop();
    });
  }

  /**
   * Opens the page, in place of the one that the test has opened before.
   *
   * @param {string} [hash] which view, and of what
   * @param {BrowserContextOptions} [options]
   * @returns {Promise<Page>} once it has an answer
   */
  async open(hash = '', options = {}) {
    const { page, complaints } = await open(this.browser, `${this.url}/${hash}`, options);
    this.complaints = complaints;
    await live(page);
    return page;
  }

  /** Opens the page where time passes only when a test says so. */
  async openWithClock(hash = '') {
    const page = await openWithClock(this.browser, `${this.url}/${hash}`);
    await page.clock.runFor(100);
    await live(page);
    return { page, polls: () => this.api.requests.filter((request) => request.startsWith('GET /stats')).length };
  }

  /**
   * Holds that a view can be used by everybody: with a token that may look alone, in the light and in the dark, and on a phone.
   *
   * @param {string} hash
   * @param {(page: Page) => Promise<void>} shown waits until all of it is there
   */
  async assertUsable(hash, shown) {
    this.api.role = 'read';
    const page = await this.open(hash);
    await shown(page);
    const buttons = await page.getByRole('button').allTextContents();
    const harmless = ['Refresh', 'Hold updates', 'Filter'];
    assert.deepEqual(buttons.filter((label) => !harmless.includes(label)), [], 'a token with the role read has buttons that act');
    assert.deepEqual(this.api.requests.filter((request) => !request.startsWith('GET ')), []);
    this.api.role = 'operate';
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByRole('button', { name: 'Submit a task' }).waitFor();
    await shown(page);
    await assertLooksUsable(page);
    assert.deepEqual(this.complaints, []);
  }
}

/**
 * Holds of what is shown now that it can be used in the light and in the dark, and on a phone.
 *
 * @param {Page} page
 */
export async function assertLooksUsable(page) {
  for (const { options, rules } of LOOKS) {
    const { colorScheme = 'light', viewport } = /** @type {BrowserContextOptions} */ (options);
    await page.emulateMedia({ colorScheme });
    if (viewport) await page.setViewportSize(viewport);
    const how = JSON.stringify(options);
    assert.deepEqual(await accessibilityProblems(page, rules), [], how);
    assert.ok(await fitsAcross(page), `${how} has to be scrolled sideways`);
    assert.equal(await page.locator('body img').count(), 0);
  }
}

/** @param {Page} page */
export async function live(page) {
  await page.locator('#connection').getByText('Live').waitFor();
}

/**
 * @param {Page} page
 * @returns {Promise<boolean>} whether nothing has to be scrolled sideways
 */
export async function fitsAcross(page) {
  return await page.evaluate('document.documentElement.scrollWidth <= innerWidth');
}

/** @param {Page} page @returns {Promise<string>} the text of what has the focus */
export async function focused(page) {
  return await page.evaluate('document.activeElement.textContent');
}

/** @param {() => boolean | Promise<boolean>} condition */
export async function waitFor(condition) {
  for (const deadline = Date.now() + 10_000; !await condition();) {
    assert.ok(Date.now() < deadline, 'it did not come to that within 10 s');
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
