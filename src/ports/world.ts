/**
 * What the drivers of the core need from their environment. A target (targets/<runtime>/) supplies it; tests supply
 * simulated versions. Types only.
 */

import type { BundleId, DeviceId, Epoch, VmId } from '../core/protocol/ids.ts';

/** Monotonic time and timers. Never wall-clock time. */
export interface Clock {
  /** Milliseconds since a fixed time of this boot of the machine; survives a restart of the process. */
  nowMs(): number;
  /** Calls `fire` once after `ms` milliseconds; the returned function cancels. */
  after(ms: number, fire: () => void): () => void;
  /** Calls `fire` once after all events that are ready now; the returned function cancels. */
  soon(fire: () => void): () => void;
}

/** Random bytes from the operating system. Throws rather than return weak bytes. */
export interface Entropy {
  random(bytes: number): Uint8Array;
}

/**
 * Moves frames between named parties. It may drop, delay, repeat, reorder and forge frames; it is not trusted. A
 * frame is one sealed envelope (core/wire/envelope.ts).
 */
export interface Transport {
  /** Starts connecting; keeps reconnecting until `close`. */
  open(listener: TransportListener): void;
  /** Queues a frame for `to`. Returns false when it was dropped at once (not connected, queue full). */
  send(to: VmId, frame: Uint8Array): boolean;
  /**
   * Returns the obstacle on the way to `to`; without `to`, the one that concerns all peers. Undefined: none known.
   */
  obstacle(to?: VmId): Obstacle | undefined;
  /** Ends the transport; no listener is called afterwards. */
  close(): void;
}

/** Why there is no connection. */
export interface Obstacle {
  /** For people; undefined: the other end is not connected for an unknown reason. */
  readonly reason: string | undefined;
  /** Since when, on the clock of the transport; undefined if unknown. */
  readonly sinceMs: number | undefined;
}

export interface TransportListener {
  /** A frame arrived. `from` is the sender as the transport names it: a hint, never an identity. */
  onFrame(from: VmId, frame: Uint8Array): void;
  /** The connection is up; frames before this time may be lost. With a `peer`: only the connection to this one. */
  onUp(peer?: VmId): void;
  /** The connection is down. `reason` is for people. */
  onDown(reason: string): void;
}

/** State of a driver, as far as `inspect` can determine it. */
export type DriverStatus = 'active' | 'suspended' | 'unknown';

/**
 * The hooks of one bundle that an agent may run. A failed `suspend` is undone; `quiesce` suspends as much as
 * possible, for a device that another VM holds already.
 */
export type HookName = 'prepare' | 'suspend' | 'quiesce' | 'resume';

/** Result of a hook run. `unknown`: it was interrupted, and the driver's state is unknown. */
export type HookResult =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly outcome: 'failed' | 'unknown';
      readonly error: string;
      /** The failed step and its device; only names, so that the text may leave the VM. */
      readonly where?: string | undefined;
    };

/** How long one step of a hook run took. For people. */
export interface HookStepTime {
  readonly device: DeviceId;
  /** Name of the step in the configuration, or its kind. */
  readonly name: string;
  readonly ms: number;
}

/** Takes the result of a hook run, and the steps that were done, in their order. */
export type HookDone = (result: HookResult, steps?: readonly HookStepTime[]) => void;

/** Runs the local driver's hooks. One run at a time per bundle. */
export interface DriverHooks {
  run(bundle: BundleId, hook: HookName, epoch: Epoch, done: HookDone): void;
  inspect(bundle: BundleId, done: (status: DriverStatus) => void): void;
}

/** Records, oldest first. They survive the process; a power cut may lose the last ones. */
export interface Journal {
  /** The records found when the journal was opened. */
  readonly records: readonly Uint8Array[];
  /** Appends a record; with `isDurable` it is on disk on return. Throws on failure. */
  append(record: Uint8Array, isDurable: boolean): void;
  /** Atomically replaces all records by these; durable by default. Throws on failure. */
  rewrite(records: readonly Uint8Array[], isDurable?: boolean): void;
  close(): void;
}

/** One small record that survives a power cut. */
export interface DurableRecord {
  /** The record at the start; undefined: none, or incomplete. */
  readonly found: Uint8Array | undefined;
  /**
   * Replaces the record, and calls `done` once it is durable or has failed. Runs outside the event loop. One at a
   * time.
   */
  write(record: Uint8Array, done: (fault: string | undefined) => void): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Output for log lines. `fields` are named values: vm, bundle, epoch, … */
export interface Log {
  (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** The lowest level that is shown, so that no other lines are composed; absent: all are shown. */
  readonly level?: LogLevel;
  /** Of a rate-limited log (quiet-log.ts): writes each line at once. For lines that are limited otherwise. */
  readonly each?: Log;
}

/** A connected, ordered stream of bytes: a UNIX, TCP or vsock socket. */
export interface ByteStream {
  /** Sets the one listener; no data is read before. */
  open(listener: ByteStreamListener): void;
  /**
   * Queues bytes. Returns false, taking none of them, when the buffer limit would be exceeded. Forwarded bytes may
   * use only half of the buffer, so that our own messages still fit.
   */
  write(bytes: Uint8Array, isForeign?: boolean): boolean;
  /** Stops reading until it is called with false: the peer must wait. */
  hold?(isHeld: boolean): void;
  /** Closes after the queued bytes were sent; `onClose` follows. */
  close(): void;
}

export interface ByteStreamListener {
  onData(bytes: Uint8Array): void;
  /** Called once. `reason` is for people. */
  onClose(reason: string): void;
}

/**
 * Source of byte streams. Addresses: `unix:/path`, `tcp:host:port`, `vsock:CID:port`, and `vsock-unix:/path:port`
 * (edges/transport/vsock-unix.ts).
 */
export interface StreamNetwork {
  connect(address: string, done: (result: ByteStream | Error) => void): void;
  /** Listens; a UNIX socket gets `mode` (default 0600). The returned function stops listening. */
  listen(
    address: string,
    onConnection: (stream: ByteStream) => void,
    done: (error: Error | undefined) => void,
    mode?: number,
  ): () => void;
}
