/** One group of all its tasks, of which any number starts. */

export const limits = { rate: { limit: 1_000, seconds: 60 } };

export default function rated() {}
