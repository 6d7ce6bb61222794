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

/**
 * @param {Browser} browser
 * @param {string} url
 * @param {BrowserContextOptions} [options]
 * @returns {Promise<{page: Page, complaints: string[]}>} `complaints`: errors, and violations of its policy
 */
export async function open(browser, url, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  /** @type {string[]} */
  const complaints = [];
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, complaints };
}

/**
 * @param {Page} page
 * @returns {Promise<string[]>} what keeps people from using it, in short
 */
export async function accessibilityProblems(page) {
  await page.evaluate(`globalThis.axe || (() => { ${AXE} })()`);
  return page.evaluate(async () => {
    const { violations } = await /** @type {any} */ (globalThis).axe.run();
    return violations.map((/** @type {any} */ { id, nodes }) => `${id}: ${nodes.map((/** @type {any} */ node) => node.html).join(' ')}`);
  });
}
