/** Takes longer than it may. */

export const timeout_seconds = 1;

export default function hasty() {
  return new Promise(() => {});
}
