/** Random bytes on Node: getrandom(2) through node:crypto, which throws instead of returning weak bytes. */

import { randomBytes } from 'node:crypto';
import type { Entropy } from '../../../src/ports/world.ts';

export const ENTROPY: Entropy = { random: (bytes) => new Uint8Array(randomBytes(bytes)) };
