/**
 * Named moments of a start and of a change, at which a test may kill this process, because durability depends on them. Without the environment
 * variable, which only tests set, nothing is read from the disk.
 */

import { rmSync } from 'node:fs';
import { join } from 'node:path';

/** The folder in which a file named after a moment requests one kill there. */
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
    return; // no kill was requested
  }
  process.kill(process.pid, 'SIGKILL');
}
