/**
 * The transport of a guest: one byte stream to the host (vsock, UNIX, TCP), which forwards frames to other guests.
 *
 * Each frame follows its length (core/wire/framing.ts). Its key id names the receiver, so the stream needs no
 * addresses and no first message: the host knows which VM a socket belongs to (stream-router.ts). Frames are lost
 * while the stream is down or its buffer is full; the sessions repeat what matters.
 */

import { quietLog } from '../../../../common/quiet-log.ts';
import { HOST, type VmId } from '../../../../core/protocol/ids.ts';
import { routeOf } from '../../../../core/wire/envelope.ts';
import { FrameDecoder, frameForStream } from '../../../../core/wire/framing.ts';
import { FRAME_BYTES_MAX } from '../../../../core/wire/limits.ts';
import type {
  ByteStream,
  Clock,
  Entropy,
  Log,
  Obstacle,
  StreamNetwork,
  Transport,
  TransportListener,
} from '../../../../ports/world.ts';
import { BROKEN, DOES_NOT_READ, whyNot } from '../../complaints.ts';
import { type TransportCounts, zeroCounts } from '../../counts.ts';
import { type DialEvents, Redial } from '../../redial.ts';

/** Parameters of a guest's transport. */
export interface StreamTransportParts {
  readonly self: VmId;
  /** Address on which the host listens for this VM. */
  readonly address: string;
  readonly streams: StreamNetwork;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
}

/** A guest's connection to the host and, through it, to other guests. */
export class StreamTransport implements Transport {
  readonly counts: TransportCounts = zeroCounts();
  readonly #parts: StreamTransportParts;
  readonly #log: Log;
  readonly #redial: Redial;
  #listener: TransportListener | undefined;
  #stream: ByteStream | undefined;

  constructor(parts: StreamTransportParts) {
    this.#parts = parts;
    this.#log = quietLog(parts.log, parts.clock);
    this.#redial = new Redial({ ...parts, log: this.#log, where: `the host at ${parts.address}` }, (events) =>
      this.#dial(events),
    );
  }

  open(listener: TransportListener): void {
    this.#listener = listener;
    this.#redial.open(listener);
  }

  send(_to: VmId, frame: Uint8Array): boolean {
    const fits = frame.length > 0 && frame.length <= FRAME_BYTES_MAX;
    if (!fits || !this.#stream?.write(frameForStream(frame))) {
      this.counts.unsent += 1;
      if (!this.#stream) this.#redial.wanted();
      else if (fits) this.#log('warn', DOES_NOT_READ, { to: HOST });
      return false;
    }
    this.counts.sent += 1;
    this.counts.crossings += 1;
    return true;
  }

  obstacle(): Obstacle | undefined {
    return this.#redial.obstacle();
  }

  close(): void {
    this.#listener = undefined;
    this.#redial.close();
  }

  #dial(events: DialEvents): () => void {
    let stream: ByteStream | undefined;
    let isHungUp = false;
    this.#parts.streams.connect(this.#parts.address, (result) => {
      if (result instanceof Error) return events.down(result.message);
      if (isHungUp) return result.close();
      stream = result;
      this.#use(result, events);
    });
    return () => {
      isHungUp = true;
      stream?.close();
      this.#stream = undefined;
    };
  }

  #use(stream: ByteStream, events: DialEvents): void {
    const decoder = new FrameDecoder();
    let isBroken = false;
    this.#stream = stream;
    stream.open({
      onData: (bytes) => {
        const { frames, broken } = decoder.push(bytes);
        for (const frame of frames) this.#onFrame(frame);
        if (!broken || isBroken) return;
        isBroken = true;
        this.counts.malformed += 1;
        stream.close();
      },
      onClose: (reason) => {
        if (this.#stream === stream) this.#stream = undefined;
        events.down(isBroken ? BROKEN : reason);
      },
    });
    events.up();
  }

  #onFrame(frame: Uint8Array): void {
    const route = routeOf(frame);
    const why = whyNot(frame, route, this.#parts.self);
    if (why !== undefined || route === undefined) {
      this.counts.malformed += 1;
      this.#log('warn', `frame dropped: ${why}`, { from: HOST });
      return;
    }
    if (!this.#listener) return;
    this.counts.received += 1;
    this.#listener.onFrame(route.from, frame);
  }
}
