/** Times in inputs: the address and the API have them with their offset, an input of the type `datetime-local` has local time. */

export function toInput(iso: string): string {
  const time_ms = Date.parse(iso);
  if (Number.isNaN(time_ms)) return '';
  return new Date(time_ms - 60_000 * new Date(time_ms).getTimezoneOffset()).toISOString().slice(0, 19);
}

export function fromInput(value: string): string {
  return value && new Date(value).toISOString();
}
