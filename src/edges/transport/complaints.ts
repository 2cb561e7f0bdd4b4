/** Texts about dropped frames, the same for every transport. Pure. */

import type { VmId } from '../../core/protocol/ids.ts';
import type { Route } from '../../core/wire/envelope.ts';
import { FRAME_BYTES_MAX } from '../../core/wire/limits.ts';

/** A frame is too long, or a stream does not consist of frames. */
export const BROKEN = 'length of a frame out of range: the other end does not send frames of Baton';
/** A queue is full. */
export const DOES_NOT_READ = 'frame dropped: its receiver does not read';

/**
 * Returns why a frame is not valid for `self`; undefined when it is. `sender`: the required sender, if the transport
 * knows it.
 */
export function whyNot(
  frame: Uint8Array,
  route: Route | undefined,
  self: VmId,
  sender?: string,
): string | undefined {
  if (frame.length > FRAME_BYTES_MAX) return BROKEN;
  if (!route) return 'not an envelope';
  if (route.to !== self) return `it is for ${route.to}`;
  return sender === undefined || route.from === sender ? undefined : `it says it is from ${route.from}`;
}
