/**
 * What the product is measured against: a program that plays the script of a handover. On a message it does what
 * the product's party does on it: makes records of the same length durable, sends messages of the same length.
 *
 * `bare`: a message is its number in a frame of the right length. `enveloped`: it is the product's own message,
 * which each hop verifies, scans, decodes, encodes and seals, and nothing more. Transports are the product's.
 */

import { fdatasyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_MACHINE, HOST, type Incarnation, type VmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { createEnvelopeKey } from '../../../src/core/wire/envelope.ts';
import { HELLO_CHALLENGE_BYTES, PROTOCOL_VERSION } from '../../../src/core/wire/limits.ts';
import { Session } from '../../../src/core/wire/session.ts';
import type { Transport } from '../../../src/ports/world.ts';
import { CLOCK } from '../../node/system/clock.ts';
import { ENTROPY } from '../../node/system/entropy.ts';
import { PANEL } from '../machine/board.ts';
import { PARTIES, pairKey } from './parties.ts';
import type { PartyProgram, PartyWorld } from './party.ts';
import type { Deed, Script, Sending } from './script.ts';

/** Between script numbers and frames. */
interface Envelope {
  frameOf(sending: Sending): Uint8Array;
  /** The number of the message in `frame`, or undefined when it is none of the script. */
  numberOf(from: VmId, frame: Uint8Array): number | undefined;
  /** The way is open. */
  start(onReady: () => void): void;
}

/** Starts a relay. */
export function relay(world: PartyWorld, transport: Transport): PartyProgram {
  const { self, kind, folder, script } = world.spec;
  const envelope = kind === 'bare' ? bareEnvelope(self, script) : new Sealed(self, script, transport);
  const sync = journal(join(folder, `state-${self}`));
  const { lend, granted, back, over } = script.marks;
  const perform = (deeds: readonly Deed[]) => {
    for (const deed of deeds) {
      if (deed.do === 'sync') sync(deed.bytes);
      else {
        if (deed.sending.number === lend) world.mark('suspended');
        transport.send(deed.sending.to, envelope.frameOf(deed.sending));
      }
    }
  };
  transport.open({
    onUp: () => envelope.start(() => world.say({ is: 'ready' })),
    // It dials again; a round that is under way then runs into its limit.
    onDown: () => {},
    onFrame: (from, frame) => {
      const number = envelope.numberOf(from, frame);
      if (number === undefined) return;
      if (number === granted) world.mark('resumed');
      if (number === back) world.mark('ownerResumed');
      perform(script.reactions[number]!);
      if (number === granted) {
        world.mark('granted');
        world.say({ is: 'lent' });
      }
      if (number === over) world.say({ is: 'back' });
    },
  });
  return {
    lend: () => {
      world.mark('asked');
      perform(script.asked);
    },
    giveBack: () => {
      world.mark('returning');
      perform(script.returned);
    },
  };
}

/** A file that grows by records; returns what makes one durable. */
function journal(folder: string): (bytes: number) => void {
  mkdirSync(folder, { recursive: true });
  const file = openSync(join(folder, 'relay.journal'), 'w', 0o600);
  let end = 0;
  return (bytes) => {
    end += writeSync(file, new Uint8Array(bytes), 0, bytes, end);
    fdatasyncSync(file);
  };
}

/** Frames made beforehand; the last byte is the number. */
function bareEnvelope(self: VmId, script: Script): Envelope {
  const frames = script.sendings.map(({ from, to, frameBytes, number }) => {
    const frame = new Uint8Array(frameBytes);
    // Transports read sender and receiver of a frame.
    frame.set(
      createEnvelopeKey(pairKey(from, to), { from, to, channel: 'm', generation: 1 }, DEFAULT_MACHINE).head,
    );
    frame[frameBytes - 1] = number;
    return frame;
  });
  return {
    frameOf: ({ number }) => frames[number]!,
    numberOf: (_from, frame) => (script.sendings[frame.at(-1)!]?.to === self ? frame.at(-1) : undefined),
    start: (onReady) => onReady(),
  };
}

/** Time between two tries of a handshake, in ms. */
const RETRY_MS = 100;

/** The product's own messages in the product's sessions. */
class Sealed implements Envelope {
  readonly #script: Script;
  readonly #self: VmId;
  readonly #transport: Transport;
  readonly #sessions: ReadonlyMap<VmId, Session>;

  constructor(self: VmId, script: Script, transport: Transport) {
    this.#script = script;
    this.#self = self;
    this.#transport = transport;
    const others = PARTIES.filter((peer) => peer !== self);
    this.#sessions = new Map(others.map((peer) => [peer, sessionOf(self, peer)]));
  }

  frameOf({ to, message, hostTime }: Sending): Uint8Array {
    const sealed = this.#sessions.get(to)!.seal(message, hostTime);
    if (!sealed.ok) throw new Error(`${message.kind}: ${sealed.reason}`);
    return sealed.frame;
  }

  numberOf(from: VmId, frame: Uint8Array): number | undefined {
    const session = this.#sessions.get(from)!;
    let received = session.receive(frame);
    if (received.drop === 'challengeMissing') {
      received = session.receive(frame, ENTROPY.random(HELLO_CHALLENGE_BYTES));
    }
    for (const answer of received.frames) this.#transport.send(from, answer);
    const { message } = received;
    return message && this.#find(from, message.message);
  }

  start(onReady: () => void): void {
    const sessions = [...this.#sessions];
    for (const [peer, session] of sessions) {
      // One of the two begins.
      const frames =
        session.isUp || this.#self < peer ? [] : session.start(ENTROPY.random(HELLO_CHALLENGE_BYTES));
      for (const frame of frames) this.#transport.send(peer, frame);
    }
    const look = () => {
      if (sessions.every(([, session]) => session.isUp && !session.needsRetry)) return onReady();
      for (const [peer, session] of sessions) {
        for (const frame of session.retry(ENTROPY.random(HELLO_CHALLENGE_BYTES)))
          this.#transport.send(peer, frame);
      }
      CLOCK.after(RETRY_MS, look);
    };
    CLOCK.after(RETRY_MS, look);
  }

  /** Messages of one kind on one way differ by their epoch alone: by that the script's own is known. */
  #find(from: VmId, message: Message): number | undefined {
    const epoch = 'epoch' in message ? message.epoch : undefined;
    return this.#script.sendings.find(
      (each) =>
        each.from === from &&
        each.to === this.#self &&
        each.message.kind === message.kind &&
        (epoch === undefined || ('epoch' in each.message && each.message.epoch === epoch)),
    )?.number;
  }
}

function sessionOf(us: VmId, peer: VmId): Session {
  const one = 1 as Incarnation;
  return new Session({
    us,
    peer,
    pairKeys: pairKey(us, peer),
    bootId: ENTROPY.random(16),
    incarnation: one,
    peerIncarnation: us === HOST ? one : (0 as Incarnation),
    versions: { min: PROTOCOL_VERSION, max: PROTOCOL_VERSION },
    bundles: [{ bundle: PANEL.id, digest: bundleDigest(PANEL) }],
  });
}
