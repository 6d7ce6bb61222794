/** Keeps an image, which is the payload, and answers under which name. */

interface Context {
  taskId: string;
  bindings: { IMAGES: { put(key: string, value: string | Uint8Array): Promise<unknown> } };
}

export default async function keep(image: string | Uint8Array, { taskId, bindings }: Context): Promise<{ key: string }> {
  const key = `${taskId}.png`;
  await bindings.IMAGES.put(key, image);
  return { key };
}
