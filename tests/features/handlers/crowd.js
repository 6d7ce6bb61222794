/** Two of a group at once. */

export const limits = { concurrency: 2 };

export default async function crowd() {
  await scheduler.wait(300);
}
