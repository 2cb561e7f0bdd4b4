/**
 * Watches descriptors on the engine's event loop. Per turn it serves only the first ready descriptor, in the order in
 * which handlers were set. So a handler is set again after each call, which puts it behind all others.
 */

import * as os from 'qjs:os';
import type { Poller } from '../native/core.ts';
import { guarded } from './guard.ts';
import { NATIVE } from './native.ts';

interface Handlers {
  read?: (() => void) | undefined;
  write?: (() => void) | undefined;
}

const all = new Map<number, Handlers>();

/** The engine's loop. */
export const POLLER: Poller = {
  onReadable: (fd, ready) => set(fd, 'read', ready),
  onWritable: (fd, ready) => set(fd, 'write', ready),
};

function set(fd: number, way: keyof Handlers, ready: (() => void) | undefined): void {
  const handlers = all.get(fd) ?? {};
  handlers[way] = ready && guarded(() => serve(fd, handlers, way, ready));
  if (handlers.read || handlers.write) all.set(fd, handlers);
  else all.delete(fd);
  apply(fd, handlers, way);
}

function serve(fd: number, handlers: Handlers, way: keyof Handlers, ready: () => void): void {
  const mine = handlers[way];
  ready();
  NATIVE.tidy();
  // The watch may have ended, and the descriptor's number may be reused.
  if (all.get(fd) !== handlers || handlers[way] !== mine) return;
  os.setReadHandler(fd, null);
  os.setWriteHandler(fd, null);
  if (handlers.read) os.setReadHandler(fd, handlers.read);
  if (handlers.write) os.setWriteHandler(fd, handlers.write);
}

function apply(fd: number, handlers: Handlers, way: keyof Handlers): void {
  if (way === 'read') os.setReadHandler(fd, handlers.read ?? null);
  else os.setWriteHandler(fd, handlers.write ?? null);
}
