/**
 * Named moments of a start and of a change, at which a test may kill this process: durability is decided there. Without
 * the variable, which only tests set, a moment passes without a look at the disk.
 */

import { rmSync } from 'node:fs';
import { join } from 'node:path';

/** The folder in which a file named after a moment asks for one kill there. */
const FOLDER = process.env.EPHEMERA_FAULT_POINTS;

/**
 * @typedef {'listening' | 'change: received' | 'change: ports open' | 'change: store started'
 *   | 'change: processes started' | 'change: routed' | 'change: told' | 'change: done'} FaultPoint
 */

/** @param {FaultPoint} point */
export function reached(point) {
  if (!FOLDER) return;
  try {
    rmSync(join(FOLDER, point));
  } catch {
    return; // nobody asked for it
  }
  process.kill(process.pid, 'SIGKILL');
}
