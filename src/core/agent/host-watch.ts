/**
 * What an agent knows of the host by hearing it: its newest timestamp token, and whether it lives. Pure.
 *
 * The host is watched only while a bundle is lent or moves: then it sends a heartbeat a second, and whoever types a
 * secret on a borrowed screen must hear of its silence. Otherwise nobody is woken for nothing.
 */

import { STAMP_BYTES } from '../protocol/messages.ts';
import { STOPPED_MS } from '../protocol/timers.ts';

/** Oldest token that still makes a good consent, in ms. */
const TOKEN_FRESH_MS = 4_000;
/** Without a message of the host for so long, in ms, it counts as silent: it sends a heartbeat a second. */
const HOST_SILENT_MS = 4_000;
/** Time to hear what came while this process did not run, in ms: a heartbeat, and some. */
const CATCH_UP_MS = 1_500;

/** What is known of the host. Times are of our clock, in ms. Immutable. */
export interface HostWatch {
  readonly token: { readonly bytes: Uint8Array; readonly atMs: number } | undefined;
  readonly heardMs: number;
  /** Since when it is watched; undefined: it is not. */
  readonly sinceMs: number | undefined;
  readonly isSilent: boolean;
}

export const UNWATCHED: HostWatch = { token: undefined, heardMs: 0, sinceMs: undefined, isSilent: false };

/** What follows: the timer to start, and what is to be told. */
export interface WatchStep {
  readonly watch: HostWatch;
  readonly timerMs?: number;
  /** The host has been silent for so long. */
  readonly silentMs?: number;
  /** The first message after a silence of so long. */
  readonly backMs?: number;
  /** We ourselves did not run for so long: the host was not silent. */
  readonly stoppedMs?: number;
}

/** The newest token; without one, zeros, which the host refuses. */
export function tokenOf({ token }: HostWatch): Uint8Array {
  return token?.bytes ?? new Uint8Array(STAMP_BYTES);
}

/** Whether the newest token is young enough for a consent. */
export function hasFreshToken({ token }: HostWatch, nowMs: number): boolean {
  return token !== undefined && nowMs - token.atMs < TOKEN_FRESH_MS;
}

/** A message of the host arrived. */
export function heard(watch: HostWatch, nowMs: number, token: Uint8Array | undefined): WatchStep {
  const next: HostWatch = {
    ...watch,
    heardMs: nowMs,
    token: token ? { bytes: token, atMs: nowMs } : watch.token,
    isSilent: false,
  };
  if (!watch.isSilent) return { watch: next };
  const timer = watch.sinceMs === undefined ? {} : { timerMs: HOST_SILENT_MS };
  return { watch: next, backMs: nowMs - watch.heardMs, ...timer };
}

/** From now on the host is watched, or it is not. */
export function watched(watch: HostWatch, isNeeded: boolean, nowMs: number): WatchStep {
  if (isNeeded === (watch.sinceMs !== undefined)) return { watch };
  if (!isNeeded) return { watch: { ...watch, sinceMs: undefined } };
  return { watch: { ...watch, sinceMs: nowMs }, timerMs: HOST_SILENT_MS };
}

/** The timer ran out, `lateMs` after its end: could the host have been silent for long enough? */
export function looked(watch: HostWatch, nowMs: number, lateMs: number): WatchStep {
  const { sinceMs, heardMs } = watch;
  if (sinceMs === undefined || watch.isSilent) return { watch };
  if (lateMs >= STOPPED_MS) return { watch, timerMs: CATCH_UP_MS, stoppedMs: lateMs };
  const silentMs = nowMs - Math.max(heardMs, sinceMs);
  if (silentMs < HOST_SILENT_MS) return { watch, timerMs: HOST_SILENT_MS - silentMs };
  return { watch: { ...watch, isSilent: true }, silentMs: nowMs - heardMs };
}
