/** Puts all its tasks into one group, with a limit that none of them reaches. */

export const limits = { concurrency: 1_000 };

export default function grouped() {}
