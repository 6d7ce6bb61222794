/** Texts that every store, every JSON parser and every terminal accepts. */

const ELLIPSIS = '…';

/**
 * @param {string} text
 * @param {number} limit the longest length, in UTF-16 code units, 1 or more
 * @returns {string} the text without lone surrogates and NUL, which some stores cannot hold; a longer text is truncated between two characters, and
 *   ends in an ellipsis
 */
export function bounded(text, limit) {
  const isCut = text.length > limit;
  const kept = isCut ? text.slice(0, limit - ELLIPSIS.length) : text;
  // If the limit splits a surrogate pair, the whole character is dropped.
  const whole = isCut && isHighSurrogate(kept) ? kept.slice(0, -1) : kept;
  return whole.toWellFormed().replaceAll('\0', '\ufffd') + (isCut ? ELLIPSIS : '');
}

/** @param {string} text */
function isHighSurrogate(text) {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
