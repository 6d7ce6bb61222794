/** Cannot tell whether its parameters are good. */

export const parameters = { mood: 'any' };

export function check() {
  throw new TypeError('what is a mood?');
}

export default function unsure() {
  return null;
}
