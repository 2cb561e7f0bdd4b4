/** Random bytes on Node: getrandom(2) by way of node:crypto, which throws rather than give weak bytes. */

import { randomBytes } from 'node:crypto';
import type { Entropy } from '../../../src/ports/world.ts';

export const ENTROPY: Entropy = { random: (bytes) => new Uint8Array(randomBytes(bytes)) };
