/** Byte streams of this machine through the native core. Replaces targets/node/net/streams.ts. */

import { withVsockUnix } from '../../src/edges/transport/vsock-unix.ts';
import type { StreamNetwork } from '../../src/ports/world.ts';
import { nativeStreams } from '../native/streams.ts';
import { takeSocketPlace } from '../node/net/socket-place.ts';
import { CLOCK } from '../node/system/clock.ts';
import { NATIVE } from './native.ts';
import { POLLER } from './poller.ts';

export { NAME_FAULT } from '../native/addresses.ts';

/** The streams of this machine. */
export const STREAMS: StreamNetwork = withVsockUnix(
  nativeStreams({ core: NATIVE, poller: POLLER, clock: CLOCK, takePlace: takeSocketPlace }),
  CLOCK,
);
