/**
 * What the drivers of the core need from the world. A target (targets/<runtime>/) supplies each; tests supply
 * simulated ones. Types only.
 */

import type { BundleId, Epoch, VmId } from '../core/protocol/ids.ts';

/** Monotonic time and timers. Never wall-clock time. */
export interface Clock {
  /** Milliseconds since some fixed moment of this boot of the machine; survives a restart of the process. */
  nowMs(): number;
  /** Calls `fire` once after `ms` milliseconds; the returned function cancels. */
  after(ms: number, fire: () => void): () => void;
  /** Calls `fire` once after what is ready now (input, timers) had its turn; the returned function cancels. */
  soon(fire: () => void): () => void;
}

/** Random bytes from the operating system. Fails closed: throws rather than return weak bytes. */
export interface Entropy {
  random(bytes: number): Uint8Array;
}

/**
 * Moves frames between named parties. It may drop, delay, repeat, reorder and forge: nobody trusts it.
 * A frame is one sealed envelope (core/wire/envelope.ts).
 */
export interface Transport {
  /** Starts connecting; keeps reconnecting until `close`. */
  open(listener: TransportListener): void;
  /** Hands a frame over for `to`. Returns false when it was dropped at once (not connected, queue full). */
  send(to: VmId, frame: Uint8Array): boolean;
  /**
   * What is in the way to `to`; without one, of everything that this transport should reach. Undefined: nothing that
   * it knows of.
   */
  obstacle(to?: VmId): Obstacle | undefined;
  /** Ends the transport; no listener is called afterwards. */
  close(): void;
}

/** Why there is no way. */
export interface Obstacle {
  /** For people; undefined: the other end is not connected, and why only it knows. */
  readonly reason: string | undefined;
  /** Since when, on the clock of the transport; undefined where it does not know. */
  readonly sinceMs: number | undefined;
}

export interface TransportListener {
  /** A frame arrived. `from` is who the transport says sent it: a hint, never an identity. */
  onFrame(from: VmId, frame: Uint8Array): void;
  /**
   * The way to the others is open; frames before this moment may be lost. With a `peer`: only the way to this one
   * has become open.
   */
  onUp(peer?: VmId): void;
  /** The way is gone. `reason` is for people. */
  onDown(reason: string): void;
}

/** What a driver does now, as far as `inspect` can tell. */
export type DriverStatus = 'active' | 'suspended' | 'unknown';

/**
 * The hooks of one bundle that an agent may run. `suspend` is undone when it fails; `quiesce`
 * does what it can, for a device that somebody else holds already.
 */
export type HookName = 'prepare' | 'suspend' | 'quiesce' | 'resume';

/** How a hook run ended. `unknown`: it was stopped half-way and nobody knows what the driver does. */
export type HookResult =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly outcome: 'failed' | 'unknown';
      readonly error: string;
      /** Which step of which device failed, in words that may leave the VM: names alone. */
      readonly where?: string | undefined;
    };

/** Runs the local driver's hooks. One run at a time per bundle. */
export interface DriverHooks {
  run(bundle: BundleId, hook: HookName, epoch: Epoch, done: (result: HookResult) => void): void;
  inspect(bundle: BundleId, done: (status: DriverStatus) => void): void;
}

/** Durable records, oldest first. */
export interface Journal {
  /** The records found when the journal was opened. */
  readonly records: readonly Uint8Array[];
  /** Appends a record; with `sync`, returns only when it is durable. Throws when it cannot. */
  append(record: Uint8Array, sync: boolean): void;
  /** Atomically replaces all records by these. */
  rewrite(records: readonly Uint8Array[]): void;
  close(): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Where lines for people go. `fields` are named values: vm, bundle, epoch, … */
export interface Log {
  (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** The least level that is shown, so that nobody composes lines that are not; everything if absent. */
  readonly level?: LogLevel;
  /** Of a quiet log (quiet-log.ts): where each line is written as it comes. For lines that are limited otherwise. */
  readonly each?: Log;
}

/** A connected, ordered stream of bytes: a UNIX, TCP or vsock socket. */
export interface ByteStream {
  /** Sets the one listener; nothing is read before. */
  open(listener: ByteStreamListener): void;
  /**
   * Queues bytes. Returns false, taking none of them, when its buffer limit would be exceeded; of somebody else's,
   * when half of it would: what we have to say ourselves still finds room.
   */
  write(bytes: Uint8Array, isForeign?: boolean): boolean;
  /** Reads nothing until it is called with false: the peer has to wait. */
  hold?(isHeld: boolean): void;
  /** Closes after what is queued was sent; `onClose` follows. */
  close(): void;
}

export interface ByteStreamListener {
  onData(bytes: Uint8Array): void;
  /** Called once. `reason` is for people. */
  onClose(reason: string): void;
}

/**
 * Where byte streams come from. Addresses: `unix:/path`, `tcp:host:port`, `vsock:CID:port`, and `vsock-unix:/path:port`
 * (edges/transport/vsock-unix.ts).
 */
export interface StreamNetwork {
  connect(address: string, done: (result: ByteStream | Error) => void): void;
  /** Listens; a UNIX socket gets `mode` (0600 unless told otherwise). The returned function stops listening. */
  listen(
    address: string,
    onConnection: (stream: ByteStream) => void,
    done: (error: Error | undefined) => void,
    mode?: number,
  ): () => void;
}
