/**
 * Byte streams on Node through the native core, for vsock, which Node's own sockets do not support. The addon is loaded
 * for the first such stream, so that others need neither it nor a compiler.
 */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StreamNetwork } from '../../../src/ports/world.ts';
import type { NativeCore, Poller } from '../../native/core.ts';
import { nativeStreams } from '../../native/streams.ts';
import { CLOCK } from '../system/clock.ts';
import { takeSocketPlace } from './socket-place.ts';

/** The addon (../native/node/addon.c). */
export interface NativeAddon extends NativeCore {
  /**
   * Calls back with the ready events whenever `fd` is ready for one of `events` (1: read, 2: write). Replaces the
   * earlier request for `fd`; 0 ends it.
   */
  poll(fd: number, events: number, ready: (events: number) => void): number;
}

const READABLE = 1;
const WRITABLE = 2;

let loaded: Promise<StreamNetwork> | undefined;

/** Returns streams of vsock. Rejects with what is missing if the addon was not built. */
export function vsockStreams(): Promise<StreamNetwork> {
  loaded ??= Promise.resolve().then(() => addonStreams(loadAddon(addonPath(), 'vsock')));
  return loaded;
}

/** Beside the programs, or the path in BATON_NATIVE. */
export function addonPath(): string {
  return process.env['BATON_NATIVE'] ?? join(dirname(fileURLToPath(import.meta.url)), 'baton-native.node');
}

/** Loads an addon. Throws an Error with what is missing; `what`: the feature that needs it. */
export function loadAddon(path: string, what: string): NativeAddon {
  try {
    return createRequire(import.meta.url)(path) as NativeAddon;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'MODULE_NOT_FOUND' ? `no ${path}` : message.split('\n')[0];
    throw new Error(
      `${what} needs native code on Node: ${why}; npm run build:native builds it, with a C compiler`,
    );
  }
}

/** Streams over an addon. */
export function addonStreams(addon: NativeAddon): StreamNetwork {
  return nativeStreams({
    core: addon,
    poller: new AddonPoller(addon),
    clock: CLOCK,
    takePlace: takeSocketPlace,
  });
}

/** Watches descriptors on Node's event loop, through uv_poll. */
class AddonPoller implements Poller {
  readonly #addon: NativeAddon;
  readonly #ready = new Map<number, { read?: (() => void) | undefined; write?: (() => void) | undefined }>();

  constructor(addon: NativeAddon) {
    this.#addon = addon;
  }

  onReadable(fd: number, ready: (() => void) | undefined): void {
    this.#set(fd, { ...this.#ready.get(fd), read: ready });
  }

  onWritable(fd: number, ready: (() => void) | undefined): void {
    this.#set(fd, { ...this.#ready.get(fd), write: ready });
  }

  #set(fd: number, handlers: { read?: (() => void) | undefined; write?: (() => void) | undefined }): void {
    const events = (handlers.read ? READABLE : 0) | (handlers.write ? WRITABLE : 0);
    if (events === 0) {
      if (!this.#ready.delete(fd)) return;
    } else this.#ready.set(fd, handlers);
    this.#addon.poll(fd, events, (found) => this.#serve(fd, found));
  }

  #serve(fd: number, found: number): void {
    if (found & WRITABLE) this.#ready.get(fd)?.write?.();
    if (found & READABLE) this.#ready.get(fd)?.read?.();
  }
}
