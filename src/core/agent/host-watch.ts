/**
 * What an agent knows of the host from its messages: the newest timestamp token, and whether it is silent. Pure.
 *
 * The host is watched only while a bundle is lent or moves. It sends a heartbeat a second then, and a user who types
 * a secret on a borrowed screen must learn of its silence. At other times no guest is woken.
 */

import { HOST_TIME_BYTES } from '../protocol/messages.ts';
import { STOPPED_MS } from '../protocol/timers.ts';

/** Oldest token that a consent may carry, in ms. */
const TOKEN_FRESH_MS = 4_000;
/** The host counts as silent after this time without a message, in ms. It sends a heartbeat a second. */
const HOST_SILENT_MS = 4_000;
/** Time to process what arrived while this process was stopped, in ms: a little more than a heartbeat. */
const CATCH_UP_MS = 1_500;

/** State of the watch. Times are of our clock, in ms. Immutable. */
export interface HostWatch {
  readonly token: { readonly bytes: Uint8Array; readonly atMs: number } | undefined;
  readonly heardMs: number;
  /** When watching began; undefined: not watched. */
  readonly sinceMs: number | undefined;
  readonly isSilent: boolean;
}

export const UNWATCHED: HostWatch = { token: undefined, heardMs: 0, sinceMs: undefined, isSilent: false };

/** Result of a step: the timer to start, and what to report. */
export interface WatchStep {
  readonly watch: HostWatch;
  readonly timerMs?: number;
  /** The host has been silent for this long. */
  readonly silentMs?: number;
  /** The first message after a silence of this length. */
  readonly backMs?: number;
  /** This process did not run for this long, so the host was not silent. */
  readonly stoppedMs?: number;
}

/** Returns the newest token; without one, zeros, which the host refuses. */
export function tokenOf({ token }: HostWatch): Uint8Array {
  return token?.bytes ?? new Uint8Array(HOST_TIME_BYTES);
}

/** Returns whether the newest token is recent enough for a consent. */
export function hasFreshToken({ token }: HostWatch, nowMs: number): boolean {
  return token !== undefined && nowMs - token.atMs < TOKEN_FRESH_MS;
}

/** Call it when a message of the host arrived. */
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

/** Starts or stops watching. */
export function watched(watch: HostWatch, isNeeded: boolean, nowMs: number): WatchStep {
  if (isNeeded === (watch.sinceMs !== undefined)) return { watch };
  if (!isNeeded) return { watch: { ...watch, sinceMs: undefined } };
  return { watch: { ...watch, sinceMs: nowMs }, timerMs: HOST_SILENT_MS };
}

/** Call it when the timer expired, `lateMs` late: was the host silent for long enough? */
export function looked(watch: HostWatch, nowMs: number, lateMs: number): WatchStep {
  const { sinceMs, heardMs } = watch;
  if (sinceMs === undefined || watch.isSilent) return { watch };
  if (lateMs >= STOPPED_MS) return { watch, timerMs: CATCH_UP_MS, stoppedMs: lateMs };
  const silentMs = nowMs - Math.max(heardMs, sinceMs);
  if (silentMs < HOST_SILENT_MS) return { watch, timerMs: HOST_SILENT_MS - silentMs };
  return { watch: { ...watch, isSilent: true }, silentMs: nowMs - heardMs };
}
