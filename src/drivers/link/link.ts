/**
 * Authenticated messages over an untrusted transport: one session (wire/session.ts) per configured peer.
 *
 * Selects the session by the key id of a frame, runs the retry timer of handshakes, and draws challenges. A frame
 * that does not verify is counted and dropped; its log is rate limited (quiet-log.ts). Frames of unconfigured peers
 * are dropped. Of bundles it knows only the digests.
 */

import { quietLog } from '../../common/quiet-log.ts';
import { Turns } from '../../common/turns.ts';
import { type BundleId, HOST, type Incarnation, type VmId } from '../../core/protocol/ids.ts';
import type { ConsentClaims, Message } from '../../core/protocol/messages.ts';
import { type Route, routeOf } from '../../core/wire/envelope.ts';
import { HELLO_CHALLENGE_BYTES, PROTOCOL_VERSION } from '../../core/wire/limits.ts';
import { Session } from '../../core/wire/session.ts';
import type { Received, SessionEvent } from '../../core/wire/session-io.ts';
import type { LogLevel, Obstacle, TransportListener } from '../../ports/world.ts';
import type { LinkCounts, LinkListener, LinkParts } from './link-parts.ts';
import { FRESH_MS, Looks } from './looks.ts';
import { isSilent, mayAsk, newPeer, type Peer, RETRY_MIN_MS } from './peer.ts';
import { type PeerView, peerView, UNVERIFIED_HINT, versionHint } from './peer-view.ts';

export type { LinkListener, LinkParts } from './link-parts.ts';
export type { PeerView } from './peer-view.ts';

/**
 * Longest wait for an answer to a hello, in ms. The first wait is RETRY_MIN_MS, each next one twice as long. A peer
 * that starts sends its own hello, so an absent one costs a wakeup a minute.
 */
const RETRY_MAX_MS = 60_000;
/**
 * Shortest time between two new sessions caused by invalid frames, in ms. Otherwise an attacker who injects frames
 * could keep us busy with handshakes.
 */
const RENEW_EVERY_MS = 2_000;
/** A peer with a retry interval below this, in ms, is not retried earlier on demand. */
const WANTED_AFTER_MS = 2_000;
/** Time without a session before it is logged, in ms: a start takes far less. */
const MISSED_AFTER_MS = 5_000;
/** Time until it is logged again, in ms. */
const MISSED_AGAIN_MS = 60_000;
/** What prevents an agent's sessions with other agents. */
const NO_INCARNATION_HINT = 'the host has not reported this VM’s incarnation yet';
const NOT_RUNNING_HINT = 'its VM does not run';

/** The link of one party to all its peers. */
export class Link implements TransportListener {
  readonly counts: LinkCounts = { sent: 0, received: 0, dropped: 0, shed: 0, unsent: 0 };
  readonly #parts: LinkParts;
  readonly #peers = new Map<VmId, Peer>();
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
    for (const [id, pairKeys] of parts.pairKeys) {
      this.#peers.set(id, newPeer(id, pairKeys, parts.clock.nowMs()));
    }
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
      peerView(
        {
          peer: peer.id,
          hasSession: peer.session?.isUp ?? false,
          sinceMs: peer.sinceMs,
          heardMs: peer.heardMs,
          isSilent: isSilent(peer, nowMs),
          obstacle: this.#parts.transport.obstacle(peer.id),
          twins: peer.twins.hint(nowMs),
          trouble: peer.trouble ?? this.#absence(peer),
        },
        nowMs,
      ),
    );
  }

  /** Returns why no session is possible, whatever the peer does. */
  #absence({ id }: Peer): string | undefined {
    if (!this.#isHost) return id !== HOST && this.#incarnation === 0 ? NO_INCARNATION_HINT : undefined;
    return (this.#listener?.incarnationOf?.(id) ?? 1) === 0 ? NOT_RUNNING_HINT : undefined;
  }

  /** Returns what prevents the transport from working at all. */
  obstacle(): Obstacle | undefined {
    return this.#parts.transport.obstacle();
  }

  /** Returns the peers with a different definition of a bundle, by their last session. */
  differing(bundle: BundleId): VmId[] {
    return [...this.#peers.values()].filter(({ differs }) => differs.includes(bundle)).map(({ id }) => id);
  }

  /**
   * Asks the peers whether they are alive, for a status request. Calls `done` when they have answered, or after
   * LOOK_MS. A peer that left the last probe unanswered is probed again, once in LOOK_MS, but not waited for.
   */
  look(done: () => void): void {
    const nowMs = this.#parts.clock.nowMs();
    const waits = new Set<VmId>();
    for (const peer of this.#peers.values()) {
      const { id, session, heardMs } = peer;
      if (!session?.isUp) this.#wanted(peer);
      if (!session?.isUp || this.#parts.transport.obstacle(id)) continue;
      if (heardMs !== undefined && nowMs - heardMs < FRESH_MS) continue;
      if (!isSilent(peer, nowMs)) waits.add(id);
      // Another status request shares an open probe.
      if (peer.askedMs !== undefined && !mayAsk(peer, nowMs)) continue;
      peer.askedMs ??= nowMs;
      peer.probedMs = nowMs;
      for (const frame of session.probe()) this.#put(id, frame);
    }
    this.#looks.begin(waits, done);
  }

  close(): void {
    this.#listener = undefined;
    this.#turns.stop();
    this.#looks.stop();
    this.#cancelMissed();
    for (const peer of this.#peers.values()) peer.cancelRetry?.();
    this.#parts.transport.close();
  }

  /** Returns whether messages to `peer` can be sealed now. */
  isUp(peer: VmId): boolean {
    return this.#peers.get(peer)?.session?.isUp ?? false;
  }

  /** Seals and sends. Returns false without a session, or when the transport dropped the frame. */
  send(to: VmId, message: Message, hostTime?: Uint8Array): boolean {
    const peer = this.#peers.get(to);
    if (peer && !peer.session?.isUp) this.#wanted(peer);
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
    for (const peer of this.#peers.values()) if (peer.session?.isUp) this.send(peer.id, message, hostTime);
  }

  /** Seals a consent for the host; undefined without a session. */
  sealConsent(claims: ConsentClaims): Uint8Array | undefined {
    return this.#peers.get(HOST)?.session?.sealConsent(claims);
  }

  /** Opens a consent that `from` sealed for us; undefined when it does not verify. */
  openConsent(from: VmId, consent: Uint8Array): ConsentClaims | undefined {
    return this.#peers.get(from)?.session?.openConsent(consent);
  }

  /**
   * Starts a new session, since the peer is silent or its frames do not verify: it may have lost ours. The present
   * one stays until the new one is proven. At most one every RENEW_EVERY_MS.
   */
  renew(id: VmId): void {
    const peer = this.#peers.get(id);
    const nowMs = this.#parts.clock.nowMs();
    if (!peer?.session?.isUp || nowMs - peer.renewedMs < RENEW_EVERY_MS) return;
    peer.renewedMs = nowMs;
    this.#begin(peer);
  }

  /** This peer is needed now: retry at once, without the rest of a long wait. */
  #wanted(peer: Peer): void {
    const nowMs = this.#parts.clock.nowMs();
    if (peer.retryMs <= WANTED_AFTER_MS || nowMs - peer.renewedMs < RENEW_EVERY_MS) return;
    peer.renewedMs = nowMs;
    peer.retryMs = RETRY_MIN_MS;
    this.#begin(peer);
  }

  /** The peer's incarnation has ended: drop its session. */
  forget(id: VmId): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    peer.cancelRetry?.();
    this.#peers.set(id, newPeer(id, peer.pairKeys, this.#parts.clock.nowMs()));
  }

  onUp(id?: VmId): void {
    for (const peer of this.#peers.values()) {
      if (id !== undefined && peer.id !== id) continue;
      if (!peer.session?.isUp) this.#begin(peer);
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

  #receive(peer: Peer, frame: Uint8Array): void {
    // It waited in the queue, and the incarnation that sent it has ended since.
    if (this.#peers.get(peer.id) !== peer) return;
    const session = peer.session ?? this.#create(peer);
    if (!session) return this.#dropped({ from: peer.id }, 'no session can be made yet', 'debug');
    const isHandshake = routeOf(frame)?.channel === 'h';
    const challenge = isHandshake ? this.#parts.entropy.random(HELLO_CHALLENGE_BYTES) : undefined;
    const received = session.receive(frame, challenge);
    const up = received.events.some(({ kind }) => kind === 'up');
    // A hello may be a replay: only a frame with our challenge, or a number of this session, proves that the peer is
    // alive.
    if (up || (!isHandshake && !received.drop)) this.#heard(peer);
    this.#take(peer, received);
  }

  #heard(peer: Peer): void {
    peer.heardMs = this.#parts.clock.nowMs();
    peer.askedMs = undefined;
    this.#looks.heard(peer.id);
  }

  #foreign(route: Route | undefined): void {
    if (!route) return this.#dropped({}, 'no envelope');
    if (route.to !== this.#parts.self) return this.#dropped({}, `it is for ${route.to}`);
    this.#dropped({}, `it says it is from ${route.from}, and there is no key for that name`);
  }

  #take(peer: Peer, received: Received): void {
    for (const frame of received.frames) this.#put(peer.id, frame);
    const { events } = received;
    if (events.some(({ kind }) => kind === 'up'))
      peer.differs = events.flatMap((event) =>
        event.kind === 'digestMismatch' ? event.mismatches.map(({ bundle }) => bundle) : [],
      );
    for (const event of events) this.#onEvent(peer, event);
    if (received.drop) {
      if (received.drop === 'unverified') {
        peer.trouble = UNVERIFIED_HINT;
        this.renew(peer.id);
      }
      // Crossing and repeated handshakes leave stale answers behind.
      const level = received.drop === 'stale' ? 'debug' : 'warn';
      return this.#dropped({ from: peer.id }, received.detail ?? received.drop, level);
    }
    if (!received.message) return;
    this.counts.received += 1;
    this.#listener?.onMessage(peer.id, received.message.message, received.message.hostTime);
  }

  #onEvent(peer: Peer, event: SessionEvent): void {
    if (event.kind === 'versionUnsupported') {
      peer.trouble = versionHint(peer.id, event);
      this.#parts.log('error', peer.trouble, { peer: peer.id });
      return;
    }
    if (event.kind === 'digestMismatch') {
      for (const { bundle } of event.mismatches) this.#listener?.onDigestMismatch(peer.id, bundle);
      return;
    }
    peer.retryMs = RETRY_MIN_MS;
    peer.sinceMs = this.#parts.clock.nowMs();
    peer.trouble = undefined;
    const hint = peer.twins.sessionUp(event.peerBootId, peer.sinceMs);
    if (hint !== undefined) this.#parts.log('error', hint, { peer: peer.id });
    if (peer.id === HOST) {
      const before = this.#incarnation;
      this.#incarnation = event.incarnation;
      // Sessions between agents need our own incarnation, which only the host knows.
      if (before === 0) this.#beginAll();
    }
    this.#listener?.onUp(peer.id, event.peerRestarted, event.tableId);
  }

  #beginAll(): void {
    for (const peer of this.#peers.values()) if (!peer.session) this.#begin(peer);
  }

  /** Starts a handshake, if a session is possible now. */
  #begin(peer: Peer): void {
    const session = peer.session ?? this.#create(peer);
    if (!session) return;
    for (const frame of session.start(this.#challenge())) this.#put(peer.id, frame);
    this.#retryLater(peer);
  }

  #create(peer: Peer): Session | undefined {
    const incarnation = this.#isHost ? (0 as Incarnation) : this.#incarnation;
    const peerIncarnation = this.#isHost ? (this.#listener?.incarnationOf?.(peer.id) ?? 0) : 0;
    if (this.#isHost && peerIncarnation === 0) return undefined;
    if (!this.#isHost && peer.id !== HOST && incarnation === 0) return undefined;
    const { self, machine, bootId, bundles, versions } = this.#parts;
    const tableId = this.#listener?.tableId?.();
    peer.session = new Session({
      us: self,
      peer: peer.id,
      machine,
      pairKeys: peer.pairKeys,
      bootId,
      incarnation,
      peerIncarnation: peerIncarnation as Incarnation,
      versions: versions ?? { min: PROTOCOL_VERSION, max: PROTOCOL_VERSION },
      bundles,
      tableId,
    });
    return peer.session;
  }

  #retryLater(peer: Peer): void {
    peer.cancelRetry?.();
    peer.cancelRetry = this.#parts.clock.after(peer.retryMs, () => {
      peer.cancelRetry = undefined;
      const { session } = peer;
      if (!session?.needsRetry) return;
      for (const frame of session.retry(this.#challenge())) this.#put(peer.id, frame);
      peer.retryMs = Math.min(peer.retryMs * 2, RETRY_MAX_MS);
      this.#retryLater(peer);
    });
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
