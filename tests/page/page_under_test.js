/** The page in a real browser, with answers that the tests choose. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';

import { accessibilityProblems, open, startBrowser } from './browser.js';
import { MARKUP, StandInApi } from './stand_in_api.js';

/** @import { Browser, BrowserContextOptions, Page } from 'playwright-core' */

export const ERROR = { name: 'RangeError', message: `${MARKUP} cannot do that` };

export const PHONE = { viewport: { width: 360, height: 740 } };
export const DARK = /** @type {const} */ ({ colorScheme: 'dark' });

/** For the tests of one `describe`: a browser for all, and an API for each. */
export class PageUnderTest {
  /** @type {Browser} */ browser = /** @type {any} */ (null);
  /** @type {StandInApi} */ api = /** @type {any} */ (null);
  url = '';
  /** What the browser complains of. @type {string[]} */
  complaints = [];

  constructor() {
    before(async () => { this.browser = await startBrowser(); });
    after(() => this.browser.close());
    beforeEach(async () => {
      this.api = new StandInApi();
      this.url = await this.api.start();
    });
    afterEach(async () => {
      for (const context of this.browser.contexts()) await context.close();
      this.api.stop();
    });
  }

  /**
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
    const { page } = await open(this.browser, 'about:blank');
    await page.clock.install();
    await page.clock.pauseAt(Date.now() + 1_000);
    await page.goto(`${this.url}/${hash}`);
    await page.clock.runFor(100);
    await live(page);
    return { page, polls: () => this.api.requests.filter((request) => request.startsWith('GET /stats')).length };
  }

  /**
   * Holds that a view can be used by everybody: in the light and in the dark, on a phone, and with a token that may look alone.
   *
   * @param {string} hash
   * @param {(page: Page) => Promise<void>} shown waits until all of it is there
   */
  async assertUsable(hash, shown) {
    const looked = await this.open(hash);
    await shown(looked);
    for (const options of /** @type {BrowserContextOptions[]} */ ([{}, DARK, PHONE])) {
      await looked.emulateMedia({ colorScheme: options.colorScheme ?? 'light' });
      if (options.viewport) await looked.setViewportSize(options.viewport);
      const how = JSON.stringify(options);
      assert.deepEqual(await accessibilityProblems(looked), [], how);
      assert.ok(await fitsAcross(looked), `${how} has to be scrolled sideways`);
      assert.equal(await looked.locator('body img').count(), 0);
      assert.deepEqual(this.complaints, []);
    }
    await looked.context().close();
    this.api.role = 'read';
    const page = await this.open(hash);
    await shown(page);
    const buttons = await page.getByRole('button').allTextContents();
    const harmless = ['Refresh', 'Hold updates', 'Filter'];
    assert.deepEqual(buttons.filter((label) => !harmless.includes(label)), [], 'a token with the role read has buttons that act');
    assert.deepEqual(this.api.requests.filter((request) => !request.startsWith('GET ')), []);
    await page.context().close();
    this.api.role = 'operate';
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
