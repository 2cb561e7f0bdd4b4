/**
 * The session of one pair of parties, seen from one of them: handshake, messages, consents.
 *
 * Pure: received frames are inputs; frames to send and events are outputs. The driver supplies the challenges and
 * runs the retry timer. Rules:
 *
 * - A hello proves nothing, since it may be a replay. The responder keeps its answered session aside. Only a frame
 *   under the new keys, which need both challenges, replaces the old session by the new one.
 * - The initiator installs its session on the answer to its own challenge, and retries until it has heard the
 *   responder.
 * - When two hellos cross, that of the lower name counts: its sender repeats it, the other party answers.
 * - Installing a session discards the one kept aside, so that two parties cannot swap sessions forever.
 * - A hello uses the newest generation of the pair key, and the other one after some unanswered hellos. A session
 *   uses the generation of its hello.
 * - Consents outlive one renewal between the same boots: anybody can cause a renewal by a frame that does not verify.
 */

import { DEFAULT_MACHINE, HOST, type Incarnation } from '../protocol/ids.ts';
import { CONSENT_FIELDS, type ConsentClaims, type Message } from '../protocol/messages.ts';
import { equalBytes } from './bytes.ts';
import { compile, decodeCbor, encodeCbor } from './codec.ts';
import { type Mac0Key, openMac0, sealMac0 } from './cose.ts';
import type { HelloAnsweredFields, HelloFields } from './handshake.ts';
import { checkConfig, encodeAnswer, encodeHello, NO_TABLE_ID, NO_VERSION, NOT_TOLD } from './hello.ts';
import { type Agreed, compareDigests, type Keyed, sealIn } from './keyed.ts';
import { handshakeKey, sessionKeys } from './keys.ts';
import { HELLOS_PER_GENERATION } from './limits.ts';
import { newestFirst, type PairKey } from './pair-keys.ts';
import { HANDSHAKE_CODEC, type PayloadFault, SESSION_CODEC } from './payload.ts';
import { ReplayWindow, SendCounter } from './sequence.ts';
import type { DropReason, Received, Sealed, SessionConfig, SessionEvent } from './session-io.ts';

/** One generation of the pair key, and its handshake keys. */
interface Generation {
  readonly pairKey: PairKey;
  readonly sendKey: Mac0Key;
  readonly receiveKey: Mac0Key;
}

/** Our unanswered hello. */
interface Hello {
  readonly challenge: Uint8Array;
  readonly frame: Uint8Array;
  /** Index of its generation among the valid ones. */
  readonly at: number;
  /** Number of times it was sent. */
  readonly sent: number;
}

/** The session of one pair, seen from one party. */
export class Session {
  private readonly config: SessionConfig;
  private readonly machine: string;
  /** Newest first. */
  private readonly generations: readonly Generation[];
  private hello: Hello | undefined;
  /** Our answer to a hello, until a frame under its keys proves that the hello was fresh. */
  private answered: { readonly session: Keyed; readonly frame: Uint8Array } | undefined;
  private current: Keyed | undefined;
  /**
   * Consent key of the previous session, if between the same boots. One is enough: renewals caused by invalid frames
   * are seconds apart, and the timestamp token limits the age of a consent.
   */
  private previousConsentKey: Mac0Key | undefined;
  /** Whether a frame of the peer under the keys of `current` was received. */
  private confirmed = false;

  /** Throws a RangeError that names the fault of `config` (a bug of ours). */
  constructor(config: SessionConfig) {
    checkConfig(config);
    this.config = config;
    const { us, peer, machine = DEFAULT_MACHINE } = config;
    this.machine = machine;
    this.generations = newestFirst(config.pairKeys).map((pairKey) => ({
      pairKey,
      sendKey: handshakeKey(pairKey, { machine, from: us, to: peer }),
      receiveKey: handshakeKey(pairKey, { machine, from: peer, to: us }),
    }));
  }

  /** Whether messages can be sealed. */
  get isUp(): boolean {
    return this.current !== undefined;
  }

  /** Whether the driver should call `retry` periodically: a message of ours is not answered yet. */
  get needsRetry(): boolean {
    return this.hello !== undefined || (this.current !== undefined && !this.confirmed);
  }

  /** Whether the driver should call `start` for a new session, because few sequence numbers are left. */
  get renewalDue(): boolean {
    return this.current?.counter.isEnding ?? false;
  }

  /**
   * Asks for a session, also while one is up (it stays until the new one is proven). `challenge`: 16 random bytes,
   * never used before; ignored if a hello is already open, which is repeated instead. Throws a RangeError if it has
   * another length (a bug of ours).
   */
  start(challenge: Uint8Array): readonly Uint8Array[] {
    if (this.hello === undefined) return this.greet(0, challenge);
    const { at, sent } = this.hello;
    const other = (at + 1) % this.generations.length;
    if (sent >= HELLOS_PER_GENERATION && other !== at) return this.greet(other, challenge);
    this.hello = { ...this.hello, sent: sent + 1 };
    return [this.hello.frame];
  }

  /** Starts a new hello in the generation at `at`. An answer to an earlier one is stale. */
  private greet(at: number, challenge: Uint8Array): readonly Uint8Array[] {
    const payload = encodeHello(this.config, this.incarnation, challenge);
    const frame = sealMac0(this.generations[at]!.sendKey, payload);
    this.hello = { challenge, frame, at, sent: 1 };
    return [frame];
  }

  /**
   * Returns the frames to send again, if any. A lost end of the handshake is repeated together with a new hello,
   * since the responder may have replaced its answered session meanwhile. `challenge` as in `start`.
   */
  retry(challenge: Uint8Array): readonly Uint8Array[] {
    if (!this.needsRetry) return NONE;
    if (this.current === undefined || this.confirmed) return this.start(challenge);
    return [...this.finish(this.current), ...this.start(challenge)];
  }

  /**
   * Processes a received frame. `challenge`: 16 random bytes, never used before; needed only for frames of channel
   * `h` (envelope.ts, routeOf), and used only for some. Never throws on any content of `frame`.
   */
  receive(frame: Uint8Array, challenge?: Uint8Array): Received {
    // The key id at the start of a frame names the generation; no tag is computed for the others.
    for (const [at, { receiveKey }] of this.generations.entries()) {
      const handshake = openMac0(receiveKey, frame);
      if (handshake !== undefined) return this.onHandshake(handshake, at, challenge);
    }

    let events: readonly SessionEvent[] = NONE;
    let payload = this.current && openMac0(this.current.receiveKey, frame);
    if (payload === undefined && this.answered !== undefined) {
      payload = openMac0(this.answered.session.receiveKey, frame);
      if (payload !== undefined) events = this.install(this.answered.session);
    }
    if (payload === undefined || this.current === undefined) return drop('unverified');
    return this.onMessage(this.current, payload, events);
  }

  /** Seals `message` for the peer. Only the host puts a `hostTime` (16 bytes) on its messages. */
  seal(message: Message, hostTime?: Uint8Array): Sealed {
    if (this.current === undefined) return { ok: false, reason: 'down', field: '' };
    if (hostTime !== undefined && this.config.us !== HOST)
      return { ok: false, reason: 'hostTimeNotHost', field: '' };
    return sealIn(this.current, message, hostTime);
  }

  /**
   * Returns the frame that asks whether the peer still has this session; none without a session. The answer arrives
   * as a normal frame.
   */
  probe(): readonly Uint8Array[] {
    return this.current === undefined ? NONE : this.alive(this.current, true);
  }

  /** At an agent with a session to the host: seals a consent. Undefined without such a session. */
  sealConsent(claims: ConsentClaims): Uint8Array | undefined {
    const map = CONSENT.toMap(claims);
    if (this.current?.consentKey === undefined || this.config.us === HOST || !map.ok) return undefined;
    return sealMac0(this.current.consentKey, encodeCbor(map.map));
  }

  /**
   * At the host: returns the claims of a consent that the peer sealed in this session, in the previous session
   * between the same boots, or in the session that we answered but that is not finished. Otherwise undefined. The
   * host checks whether the claims are valid now (epoch, timestamp token, incarnation).
   *
   * A consent that opens proves that its session is no replay, as any frame under its keys does: the keys depend on
   * our challenge.
   */
  openConsent(consent: Uint8Array): ConsentClaims | undefined {
    if (this.current?.consentKey === undefined || this.config.us !== HOST) return undefined;
    const keys = [this.current.consentKey, this.previousConsentKey, this.answeredConsentKey(this.current)];
    let payload: Uint8Array | undefined;
    for (const key of keys) payload ??= key && openMac0(key, consent);
    const decoded = payload && decodeCbor(payload);
    if (decoded === undefined || !decoded.ok) return undefined;
    const claims = CONSENT.fromMap(decoded.value);
    return claims.ok ? claims.value : undefined;
  }

  private answeredConsentKey(current: Keyed): Mac0Key | undefined {
    const answered = this.answered?.session;
    return answered && equalBytes(answered.peer.bootId, current.peer.bootId)
      ? answered.consentKey
      : undefined;
  }

  private onHandshake(payload: Uint8Array, at: number, challenge: Uint8Array | undefined): Received {
    const decoded = HANDSHAKE_CODEC.decode(payload);
    if (!decoded.ok) return drop('malformed', describe(decoded));
    if (decoded.hostTime !== undefined) return drop('malformed', 'timestamp token: none in the handshake');
    if (decoded.message.kind === 'helloAnswered') return this.onAnswer(decoded.message, at);
    return this.onHello(decoded.message, at, challenge);
  }

  private onHello(hello: HelloFields, at: number, challenge: Uint8Array | undefined): Received {
    const { us, peer, versions } = this.config;
    if (this.hello !== undefined && us < peer) return this.repeatOurs(this.hello, at, challenge);
    // A repeated hello, whose answer may be lost: a new challenge would void an answer that is still in
    // transit.
    if (this.answered !== undefined && equalBytes(this.answered.session.peer.challenge, hello.challenge)) {
      return { frames: [this.answered.frame], events: NONE };
    }
    if (challenge === undefined) return drop('challengeMissing');

    const version = Math.min(versions.max, hello.versionMax);
    if (version < Math.max(versions.min, hello.versionMin)) return this.refuse(hello, at, challenge);
    const isTold = peer === HOST && hello.yourIncarnation !== NOT_TOLD;
    const ourIncarnation = isTold ? hello.yourIncarnation : this.incarnation;
    const theirIncarnation = us === HOST ? this.config.peerIncarnation : hello.incarnation;
    const session = this.key(at, {
      initiated: false,
      version,
      us: { id: us, incarnation: ourIncarnation, bootId: this.config.bootId, challenge },
      peer: { id: peer, incarnation: theirIncarnation, bootId: hello.bootId, challenge: hello.challenge },
      peerBundles: hello.bundles,
      peerTableId: hello.tableId,
    });
    const answer = encodeAnswer(this.config, {
      version,
      incarnation: ourIncarnation,
      yourIncarnation: theirIncarnation,
      challenge,
      answered: hello.challenge,
    });
    const frame = sealMac0(this.generations[at]!.sendKey, answer);
    this.answered = { session, frame };
    return { frames: [frame], events: NONE };
  }

  /** Two hellos crossed and ours counts. In a generation that the peer lacks, it would never be answered. */
  private repeatOurs(hello: Hello, at: number, challenge: Uint8Array | undefined): Received {
    if (at === hello.at) return { frames: [hello.frame], events: NONE };
    if (challenge === undefined) return drop('challengeMissing');
    return { frames: this.greet(at, challenge), events: NONE };
  }

  /** No common version. */
  private refuse(hello: HelloFields, at: number, challenge: Uint8Array): Received {
    const refusal = encodeAnswer(this.config, {
      version: NO_VERSION,
      incarnation: this.incarnation,
      yourIncarnation: hello.incarnation,
      challenge,
      answered: hello.challenge,
    });
    const frame = sealMac0(this.generations[at]!.sendKey, refusal);
    return { frames: [frame], events: [this.unsupported(hello)] };
  }

  private onAnswer(answer: HelloAnsweredFields, at: number): Received {
    const { us, peer, bootId, versions } = this.config;
    const { hello } = this;
    if (hello?.at !== at || !equalBytes(answer.answered, hello.challenge)) return drop('stale');
    if (answer.version === NO_VERSION) {
      this.hello = undefined;
      return { frames: NONE, events: [this.unsupported(answer)] };
    }
    if (answer.version < versions.min || answer.version > versions.max) {
      return drop('malformed', 'helloAnswered.version: range');
    }
    const ourIncarnation = peer === HOST ? answer.yourIncarnation : this.incarnation;
    const theirIncarnation = us === HOST ? this.config.peerIncarnation : answer.incarnation;
    const session = this.key(at, {
      initiated: true,
      version: answer.version,
      us: { id: us, incarnation: ourIncarnation, bootId, challenge: hello.challenge },
      peer: { id: peer, incarnation: theirIncarnation, bootId: answer.bootId, challenge: answer.challenge },
      peerBundles: answer.bundles,
      peerTableId: answer.tableId,
    });
    const events = this.install(session);
    return { frames: this.finish(session), events };
  }

  private onMessage(session: Keyed, payload: Uint8Array, events: readonly SessionEvent[]): Received {
    const decoded = SESSION_CODEC.decode(payload);
    if (!decoded.ok) return { frames: NONE, events, drop: 'malformed', detail: describe(decoded) };
    const { message, seq, hostTime } = decoded;
    if (hostTime !== undefined && this.config.peer !== HOST) {
      return { frames: NONE, events, drop: 'malformed', detail: 'timestamp token: not from the host' };
    }
    if (!session.window.accept(seq)) return { frames: NONE, events, drop: 'replayed' };
    if (!this.confirmed) {
      this.confirmed = true;
      this.hello = undefined;
    }
    if (message.kind === 'helloFinished') {
      if (!equalBytes(message.answered, session.us.challenge)) return { frames: NONE, events, drop: 'stale' };
      // Only the responder answers; otherwise the two would never stop.
      return { frames: session.initiated ? NONE : this.finish(session), events };
    }
    if (message.kind === 'alive') return { frames: message.asks ? this.alive(session, false) : NONE, events };
    const brought = hostTime === undefined ? { message, seq } : { message, seq, hostTime };
    return { frames: NONE, events, message: brought };
  }

  /** Installs `session` and discards all handshake state that could replace it without being newer. */
  private install(session: Keyed): readonly SessionEvent[] {
    const previous = this.current;
    const peerRestarted = previous !== undefined && !equalBytes(previous.peer.bootId, session.peer.bootId);
    this.previousConsentKey = peerRestarted ? undefined : previous?.consentKey;
    this.current = session;
    this.hello = undefined;
    this.answered = undefined;
    // The initiator has the responder's answer, but no proof yet that the responder uses the session.
    this.confirmed = !session.initiated;
    const up: SessionEvent = {
      kind: 'up',
      version: session.version,
      peerBootId: session.peer.bootId,
      peerIncarnation: session.peer.incarnation,
      incarnation: session.us.incarnation,
      peerRestarted,
      tableId: this.config.peer === HOST ? session.peerTableId : NO_TABLE_ID,
      generation: session.generation,
    };
    const mismatches = compareDigests(this.config.bundles, session.peerBundles);
    return mismatches.length === 0 ? [up] : [up, { kind: 'digestMismatch', mismatches }];
  }

  private key(at: number, agreed: Agreed): Keyed {
    const { us, peer, initiated, version } = agreed;
    const { pairKey } = this.generations[at]!;
    const keyOf = sessionKeys(pairKey, this.machine, {
      version,
      initiator: initiated ? us : peer,
      responder: initiated ? peer : us,
    });
    const agent = us.id === HOST ? peer.id : us.id;
    const hasHost = us.id === HOST || peer.id === HOST;
    return {
      ...agreed,
      generation: pairKey.generation,
      sendKey: keyOf(us.id, peer.id, 'm'),
      receiveKey: keyOf(peer.id, us.id, 'm'),
      consentKey: hasHost ? keyOf(agent, HOST, 'c') : undefined,
      counter: new SendCounter(),
      window: new ReplayWindow(),
    };
  }

  private finish(session: Keyed): readonly Uint8Array[] {
    const sealed = sealIn(session, { kind: 'helloFinished', answered: session.peer.challenge });
    return sealed.ok ? [sealed.frame] : NONE;
  }

  private alive(session: Keyed, asks: boolean): readonly Uint8Array[] {
    const sealed = sealIn(session, { kind: 'alive', asks });
    return sealed.ok ? [sealed.frame] : NONE;
  }

  private unsupported(theirs: { readonly versionMin: number; readonly versionMax: number }): SessionEvent {
    const range = { min: theirs.versionMin, max: theirs.versionMax };
    return { kind: 'versionUnsupported', ours: this.config.versions, theirs: range };
  }

  /** Our incarnation: from the present session, or as configured. */
  private get incarnation(): Incarnation {
    return this.current?.us.incarnation ?? this.config.incarnation;
  }
}

function describe({ field, reason }: PayloadFault): string {
  return field === '' ? reason : `${field}: ${reason}`;
}

function drop(reason: DropReason, detail?: string): Received {
  if (detail === undefined)
    return reason === 'unverified' ? UNVERIFIED : { frames: NONE, events: NONE, drop: reason };
  return { frames: NONE, events: NONE, drop: reason, detail };
}

const NONE: readonly never[] = Object.freeze([]);
/** One result for every unverified frame, so that the cause is not revealed. */
const UNVERIFIED: Received = { frames: NONE, events: NONE, drop: 'unverified' };
const CONSENT = compile(CONSENT_FIELDS);
