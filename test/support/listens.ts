/** Whether a UNIX socket is ready. Reads /proc and nothing else. */

import { readFileSync } from 'node:fs';

/** Of a socket that somebody listens at, in column 4 of /proc/net/unix: __SO_ACCEPTCON of include/uapi/linux/net.h. */
const LISTENS = '00010000';

/** Whether a process listens at this path: the name of a socket is there before that. */
export function listens(path: string): boolean {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n');
  return lines.some((line) => line.endsWith(` ${path}`) && line.split(' ')[3] === LISTENS);
}
