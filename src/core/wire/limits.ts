/**
 * Every bound of the wire format, with its reason. Pure data.
 *
 * The contents of messages are bounded in protocol/; these are the sums. test/core/wire computes them again from the
 * schemas, which detects a field that grows past a limit.
 */

import { BUNDLES_MAX } from '../protocol/bundle.ts';
import { ID_BYTES_MAX } from '../protocol/ids.ts';

/**
 * Longest frame in bytes, two pages. The largest message is a `stateReported` with the evidence of 32 resources with
 * the longest names: some 6000 bytes sealed.
 */
export const FRAME_BYTES_MAX = 8192;
/** Deepest nesting of arrays and maps. The evidence needs 5: payload, body, proof, list, resource. */
export const DEPTH_MAX = 8;
/**
 * Most data items of one payload, including containers and keys. The largest message has about 650: 32 resources of
 * 19 items, 8 resets, and the fields around them.
 */
export const ITEMS_MAX = 768;
/** Longest key id: two names, three slashes, a channel letter and a generation of ten digits need 78 bytes. */
export const KID_BYTES_MAX = 78;
/** Most valid key generations of a pair at a time: the present one, and the next or the previous one. */
export const GENERATIONS_MAX = 2;
/** Hellos in one key generation before the other one is tried. The waits between them add up to 1.4 s. */
export const HELLOS_PER_GENERATION = 3;
/** Longest name of a resource: a device, a dot, `interrupt` and two digits. */
export const RESOURCE_NAME_BYTES_MAX = ID_BYTES_MAX + 12;
/** Most digests in a hello: one for each bundle of a party. */
export const HELLO_BUNDLES_MAX = BUNDLES_MAX;
/** Most VMs with their own view of one resource; far more than share a device in practice. */
export const VIEWS_MAX = 64;
/** Most residual states of one device. */
export const RESIDUAL_STATES_MAX = 16;

/** Length of the key shared by two parties, as configured. */
export const PAIR_KEY_BYTES = 32;
/** Length of the keys derived from it: that of the hash, the most that HMAC-SHA-256 uses. */
export const KEY_BYTES = 32;
/** Tag of HMAC 256/256 (RFC 9053 section 3.1): not truncated. */
export const TAG_BYTES = 32;
/** Boot id: 128 random bits, never equal for two boots. */
export const BOOT_ID_BYTES = 16;
/** Id of the host's table: 64 random bits, never equal for two tables of one machine. */
export const TABLE_ID_BYTES = 8;
/** Challenge of a handshake: 128 random bits, never equal for two handshakes. */
export const HELLO_CHALLENGE_BYTES = 16;

/** How far behind the newest message one may arrive and still be accepted: two machine words of state. */
export const REPLAY_WINDOW = 64;
/** Messages left in a direction when the session should be renewed: enough for hours at full speed. */
export const RENEWAL_MARGIN = 0x0100_0000;
/** The protocol version of this code. */
export const PROTOCOL_VERSION = 2;
/** The version of envelope and handshake. Fixed from version 2 on, so that any two versions can negotiate. */
export const ENVELOPE_VERSION = 2;
