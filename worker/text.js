/** Texts that every store, every reader of JSON and every terminal can take. */

const ELLIPSIS = '…';

/**
 * @param {string} text
 * @param {number} limit longest length, in UTF-16 code units, 1 or more
 * @returns {string} without lone surrogates and NUL, which not everything can hold, and cut between two characters where it is
 *   too long; a text that was cut ends in an ellipsis
 */
export function bounded(text, limit) {
  const isCut = text.length > limit;
  const kept = isCut ? text.slice(0, limit - ELLIPSIS.length) : text;
  // A character of two code units that the limit has cut in half is left out, whole.
  const whole = isCut && isHighSurrogate(kept) ? kept.slice(0, -1) : kept;
  return whole.toWellFormed().replaceAll('\0', '\ufffd') + (isCut ? ELLIPSIS : '');
}

/** @param {string} text */
function isHighSurrogate(text) {
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last <= 0xdbff;
}
