/**
 * The session of one pair of parties, seen from one of them: handshake, messages, consents.
 *
 * It computes and nothing else: what arrives goes in, frames and events come out; challenges are given to it,
 * and whoever drives it keeps the retry timer. Its rules:
 *
 * - A hello proves nothing, it may be a replay. The responder keeps what it answered aside; only a frame under
 *   the new keys, which need both challenges, puts the new session in the place of the old.
 * - The initiator installs on the answer to its own challenge, and retries until the responder was heard.
 * - When two hellos cross, the one of the lower name counts: its sender repeats it, the other answers.
 * - Whoever installs a session forgets what was put aside, so two parties cannot swap sessions for ever.
 * - A hello is in the newest generation of the pair key, and in the other one after some that were not answered. A
 *   session is in the generation of the hello that it came from.
 * - Consents outlive one renewal between the same boots: anybody can cause one by a frame that does not verify.
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

/** One generation of the pair key, and the handshake keys made from it. */
interface Generation {
  readonly pairKey: PairKey;
  readonly sendKey: Mac0Key;
  readonly receiveKey: Mac0Key;
}

/** A hello of ours that waits for its answer. */
interface Hello {
  readonly challenge: Uint8Array;
  readonly frame: Uint8Array;
  /** Place of its generation among the valid ones. */
  readonly at: number;
  /** How often it was sent. */
  readonly sent: number;
}

/** The session of one pair, seen from one party. */
export class Session {
  private readonly config: SessionConfig;
  private readonly machine: string;
  /** The newest first. */
  private readonly generations: readonly Generation[];
  private hello: Hello | undefined;
  /** What we answered to a hello, until a frame under its keys proves that the hello was fresh. */
  private answered: { readonly session: Keyed; readonly frame: Uint8Array } | undefined;
  private current: Keyed | undefined;
  /**
   * Of the session before, if that was between the same boots. One is enough: renewals for want of sense are seconds
   * apart, and how old a consent may be is for its timestamp token to say.
   */
  private previousConsentKey: Mac0Key | undefined;
  /** Whether the peer was heard under the keys of `current`. */
  private confirmed = false;

  /** Throws a RangeError that says what is wrong with `config` (our own mistake). */
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

  /** Whether a driver should call `retry` from time to time: something of ours is not answered yet. */
  get needsRetry(): boolean {
    return this.hello !== undefined || (this.current !== undefined && !this.confirmed);
  }

  /** Whether so few sequence numbers are left that a driver should call `start` for a new session. */
  get renewalDue(): boolean {
    return this.current?.counter.isEnding ?? false;
  }

  /**
   * Asks for a session, also while one is up (it stays until the new one is proven). `challenge`: 16 random
   * bytes, never used before; not used if a hello is already on its way, which is repeated instead. Throws a
   * RangeError if it has another length (our own mistake).
   */
  start(challenge: Uint8Array): readonly Uint8Array[] {
    if (this.hello === undefined) return this.greet(0, challenge);
    const { at, sent } = this.hello;
    const other = (at + 1) % this.generations.length;
    if (sent >= HELLOS_PER_GENERATION && other !== at) return this.greet(other, challenge);
    this.hello = { ...this.hello, sent: sent + 1 };
    return [this.hello.frame];
  }

  /** Begins with a new hello in the generation at `at`; an answer to an earlier one is stale. */
  private greet(at: number, challenge: Uint8Array): readonly Uint8Array[] {
    const payload = encodeHello(this.config, this.incarnation, challenge);
    const frame = sealMac0(this.generations[at]!.sendKey, payload);
    this.hello = { challenge, frame, at, sent: 1 };
    return [frame];
  }

  /**
   * Returns what to send again, nothing if nothing waits. A lost end of the handshake is repeated; a new hello
   * goes with it, since the responder may have put another session aside meanwhile. `challenge` as in `start`.
   */
  retry(challenge: Uint8Array): readonly Uint8Array[] {
    if (!this.needsRetry) return NONE;
    if (this.current === undefined || this.confirmed) return this.start(challenge);
    return [...this.finish(this.current), ...this.start(challenge)];
  }

  /**
   * Takes a frame from outside. `challenge`: 16 random bytes, never used before; needed only for frames of
   * channel `h` (envelope.ts, routeOf), and used only for some. Never throws on what `frame` holds.
   */
  receive(frame: Uint8Array, challenge?: Uint8Array): Received {
    // The key id that a frame begins with tells the generation: of the others nothing is computed.
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
   * Returns what asks the peer whether it still has this session; nothing without one. The answer comes as any frame
   * does.
   */
  probe(): readonly Uint8Array[] {
    return this.current === undefined ? NONE : this.alive(this.current, true);
  }

  /** At an agent with a session to the host: seals what it consents to. Undefined without a session. */
  sealConsent(claims: ConsentClaims): Uint8Array | undefined {
    const map = CONSENT.toMap(claims);
    if (this.current?.consentKey === undefined || this.config.us === HOST || !map.ok) return undefined;
    return sealMac0(this.current.consentKey, encodeCbor(map.map));
  }

  /**
   * At the host: returns the claims of a consent that the peer sealed in this session, or between the same boots in the
   * one before or in the one that we have only answered, whose end may be lost; undefined for everything else. Whether
   * they hold now (epoch, timestamp token, incarnation) is for the host to say.
   *
   * A consent that opens proves that its session is no replay, as any frame under its keys does: they need our
   * challenge.
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
    // The same hello again, while its answer may be lost: a new challenge would void what is on its way.
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

  /** Two hellos crossed and ours counts. In a generation that the peer does not have it would never be answered. */
  private repeatOurs(hello: Hello, at: number, challenge: Uint8Array | undefined): Received {
    if (at === hello.at) return { frames: [hello.frame], events: NONE };
    if (challenge === undefined) return drop('challengeMissing');
    return { frames: this.greet(at, challenge), events: NONE };
  }

  /** There is no common version. */
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
      // Only the responder answers, or the two would never stop.
      return { frames: session.initiated ? NONE : this.finish(session), events };
    }
    if (message.kind === 'alive') return { frames: message.asks ? this.alive(session, false) : NONE, events };
    const brought = hostTime === undefined ? { message, seq } : { message, seq, hostTime };
    return { frames: NONE, events, message: brought };
  }

  /** Puts `session` in place and forgets everything that could replace it without being newer. */
  private install(session: Keyed): readonly SessionEvent[] {
    const previous = this.current;
    const peerRestarted = previous !== undefined && !equalBytes(previous.peer.bootId, session.peer.bootId);
    this.previousConsentKey = peerRestarted ? undefined : previous?.consentKey;
    this.current = session;
    this.hello = undefined;
    this.answered = undefined;
    // The initiator has heard the responder answer, but not yet that the responder uses the session.
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

  /** Ours: what the host told in the session that is up, else what we were configured with. */
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
/** One answer for everything that does not verify, so that nobody learns why. */
const UNVERIFIED: Received = { frames: NONE, events: NONE, drop: 'unverified' };
const CONSENT = compile(CONSENT_FIELDS);
