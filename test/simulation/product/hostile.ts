/**
 * A hostile program in place of a VM's agent: it has the VM's keys, and sends whatever well-formed message it likes to
 * host and agents, in any order, with whatever epochs and consents it has seen or made up.
 */

import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { CHALLENGE_BYTES, type ConsentClaims } from '../../../src/core/protocol/messages.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import type { Link } from '../../../src/drivers/link/link.ts';
import type { SimulatedProcess } from './process.ts';
import { BUNDLES, type ProductWorld, VMS } from './world.ts';

/** Longest pause between two messages, in ms. */
const PAUSE_MAX_MS = 40;
/** Consents of others that it keeps. */
const CONSENTS_KEPT = 8;

export class Hostile {
  readonly #world: ProductWorld;
  readonly #vm: VmId;
  readonly #process: SimulatedProcess;
  readonly #link: Link;
  #hostTime: Uint8Array = new Uint8Array(16);
  readonly #consents: Uint8Array[] = [Uint8Array.of(1)];
  readonly #epochs = new Map<string, number>();
  #incarnation = 1;

  constructor(world: ProductWorld, vm: VmId, process: SimulatedProcess) {
    this.#world = world;
    this.#vm = vm;
    this.#process = process;
    const bootId = Uint8Array.from({ length: 16 }, () => world.random(256));
    this.#link = world.link(
      vm,
      process,
      bootId,
      Object.assign(() => {}, { level: 'error' as const }),
    );
  }

  start(): void {
    this.#link.open({
      onMessage: (_, message, hostTime) => this.#learn(message, hostTime),
      onUp: () => {},
      onDown: () => {},
      onDigestMismatch: () => {},
    });
    this.#act();
  }

  /** Sends `count` messages at once. */
  flood(count: number): void {
    for (let sent = 0; sent < count; sent++) this.#say();
  }

  #act(): void {
    if (!this.#process.isAlive) return;
    this.#say();
    this.#process.clock.after(1 + this.#world.random(PAUSE_MAX_MS), () => this.#act());
  }

  #learn(message: Message, hostTime: Uint8Array | undefined): void {
    if (hostTime) this.#hostTime = hostTime;
    if ('epoch' in message) this.#epochs.set(message.bundle, message.epoch);
    if ('incarnation' in message && message.incarnation) this.#incarnation = message.incarnation;
    if (message.kind !== 'requestBorrow') return;
    this.#consents.push(message.consent);
    if (this.#consents.length > CONSENTS_KEPT) this.#consents.shift();
  }

  #say(): void {
    const { random } = this.#world;
    const bundle = BUNDLES[random(BUNDLES.length)]!;
    const message = this.#message(bundle);
    const others = VMS.filter((vm) => vm !== this.#vm);
    const isForPeers =
      message.kind === 'requestBorrow' || message.kind === 'recallDevice' || random(10) === 0;
    this.#link.send(isForPeers ? others[random(others.length)]! : HOST, message);
  }

  #message(definition: BundleDefinition): Message {
    const { random } = this.#world;
    const bundle = definition.id;
    const epoch = Math.max(0, (this.#epochs.get(bundle) ?? 1) + random(4) - 1) as never;
    const digest = bundleDigest(definition);
    const leaseMs = random(3_000);
    const others = VMS.filter((vm) => vm !== this.#vm);
    const requestId = random(0xffff);
    const consent =
      random(3) === 0
        ? this.#consents[random(this.#consents.length)]!
        : this.#consent(definition, epoch, requestId);
    const makers: (() => unknown)[] = [
      () => ({
        kind: 'requestBorrow',
        bundle,
        purpose: 'pin',
        leaseMs,
        waitMs: 500,
        consent,
        minHoldMs: 0,
        noticeMs: 50,
        requestId,
      }),
      () => ({ kind: 'withdrawBorrow', bundle, requestId }),
      () => ({ kind: 'borrowDeclined', bundle, reason: 'policy', retryAfterMs: 0, requestId }),
      () => ({ kind: 'recallDevice', bundle, epoch, graceMs: random(500) }),
      () => ({
        kind: 'prepare',
        bundle,
        epoch,
        digest,
        borrower: others[random(others.length)]!,
        consent,
        leaseMs: 10_000,
        minHoldMs: 10_000,
        noticeMs: 10_000,
        requestId,
      }),
      () => ({ kind: 'cancelNext', bundle, epoch, requestId }),
      () => ({ kind: 'lend', bundle, epoch }),
      () => ({ kind: 'cancel', bundle, epoch }),
      () => ({ kind: 'release', bundle, epoch }),
      () => ({ kind: 'confirm', bundle, epoch }),
      () => ({ kind: 'reject', bundle, epoch, what: 'it is mine' }),
      () => ({ kind: 'reclaim', bundle, epoch }),
      () => ({ kind: 'claim', bundle, epoch }),
      () => ({ kind: 'queryState', bundle, epoch, challenge: new Uint8Array(CHALLENGE_BYTES) }),
    ];
    return makers[random(makers.length)]!() as Message;
  }

  #consent(definition: BundleDefinition, epoch: never, requestId: number): Uint8Array {
    const claims: ConsentClaims = {
      bundle: definition.id,
      epoch,
      digest: bundleDigest(definition),
      owner: definition.owner,
      incarnation: this.#incarnation as never,
      hostTime: this.#hostTime,
      validMs: 10_000,
      leaseMs: 1_000 + this.#world.random(1_000),
      minHoldMs: 0,
      noticeMs: 50,
      evidence: 'observed',
      use: this.#world.random(8) === 0 ? 'renew' : 'borrow',
      renewal: 0,
      requestId,
    };
    return this.#link.sealConsent(claims) ?? Uint8Array.of(1);
  }
}
