/**
 * The transport of the host over byte streams, and the router between guests, which vsock does not connect directly.
 *
 * It reads only the key id of a frame and has no keys. Every VM has its own address (a UNIX socket that belongs to
 * one vsock CID, for example), which identifies the VM of a connection: a frame with another sender is dropped. The
 * newest connection of a VM counts, since a killed VM may leave an old one behind.
 *
 * Guests have turns (turns.ts). One that sends faster than its turns is not read for a while: only it waits. Frames
 * between guests also have an allowance per sender, and are lost when their receiver does not read, so they delay
 * neither other guests nor the host's own messages. A reconnect does not renew a VM's allowance.
 *
 * An address without a VM is for tests: a connection belongs to the sender of its first frame, and the newest
 * connection under a name gets its frames. This can block a victim permanently, but no session key is exposed.
 */

import { quietLog } from '../../../../common/quiet-log.ts';
import { ROOM_HELD_UP_BYTES, Turns } from '../../../../common/turns.ts';
import { HOST, type VmId } from '../../../../core/protocol/ids.ts';
import { routeOf } from '../../../../core/wire/envelope.ts';
import { FrameDecoder, frameForStream } from '../../../../core/wire/framing.ts';
import { FRAME_BYTES_MAX } from '../../../../core/wire/limits.ts';
import type {
  ByteStream,
  Clock,
  Log,
  Obstacle,
  StreamNetwork,
  Transport,
  TransportListener,
} from '../../../../ports/world.ts';
import { Allowance, DIALS, FRAME_COST_BYTES, FRAMES_TO_GUESTS } from '../../allowance.ts';
import { BROKEN, DOES_NOT_READ } from '../../complaints.ts';
import { type TransportCounts, zeroCounts } from '../../counts.ts';

/** A listening address. */
export interface ListenPoint {
  /** In the form of the stream network. */
  readonly address: string;
  /** The VM of this address; undefined: any VM without its own. Only for tests. */
  readonly vm: VmId | undefined;
}

/** Parameters of the router. */
export interface StreamRouterParts {
  readonly listen: readonly ListenPoint[];
  readonly streams: StreamNetwork;
  readonly clock: Clock;
  readonly log: Log;
}

/** Counters of the router. They only rise. */
export interface RouterCounts extends TransportCounts {
  /** Frames forwarded between guests. */
  routed: number;
  /** Frames between guests that were lost: the receiver is not connected, or does not read. */
  unrouted: number;
  /** Frames between guests beyond their sender's allowance, and frames of a stream that could not be paused. */
  throttled: number;
  /** Connections that replaced an older one of the same VM. */
  replaced: number;
  /** Refused connections: their VM dials too often. */
  refused: number;
}

/** Most connections without a known sender; each VM has one connection otherwise. */
const NAMELESS_MAX = 64;
/** Longest time without a first frame on a shared address, in ms: agents send a hello at once. */
const NAMELESS_MS = 5_000;
/** Wait before listening is retried, in ms. A missing folder is created by hand. */
const LISTEN_RETRY_MS = 1_000;

/** An active listening address. */
interface Point extends ListenPoint {
  readonly dials: Allowance;
  /** Allowance of its VM for other guests; on a shared address, each connection has its own. */
  readonly toGuests: Allowance;
  /** Stops listening, or the wait before a retry. */
  end: () => void;
  /** Why it accepts no connections; undefined while it does. */
  fault: Obstacle | undefined;
  /** Since when its VM is not connected. */
  absentMs: number;
}

interface Connection {
  readonly stream: ByteStream;
  readonly toGuests: Allowance;
  vm: VmId | undefined;
  cancelLimit: () => void;
}

/** The host's transport and the router between guests. */
export class StreamRouter implements Transport {
  readonly counts: RouterCounts = {
    ...zeroCounts(),
    routed: 0,
    unrouted: 0,
    throttled: 0,
    replaced: 0,
    refused: 0,
  };
  readonly #parts: StreamRouterParts;
  readonly #log: Log;
  readonly #points: readonly Point[];
  /** VMs with their own address; they use no other. */
  readonly #placed: ReadonlySet<VmId>;
  readonly #guests = new Map<VmId, Connection>();
  readonly #nameless = new Set<Connection>();
  readonly #turns: Turns<VmId>;
  #listener: TransportListener | undefined;
  #isUp = false;

  constructor(parts: StreamRouterParts) {
    const { listen, clock } = parts;
    this.#log = quietLog(parts.log, clock);
    this.#parts = parts;
    const nowMs = clock.nowMs();
    this.#points = listen.map((point) => ({
      ...point,
      dials: new Allowance(DIALS, nowMs),
      toGuests: new Allowance(FRAMES_TO_GUESTS, nowMs),
      end: () => {},
      fault: undefined,
      absentMs: nowMs,
    }));
    const letGoOn = (vm: VmId) => this.#guests.get(vm)?.stream.hold?.(false);
    this.#turns = new Turns(clock, letGoOn, ROOM_HELD_UP_BYTES);
    this.#placed = new Set(listen.flatMap(({ vm }) => (vm === undefined ? [] : [vm])));
  }

  /** Starts listening. `onUp` is called once, as soon as one address works, and again for each guest. */
  open(listener: TransportListener): void {
    this.#listener = listener;
    for (const point of this.#points) this.#listen(point);
  }

  send(to: VmId, frame: Uint8Array): boolean {
    const fits = frame.length > 0 && frame.length <= FRAME_BYTES_MAX;
    const guest = this.#guests.get(to);
    if (!fits || !guest?.stream.write(frameForStream(frame))) {
      this.counts.unsent += 1;
      if (fits && guest) this.#log('warn', DOES_NOT_READ, { to });
      return false;
    }
    this.counts.sent += 1;
    this.counts.crossings += 1;
    return true;
  }

  obstacle(to?: VmId): Obstacle | undefined {
    if (to === undefined) return this.#points.find(({ fault }) => fault)?.fault;
    if (this.#guests.has(to)) return undefined;
    const own = this.#points.find(({ vm }) => vm === to);
    const point = own ?? this.#points.find(({ vm }) => vm === undefined);
    if (!point) return { reason: 'no address to listen on is configured for it', sinceMs: undefined };
    return point.fault ?? { reason: undefined, sinceMs: own?.absentMs };
  }

  close(): void {
    this.#listener = undefined;
    this.#turns.stop();
    for (const point of this.#points) point.end();
    const connections = [...this.#guests.values(), ...this.#nameless];
    this.#guests.clear();
    this.#nameless.clear();
    for (const { stream, cancelLimit } of connections) {
      cancelLimit();
      stream.close();
    }
  }

  /** Returns the connected VMs. */
  connected(): readonly VmId[] {
    return [...this.#guests.keys()];
  }

  #listen(point: Point): void {
    const { streams, clock } = this.#parts;
    const onDone = (error: Error | undefined) => {
      if (!this.#listener) return;
      if (!error) return this.#onListening(point);
      this.#log('error', `cannot listen, trying again: ${error.message}`, { vm: point.vm });
      const sinceMs = point.fault?.sinceMs ?? clock.nowMs();
      point.fault = { reason: `cannot listen on ${point.address}: ${error.message}`, sinceMs };
      point.end = clock.after(LISTEN_RETRY_MS, () => this.#listen(point));
    };
    point.end = streams.listen(point.address, (stream) => this.#onConnection(point, stream), onDone);
  }

  #onListening(point: Point): void {
    this.#log('info', `listening on ${point.address}`, { vm: point.vm });
    point.fault = undefined;
    if (this.#isUp) return;
    this.#isUp = true;
    this.#listener?.onUp();
  }

  #onConnection(point: Point, stream: ByteStream): void {
    if (!this.#listener) return stream.close();
    const nowMs = this.#parts.clock.nowMs();
    if (point.vm !== undefined && !point.dials.take(1, nowMs)) {
      this.counts.refused += 1;
      this.#log('warn', 'connection refused: the VM dials too often', { vm: point.vm });
      // Its data must be read, or its end would not be seen.
      stream.open({ onData: () => {}, onClose: () => {} });
      return stream.close();
    }
    const connection: Connection = {
      stream,
      toGuests: point.vm === undefined ? new Allowance(FRAMES_TO_GUESTS, nowMs) : point.toGuests,
      vm: undefined,
      cancelLimit: () => {},
    };
    if (point.vm !== undefined) this.#name(connection, point.vm);
    else if (!this.#admit(connection)) return stream.close();
    const decoder = new FrameDecoder();
    stream.open({
      onData: (bytes) => {
        const { frames, broken } = decoder.push(bytes);
        for (const frame of frames) this.#onFrame(connection, frame);
        if (broken) this.#refuse(connection, BROKEN);
        else if (
          connection.vm !== undefined &&
          this.#isCurrent(connection) &&
          this.#turns.isBusy(connection.vm)
        )
          stream.hold?.(true);
      },
      onClose: () => this.#remove(connection),
    });
  }

  /** Accepts a connection on a shared address, for a limited time. */
  #admit(connection: Connection): boolean {
    if (this.#nameless.size >= NAMELESS_MAX) {
      this.#log('warn', 'connection refused: too many without a known sender', {});
      return false;
    }
    this.#nameless.add(connection);
    connection.cancelLimit = this.#parts.clock.after(NAMELESS_MS, () =>
      this.#refuse(connection, `no frame within ${NAMELESS_MS} ms`),
    );
    return true;
  }

  #name(connection: Connection, vm: VmId): void {
    connection.cancelLimit();
    this.#nameless.delete(connection);
    connection.vm = vm;
    const older = this.#guests.get(vm);
    this.#guests.set(vm, connection);
    if (older) {
      this.counts.replaced += 1;
      // Sessions show whether its agent runs twice (core/wire/twins.ts): a killed VM may leave a connection
      // behind.
      this.#log('warn', 'a newer connection of the same VM takes over', { vm });
      older.stream.close();
    } else this.#log('info', 'connected', { vm });
    this.#listener?.onUp(vm);
  }

  #onFrame(connection: Connection, frame: Uint8Array): void {
    if (!this.#listener || !this.#isCurrent(connection)) return;
    const route = routeOf(frame);
    if (!route) return this.#malformed(connection, 'not an envelope');
    if (connection.vm === undefined) {
      if (route.from === HOST || this.#placed.has(route.from)) {
        return this.#malformed(connection, `the name of ${route.from} is not free`);
      }
      this.#name(connection, route.from);
    }
    if (route.from !== connection.vm) return this.#malformed(connection, `it says it is from ${route.from}`);
    const { from, to } = route;
    if (!this.#turns.take(from, frame.length, () => this.#onTurn(connection, from, to, frame)))
      this.#throttled(connection, 'it sends without waiting');
  }

  /** Processes a frame of a guest at its turn. Frames read before its connection ended count. */
  #onTurn(connection: Connection, from: VmId, to: VmId, frame: Uint8Array): void {
    if (!this.#listener) return;
    if (to === HOST) {
      this.counts.received += 1;
      this.#listener.onFrame(from, frame);
    } else if (
      connection.toGuests.take(Math.max(frame.length, FRAME_COST_BYTES), this.#parts.clock.nowMs())
    ) {
      this.#pass(to, frame);
    } else this.#throttled(connection, 'it sends too much to other guests');
  }

  #pass(to: VmId, frame: Uint8Array): void {
    const guest = this.#guests.get(to);
    if (!guest?.stream.write(frameForStream(frame), true)) {
      this.counts.unrouted += 1;
      if (guest) this.#log('warn', DOES_NOT_READ, { to });
      return;
    }
    this.counts.routed += 1;
    this.counts.crossings += 1;
  }

  #throttled({ vm }: Connection, why: string): void {
    this.counts.throttled += 1;
    this.#log('warn', `frame dropped: ${why}`, { vm });
  }

  /** Returns whether its frames count: it was not replaced, refused or closed. */
  #isCurrent(connection: Connection): boolean {
    const { vm } = connection;
    return vm === undefined ? this.#nameless.has(connection) : this.#guests.get(vm) === connection;
  }

  #malformed(connection: Connection, why: string): void {
    this.counts.malformed += 1;
    this.#log('warn', `frame dropped: ${why}`, { vm: connection.vm });
  }

  #refuse(connection: Connection, why: string): void {
    this.counts.malformed += 1;
    this.#log('warn', `connection closed: ${why}`, { vm: connection.vm });
    this.#remove(connection);
    connection.stream.close();
  }

  #remove(connection: Connection): void {
    connection.cancelLimit();
    this.#nameless.delete(connection);
    const { vm } = connection;
    if (vm === undefined || this.#guests.get(vm) !== connection) return;
    this.#guests.delete(vm);
    const point = this.#points.find((each) => each.vm === vm);
    if (point) point.absentMs = this.#parts.clock.nowMs();
    this.#log('info', 'disconnected', { vm });
  }
}
