/**
 * Authenticated messages over an untrusted transport: one session per configured peer.
 *
 * Does what core/wire/peer-session.ts decides: sends its frames, runs its retry timers, draws challenges, logs. A
 * frame goes to the peer that its key id names, in the peer's turn; one of a peer that is not configured, or that does
 * not verify, is counted and dropped; its log is rate limited (quiet-log.ts).
 */

import { quietLog } from '../../common/quiet-log.ts';
import { Turns } from '../../common/turns.ts';
import { type BundleId, HOST, type Incarnation, type VmId } from '../../core/protocol/ids.ts';
import type { ConsentClaims, Message } from '../../core/protocol/messages.ts';
import { type Route, routeOf } from '../../core/wire/envelope.ts';
import { HELLO_CHALLENGE_BYTES } from '../../core/wire/limits.ts';
import { type Ends, PeerSession } from '../../core/wire/peer-session.ts';
import type { PeerView } from '../../core/wire/peer-view.ts';
import type { SessionEvent } from '../../core/wire/session-io.ts';
import type { LogLevel, Obstacle, TransportListener } from '../../ports/world.ts';
import type { LinkCounts, LinkListener, LinkParts } from './link-parts.ts';
import { Looks } from './looks.ts';

export type { LinkListener, LinkParts } from './link-parts.ts';

/** Time without a session before it is logged, in ms: a start takes far less. */
const MISSED_AFTER_MS = 5_000;
/** Time until it is logged again, in ms. */
const MISSED_AGAIN_MS = 60_000;
/** The link of one party to all its peers. */
export class Link implements TransportListener {
  readonly counts: LinkCounts = { sent: 0, received: 0, dropped: 0, shed: 0, unsent: 0 };
  readonly #parts: LinkParts;
  readonly #peers = new Map<VmId, PeerSession>();
  /** Cancels the retry timer of a peer. */
  readonly #retries = new Map<VmId, () => void>();
  readonly #isHost: boolean;
  /**
   * Several peers may share one connection, which is always read: a peer's excess is dropped, and no other peer waits
   * for it.
   */
  readonly #turns: Turns<VmId>;
  readonly #looks: Looks;
  #listener: LinkListener | undefined;
  #incarnation = 0 as Incarnation;
  #cancelMissed: () => void = () => {};

  constructor(parts: LinkParts) {
    this.#parts = { ...parts, log: quietLog(parts.log, parts.clock) };
    this.#isHost = parts.self === HOST;
    this.#turns = new Turns(parts.clock);
    this.#looks = new Looks(parts.clock);
    for (const id of parts.pairKeys.keys()) this.#peers.set(id, this.#newPeer(id));
  }

  /** Our incarnation as the host counts it; 0: not known yet. */
  get incarnation(): Incarnation {
    return this.#incarnation;
  }

  open(listener: LinkListener): void {
    this.#listener = listener;
    this.#parts.transport.open(this);
    this.#watchMissed(MISSED_AFTER_MS);
  }

  /** Returns the state of the connections to all peers. A `look` refreshes it. */
  peers(): PeerView[] {
    const nowMs = this.#parts.clock.nowMs();
    return [...this.#peers.values()].map((peer) =>
      peer.view(this.#parts.transport.obstacle(peer.id), this.#ends(peer.id), nowMs),
    );
  }

  /** Returns what prevents the transport from working at all. */
  obstacle(): Obstacle | undefined {
    return this.#parts.transport.obstacle();
  }

  /** Returns the peers with a different definition of a bundle, by their last session. */
  differing(bundle: BundleId): VmId[] {
    return [...this.#peers.values()].filter((peer) => peer.differs(bundle)).map(({ id }) => id);
  }

  /**
   * Asks the peers whether they are alive, for a status request. Calls `done` when they have answered, or after
   * PROBE_MS. A peer that left the last probe unanswered is probed again, but not waited for.
   */
  look(done: () => void): void {
    const nowMs = this.#parts.clock.nowMs();
    const waits = new Set<VmId>();
    for (const peer of this.#peers.values()) {
      const { id, session } = peer;
      this.#wanted(peer);
      if (this.#parts.transport.obstacle(id)) continue;
      if (peer.isAwaited(nowMs)) waits.add(id);
      if (session && peer.mustProbe(nowMs)) for (const frame of session.probe()) this.#put(id, frame);
    }
    this.#looks.begin(waits, done);
  }

  close(): void {
    this.#listener = undefined;
    this.#turns.stop();
    this.#looks.stop();
    this.#cancelMissed();
    for (const cancel of this.#retries.values()) cancel();
    this.#parts.transport.close();
  }

  /** Returns whether messages to `peer` can be sealed now. */
  isUp(peer: VmId): boolean {
    return this.#peers.get(peer)?.isUp ?? false;
  }

  /** Seals and sends. Returns false without a session, or when the transport dropped the frame. */
  send(to: VmId, message: Message, hostTime?: Uint8Array): boolean {
    const peer = this.#peers.get(to);
    if (peer) this.#wanted(peer);
    const sealed = peer?.session?.seal(message, hostTime) ?? { ok: false as const, reason: 'no session' };
    if (!sealed.ok || !peer) {
      this.counts.unsent += 1;
      this.#parts.log('debug', `${message.kind} not sent: ${sealed.ok ? 'no peer' : sealed.reason}`, { to });
      return false;
    }
    if (peer.session?.renewalDue) this.#begin(peer);
    return this.#put(to, sealed.frame);
  }

  /** Sends to every peer whose session is up. */
  broadcast(message: Message, hostTime?: Uint8Array): void {
    for (const peer of this.#peers.values()) if (peer.isUp) this.send(peer.id, message, hostTime);
  }

  /** Seals a consent for the host; undefined without a session. */
  sealConsent(claims: ConsentClaims): Uint8Array | undefined {
    return this.#peers.get(HOST)?.session?.sealConsent(claims);
  }

  /** Opens a consent that `from` sealed for us; undefined when it does not verify. */
  openConsent(from: VmId, consent: Uint8Array): ConsentClaims | undefined {
    return this.#peers.get(from)?.session?.openConsent(consent);
  }

  /** Starts a new session, since the peer is silent or its frames do not verify. Not too often. */
  renew(id: VmId): void {
    const peer = this.#peers.get(id);
    if (peer?.mayRenew(this.#parts.clock.nowMs())) this.#begin(peer);
  }

  /** This peer is needed now. */
  #wanted(peer: PeerSession): void {
    if (peer.isWanted(this.#parts.clock.nowMs())) this.#begin(peer);
  }

  /** The peer's incarnation has ended: drop its session. */
  forget(id: VmId): void {
    if (!this.#peers.has(id)) return;
    this.#retries.get(id)?.();
    this.#peers.set(id, this.#newPeer(id));
  }

  onUp(id?: VmId): void {
    for (const peer of this.#peers.values()) {
      if (id !== undefined && peer.id !== id) continue;
      if (!peer.isUp) this.#begin(peer);
      // A peer that reconnected queries by itself what it missed.
      else if (id === undefined) this.#listener?.onUp(peer.id);
    }
  }

  onDown(reason: string): void {
    for (const peer of this.#peers.values()) this.#listener?.onDown(peer.id, reason);
  }

  onFrame(_from: VmId, frame: Uint8Array): void {
    const route = routeOf(frame);
    const peer = route && route.to === this.#parts.self ? this.#peers.get(route.from) : undefined;
    // The sender chooses this name freely, so no state is kept for it.
    if (!peer) return this.#foreign(route);
    if (this.#turns.take(peer.id, frame.length, () => this.#receive(peer, frame))) return;
    this.counts.shed += 1;
    this.#dropped({ from: peer.id }, 'it sends more than can be processed');
  }

  #receive(peer: PeerSession, frame: Uint8Array): void {
    const { id } = peer;
    // It waited in the queue, and the incarnation that sent it has ended since.
    if (this.#peers.get(id) !== peer) return;
    const heard = peer.receive(frame, () => this.#challenge(), this.#ends(id), this.#parts.clock.nowMs());
    if (!heard) return this.#dropped({ from: id }, 'no session can be made yet', 'debug');
    if (heard.isAlive) this.#looks.heard(id);
    for (const answer of heard.frames) this.#put(id, answer);
    for (const hint of heard.hints) this.#parts.log('error', hint, { peer: id });
    for (const event of heard.events) this.#onEvent(id, event);
    if (heard.needsRenewal) this.renew(id);
    if (heard.drop) {
      // Crossing and repeated handshakes leave stale answers behind.
      const level = heard.drop === 'stale' ? 'debug' : 'warn';
      return this.#dropped({ from: id }, heard.detail ?? heard.drop, level);
    }
    if (!heard.message) return;
    this.counts.received += 1;
    this.#listener?.onMessage(id, heard.message.message, heard.message.hostTime);
  }

  #foreign(route: Route | undefined): void {
    if (!route) return this.#dropped({}, 'no envelope');
    if (route.to !== this.#parts.self) return this.#dropped({}, `it is for ${route.to}`);
    this.#dropped({}, `it says it is from ${route.from}, and there is no key for that name`);
  }

  #onEvent(id: VmId, event: SessionEvent): void {
    if (event.kind === 'digestMismatch') {
      for (const { bundle } of event.mismatches) this.#listener?.onDigestMismatch(id, bundle);
      return;
    }
    if (event.kind !== 'up') return;
    if (id === HOST) {
      const isFirst = this.#incarnation === 0;
      this.#incarnation = event.incarnation;
      // Sessions between agents need our own incarnation, which only the host knows.
      if (isFirst) for (const peer of this.#peers.values()) if (!peer.session) this.#begin(peer);
    }
    this.#listener?.onUp(id, event.peerRestarted, event.tableId);
  }

  /** Starts a handshake, if a session is possible now. */
  #begin(peer: PeerSession): void {
    const begun = peer.begin(this.#challenge(), this.#ends(peer.id));
    if (!begun) return;
    for (const frame of begun.frames) this.#put(peer.id, frame);
    this.#retryLater(peer, begun.ms);
  }

  #retryLater(peer: PeerSession, ms: number): void {
    this.#retries.get(peer.id)?.();
    const cancel = this.#parts.clock.after(ms, () => {
      const again = peer.retry(this.#challenge());
      if (!again) return;
      for (const frame of again.frames) this.#put(peer.id, frame);
      this.#retryLater(peer, again.ms);
    });
    this.#retries.set(peer.id, cancel);
  }

  #newPeer(id: VmId): PeerSession {
    const { self: us, machine, bootId, bundles, versions, pairKeys, clock } = this.#parts;
    return new PeerSession(id, pairKeys.get(id)!, { us, machine, bootId, bundles, versions }, clock.nowMs());
  }

  /** What is known now about our end and that of a peer. */
  #ends(id: VmId): Ends {
    const peerIncarnation = this.#isHost ? (this.#listener?.incarnationOf?.(id) ?? 0) : 0;
    return {
      incarnation: this.#incarnation,
      peerIncarnation: peerIncarnation as Incarnation,
      tableId: this.#listener?.tableId?.(),
    };
  }

  #challenge(): Uint8Array {
    return this.#parts.entropy.random(HELLO_CHALLENGE_BYTES);
  }

  #put(to: VmId, frame: Uint8Array): boolean {
    const sent = this.#parts.transport.send(to, frame);
    if (sent) this.counts.sent += 1;
    else this.counts.unsent += 1;
    return sent;
  }

  /** Logs missing sessions. At the host, VMs that do not run have none. */
  #watchMissed(ms: number): void {
    this.#cancelMissed = this.#parts.clock.after(ms, () => {
      for (const { peer, up, forMs, hint } of this.peers()) {
        const isExpected = !this.#isHost || (this.#listener?.incarnationOf?.(peer) ?? 0) > 0;
        if (!up && isExpected) this.#parts.log('warn', `no session: ${hint}`, { peer, forMs });
      }
      this.#watchMissed(MISSED_AGAIN_MS);
    });
  }

  #dropped(who: Readonly<Record<string, string>>, why: string, level: LogLevel = 'warn'): void {
    this.counts.dropped += 1;
    this.#parts.log(level, `frame dropped: ${why}`, { ...who, dropped: this.counts.dropped });
  }
}
