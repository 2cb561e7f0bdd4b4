/**
 * One peer of a party: when a session is begun, repeated and renewed, whether the peer answers, and what people are
 * told about it. The session itself, with its frames and keys, is in session.ts.
 *
 * Pure: times and challenges are inputs, frames and waits are outputs. The driver (drivers/link) sends the frames and
 * runs one retry timer a peer.
 */

import { type BundleId, HOST, type Incarnation, type VmId } from '../protocol/ids.ts';
import { routeOf } from './envelope.ts';
import { PROTOCOL_VERSION } from './limits.ts';
import { type Obstruction, type PeerView, peerView, UNVERIFIED_HINT, versionHint } from './peer-view.ts';
import { Session } from './session.ts';
import type { Received, SessionConfig, VersionRange } from './session-io.ts';
import { TwinWatch } from './twins.ts';

/** First wait for an answer to a hello, in ms. */
export const RETRY_MIN_MS = 200;
/**
 * Longest wait for an answer to a hello, in ms. Each is twice as long as the one before. A peer that starts sends its
 * own hello, so an absent one costs a wakeup a minute.
 */
const RETRY_MAX_MS = 60_000;
/**
 * Shortest time between two new sessions caused by invalid frames, in ms. Otherwise an attacker who injects frames
 * could keep us busy with handshakes.
 */
const RENEW_EVERY_MS = 2_000;
/** A peer with a retry interval up to this, in ms, is not retried earlier on demand. */
const WANTED_AFTER_MS = 2_000;
/** Longest wait for the answer to a probe, in ms. A round trip takes a few, on a machine under load a hundred. */
export const PROBE_MS = 400;
/** A peer heard this recently, in ms, is not probed: an answer would be no newer. */
export const FRESH_MS = 100;
/** What prevents an agent's sessions with other agents, and the host's with a VM. */
const NO_INCARNATION_HINT = 'the host has not reported this VM’s incarnation yet';
const NOT_RUNNING_HINT = 'its VM does not run';

/** What all sessions of a party have in common. */
export type PartyConfig = Omit<
  SessionConfig,
  'peer' | 'pairKeys' | 'incarnation' | 'peerIncarnation' | 'versions' | 'tableId'
> & { readonly versions?: VersionRange | undefined };

/** What is known at the moment about both ends. */
export interface Ends {
  /** At an agent: our incarnation; 0: not known yet. */
  readonly incarnation: Incarnation;
  /** At the host: the peer's running incarnation; 0: it does not run. */
  readonly peerIncarnation: Incarnation;
  /** At the host: the id of its table, 8 bytes. */
  readonly tableId?: Uint8Array | undefined;
}

/** Result of a received frame, with what it means for the peer. */
export interface Heard extends Received {
  /** The peer is alive: a frame with our challenge, or a number of this session. A hello may be a replay. */
  readonly isAlive: boolean;
  /** Frames of the peer do not verify: it may have lost our session. */
  readonly needsRenewal: boolean;
  /** What an operator has to know now. */
  readonly hints: readonly string[];
}

/** One peer. Times are of our clock, in ms. */
export class PeerSession {
  readonly id: VmId;
  readonly #party: PartyConfig;
  readonly #pairKeys: SessionConfig['pairKeys'];
  readonly #twins = new TwinWatch();
  #session: Session | undefined;
  #retryMs = RETRY_MIN_MS;
  #renewedMs = Number.NEGATIVE_INFINITY;
  /** Start of the present session, or of the time without one. */
  #sinceMs: number;
  /** When a frame was last accepted in a session. */
  #heardMs: number | undefined;
  /** Since when a probe waits for an answer, and when the last one was sent. */
  #askedMs: number | undefined;
  #probedMs: number | undefined;
  /** What was wrong with its last invalid frames, for people. */
  #trouble: string | undefined;
  /** Bundles with a different definition at the peer, by the last session. */
  #differs: readonly BundleId[] = [];

  constructor(id: VmId, pairKeys: SessionConfig['pairKeys'], party: PartyConfig, nowMs: number) {
    this.id = id;
    this.#pairKeys = pairKeys;
    this.#party = party;
    this.#sinceMs = nowMs;
  }

  /** Whether messages can be sealed. */
  get isUp(): boolean {
    return this.#session?.isUp ?? false;
  }

  /** The session, for messages and consents; undefined until a handshake was begun in the peer's incarnation. */
  get session(): Session | undefined {
    return this.#session;
  }

  /** Returns whether the peer defines a bundle differently, by the last session. */
  differs(bundle: BundleId): boolean {
    return this.#differs.includes(bundle);
  }

  /** Returns why no session is possible, whatever the peer does. */
  absence({ incarnation, peerIncarnation }: Ends): string | undefined {
    if (this.#party.us === HOST) return peerIncarnation === 0 ? NOT_RUNNING_HINT : undefined;
    return this.id !== HOST && incarnation === 0 ? NO_INCARNATION_HINT : undefined;
  }

  /** Begins a handshake, if a session is possible now. Returns the frames, and the wait for an answer in ms. */
  begin(
    challenge: Uint8Array,
    ends: Ends,
  ): { readonly frames: readonly Uint8Array[]; readonly ms: number } | undefined {
    const session = this.#made(ends);
    return session && { frames: session.start(challenge), ms: this.#retryMs };
  }

  /** The wait is over. Returns the frames that are repeated, and the next wait; undefined: all was answered. */
  retry(challenge: Uint8Array): { readonly frames: readonly Uint8Array[]; readonly ms: number } | undefined {
    if (!this.#session?.needsRetry) return undefined;
    const frames = this.#session.retry(challenge);
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
    return { frames, ms: this.#retryMs };
  }

  /**
   * Returns whether a new session may begin, since the peer is silent or its frames do not verify. The present one
   * stays until the new one is proven.
   */
  mayRenew(nowMs: number): boolean {
    if (!this.isUp || nowMs - this.#renewedMs < RENEW_EVERY_MS) return false;
    this.#renewedMs = nowMs;
    return true;
  }

  /** Somebody needs this peer now. Returns whether to begin at once, without the rest of a long wait. */
  isWanted(nowMs: number): boolean {
    if (this.isUp || this.#retryMs <= WANTED_AFTER_MS || nowMs - this.#renewedMs < RENEW_EVERY_MS)
      return false;
    this.#renewedMs = nowMs;
    this.#retryMs = RETRY_MIN_MS;
    return true;
  }

  /** Processes a received frame. Undefined: no session is possible now. `challenge`: 16 random bytes. */
  receive(frame: Uint8Array, challenge: () => Uint8Array, ends: Ends, nowMs: number): Heard | undefined {
    const session = this.#made(ends);
    if (!session) return undefined;
    const isHandshake = routeOf(frame)?.channel === 'h';
    const received = session.receive(frame, isHandshake ? challenge() : undefined);
    const { events, drop } = received;
    const up = events.find((event) => event.kind === 'up');
    const hints: string[] = [];
    const isAlive = up !== undefined || (!isHandshake && !drop);
    if (isAlive) {
      this.#heardMs = nowMs;
      this.#askedMs = undefined;
    }
    for (const event of events) {
      if (event.kind === 'versionUnsupported') {
        this.#trouble = versionHint(this.id, event);
        hints.push(this.#trouble);
      }
    }
    if (up) {
      this.#retryMs = RETRY_MIN_MS;
      this.#sinceMs = nowMs;
      this.#trouble = undefined;
      this.#differs = events.flatMap((event) =>
        event.kind === 'digestMismatch' ? event.mismatches.map(({ bundle }) => bundle) : [],
      );
      const twins = this.#twins.sessionUp(up.peerBootId, nowMs);
      if (twins !== undefined) hints.push(twins);
    }
    if (drop === 'unverified') this.#trouble = UNVERIFIED_HINT;
    return { ...received, isAlive, needsRenewal: drop === 'unverified', hints };
  }

  /**
   * Returns whether a probe is to be sent for a status request: the peer has a session and was not heard just now.
   * Once in PROBE_MS, however many requests come: frames to a slow VM wait in its socket, and each costs it a MAC.
   */
  mustProbe(nowMs: number): boolean {
    if (!this.isUp || this.#isFresh(nowMs)) return false;
    const mayAsk = this.#probedMs === undefined || nowMs - this.#probedMs >= PROBE_MS;
    // Another status request shares an open probe.
    if (this.#askedMs !== undefined && !mayAsk) return false;
    this.#askedMs ??= nowMs;
    this.#probedMs = nowMs;
    return true;
  }

  /** Returns whether a status request waits for this peer: not for one that left the last probe unanswered. */
  isAwaited(nowMs: number): boolean {
    return this.isUp && !this.#isFresh(nowMs) && !this.#isSilent(nowMs);
  }

  /** Returns what people see of the peer. */
  view(obstacle: Obstruction | undefined, ends: Ends, nowMs: number): PeerView {
    return peerView(
      {
        peer: this.id,
        hasSession: this.isUp,
        sinceMs: this.#sinceMs,
        heardMs: this.#heardMs,
        isSilent: this.#isSilent(nowMs),
        obstacle,
        twins: this.#twins.hint(nowMs),
        trouble: this.#trouble ?? this.absence(ends),
      },
      nowMs,
    );
  }

  #isFresh(nowMs: number): boolean {
    return this.#heardMs !== undefined && nowMs - this.#heardMs < FRESH_MS;
  }

  /** A probe is open for longer than an answer takes. */
  #isSilent(nowMs: number): boolean {
    return this.#askedMs !== undefined && nowMs - this.#askedMs >= PROBE_MS;
  }

  /** The session; a new one if there is none and one is possible. */
  #made(ends: Ends): Session | undefined {
    if (this.#session) return this.#session;
    if (this.absence(ends) !== undefined) return undefined;
    const isHost = this.#party.us === HOST;
    this.#session = new Session({
      ...this.#party,
      peer: this.id,
      pairKeys: this.#pairKeys,
      incarnation: isHost ? (0 as Incarnation) : ends.incarnation,
      peerIncarnation: isHost ? ends.peerIncarnation : (0 as Incarnation),
      versions: this.#party.versions ?? { min: PROTOCOL_VERSION, max: PROTOCOL_VERSION },
      tableId: ends.tableId,
    });
    return this.#session;
  }
}
