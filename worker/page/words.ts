/** Numbers, times and tasks in words. */

import type { TaskError, TaskSummary } from './answers.d.ts';

const UNITS_MS = [['d', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', 1_000]] as const;
const number = new Intl.NumberFormat();
const percent = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const hourMinute = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const monthDay = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' });
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

export const count = (value: number) => number.format(value);
export const part = (value: number) => percent.format(value);
export const time = (time_ms: number) => clock.format(time_ms);
export const minute = (time_ms: number) => hourMinute.format(time_ms);
export const day = (time_ms: number) => monthDay.format(time_ms);

export function duration(length_ms: number): string {
  for (const [unit, unit_ms] of UNITS_MS) {
    const units = length_ms / unit_ms;
    if (units >= 1) return `${units < 10 ? Math.round(units * 10) / 10 : Math.round(units)} ${unit}`;
  }
  return `${Math.round(Math.max(0, length_ms))} ms`;
}

export const megabytes = (bytes: number) => `${number.format(Math.round(bytes / 1e5) / 10)} MB`;

/** `1 task`, `2 tasks`. */
export const counted = (value: number, noun: string) => `${count(value)} ${noun}${value === 1 ? '' : 's'}`;

export const at = (iso: string | null) => (iso ? dateTime.format(Date.parse(iso)) : '');

/** In whole seconds, so that it does not change with each answer. */
export function ago(iso: string): string {
  return `${duration(1_000 * Math.max(1, Math.round((Date.now() - Date.parse(iso)) / 1_000)))} ago`;
}

export function fromNow(iso: string): string {
  const wait_ms = Date.parse(iso) - Date.now();
  return wait_ms > 0 ? `in ${duration(Math.max(1_000, wait_ms))}` : ago(iso);
}

export function attemptsOf({ attempts, maxRetries, run }: TaskSummary): string {
  return `${attempts} of ${maxRetries + 1}${run > 1 ? `, run ${run}` : ''}`;
}

/** The time since its first attempt; it still grows while the task waits for another attempt. */
export function tookOf({ startedAt, finishedAt }: TaskSummary): string {
  return startedAt ? duration((finishedAt ? Date.parse(finishedAt) : Date.now()) - Date.parse(startedAt)) : '';
}

export const errorOf = ({ name, message }: TaskError) => `${name}: ${message}`;

/** A remark about a task besides its status. */
export function noteOf({ status, progress, error, nextAttemptAt, waitingFor }: TaskSummary): string {
  if (status === 'processing') return progress?.note ?? '';
  const isDue = status === 'pending' && nextAttemptAt && Date.parse(nextAttemptAt) > Date.now();
  return [isDue && `due ${fromNow(nextAttemptAt)}`, waitingFor && `waits for its turn in its ${waitingFor}`, error && errorOf(error)].filter(Boolean).join(' · ');
}
