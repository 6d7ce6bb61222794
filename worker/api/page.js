/** The dashboard: a page, its style and its program, which calls the API like any other client. */

import style from '../page/dashboard.css.txt';
import html from '../page/dashboard.html.txt';
import program from '../page/main.tsx.txt';

/** The page loads nothing from other origins, and sends nothing there. */
const HEADERS = Object.freeze({
  'Content-Security-Policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-cache',
});

export function showPage() {
  return text(html, 'text/html');
}

export function showStyle() {
  return text(style, 'text/css');
}

export function showProgram() {
  return text(program, 'text/javascript');
}

/**
 * @param {string} content
 * @param {string} type
 */
function text(content, type) {
  return new Response(content, { headers: { 'Content-Type': `${type}; charset=utf-8`, ...HEADERS } });
}
