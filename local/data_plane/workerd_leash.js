/** Ties every workerd that Miniflare starts to this process: see leash.sh. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** The variable that tells leash.sh where to write workerd's pid. */
export const WORKERD_PID_FILE = 'WORKERD_PID_FILE';

/** To be called before the first Miniflare starts. */
export function leashWorkerd() {
  const miniflare = createRequire(import.meta.resolve('miniflare'));
  process.env.WORKERD_BINARY ??= miniflare('workerd').default;
  process.env.MINIFLARE_WORKERD_PATH = fileURLToPath(new URL('./leash.sh', import.meta.url));
}
