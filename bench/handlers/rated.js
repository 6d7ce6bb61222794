/** Puts all its tasks into one group, with a rate that none of them reaches. */

export const limits = { rate: { limit: 1_000, seconds: 60 } };

export default function rated() {}
