/** Computes how many bytes a value takes in storage. */

const ONE_BYTE_CHARACTERS = /^[\u0000-\u00ff]*$/;
/** The size of a number, a date or a length in V8's format. */
const WORD_BYTES = 9;

/** @param {string} text */
export function utf8Bytes(text) {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 || isSurrogate(unit) ? 1 : 2; // two surrogates are four bytes
  }
  return bytes;
}

/** @param {number} unit */
function isSurrogate(unit) {
  return unit >= 0xd800 && unit < 0xe000;
}

/**
 * The approximate size of a value's structured clone, in V8's format.
 *
 * @param {unknown} value
 */
export function cloneBytes(value) {
  return sum(value, {
    text: (text) => 1 + (ONE_BYTE_CHARACTERS.test(text) ? text.length : 2 * text.length),
    plain: WORD_BYTES,
    separator: 1,
  });
}

/**
 * The size of a value as JSON in UTF-8; bytes and other values that JSON lacks count with their own size.
 *
 * @param {unknown} value
 */
export function jsonBytes(value) {
  return sum(value, {
    text: (text) => utf8Bytes(JSON.stringify(text)),
    plain: (plain) => String(plain).length,
    separator: 1,
  });
}

/**
 * @typedef {{text: (text: string) => number, plain: number | ((plain: unknown) => number), separator: number}} Measure
 */

/**
 * Adds up all parts of a value, each object once.
 *
 * @param {unknown} root
 * @param {Measure} measure
 */
function sum(root, { text, plain, separator }) {
  const seen = new Set();
  const left = [root];
  let bytes = 0;
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === 'string') bytes += text(value);
    else if (typeof value !== 'object' || value === null) bytes += typeof plain === 'number' ? plain : plain(value);
    else if (!seen.has(value)) {
      seen.add(value);
      bytes += 2; // the brackets
      if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) bytes += value.byteLength;
      else if (value instanceof Date) bytes += WORD_BYTES;
      else if (value instanceof Map) for (const [key, item] of value) left.push(key, item);
      else if (value instanceof Set) left.push(...value);
      else if (value instanceof Error) left.push(value.name, value.message, value.stack);
      else if (Array.isArray(value)) {
        bytes += Math.max(0, value.length - 1) * separator;
        for (const item of value) left.push(item);
      } else {
        const entries = Object.entries(value);
        bytes += Math.max(0, 2 * entries.length - 1) * separator;
        for (const [key, item] of entries) left.push(key, item);
      }
    }
  }
  return bytes;
}
