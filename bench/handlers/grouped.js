/** One group of all its tasks, of which any number runs at once. */

export const limits = { concurrency: 1_000 };

export default function grouped() {}
