/**
 * Back ends of kind `party`: the guests' own kernels make the calls (Gunyah's resource manager, FF-A), and the host
 * is clock, queue and log. Ports, and an Enforcer on top of them.
 *
 * The order is Gunyah's: lend takes the bundle from the owner at once, the borrower accepts; the borrower releases,
 * then the owner reclaims. Reclaiming from a live borrower is refused, so nothing here can force: a lease that is
 * overdue ends when the borrower releases or its VM exits. Releases are told per kind of resource, in any order,
 * and joined as a set; after an exit the missing ones are not waited for.
 */

import { type BundleDefinition, type Resource, resourcesOf } from '../protocol/bundle.ts';
import type { EvidenceLevel } from '../protocol/codes.ts';
import type { BundleId, Epoch, VmId } from '../protocol/ids.ts';
import type { Proof } from '../protocol/messages.ts';
import type {
  Enforcer,
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
  FaultRecord,
  Reach,
} from './port.ts';

/** How a call of a party ended. `handle` names the lent bundle to its borrower. */
export type PartyResult =
  | { readonly ok: true; readonly handle?: number }
  | { readonly ok: false; readonly error: string };

/** What a party's kernel tells: one kind of the bundle's resources was accepted or released by its borrower. */
export interface PartyNotice {
  readonly bundle: BundleId;
  readonly what: 'accepted' | 'released';
  readonly kind: Resource['kind'];
}

/** The calls of one guest's kernel. `done` is called exactly once. */
export interface Party {
  /** Owner: offers the bundle to `to` and loses it at once. */
  lend(bundle: BundleId, to: VmId, done: (result: PartyResult) => void): void;
  /** Borrower: takes what was offered, after checking it against its own list. */
  accept(bundle: BundleId, handle: number, done: (result: PartyResult) => void): void;
  /** Borrower: gives it up. */
  release(bundle: BundleId, done: (result: PartyResult) => void): void;
  /** Owner: takes it back; refused while a borrower has it. */
  reclaim(bundle: BundleId, done: (result: PartyResult) => void): void;
  onNotice(listener: (notice: PartyNotice) => void): void;
}

/** Checks a proof inside a guest against what its own kernel or the enforcer's signature says. */
export interface Witness {
  /** How far the proof can be believed; `none` when it contradicts what the witness sees. */
  verify(bundle: BundleId, epoch: Epoch, proof: Proof): EvidenceLevel;
}

/** What a party back end is made of. */
export interface PartyParts {
  readonly name: string;
  readonly bundles: readonly BundleDefinition[];
  readonly machineBoot: string;
  readonly running: () => readonly VmId[];
  /** The kernel of a VM. */
  readonly party: (vm: VmId) => Party;
}

/** Who has a bundle, as far as calls and notices tell. */
type Standing =
  | { readonly kind: 'owner' }
  | { readonly kind: 'offered'; readonly to: VmId; readonly handle: number }
  | { readonly kind: 'accepted'; readonly by: VmId; readonly released: ReadonlySet<Resource['kind']> };

/** An Enforcer whose calls are made by the parties themselves. */
export class PartyEnforcer implements Enforcer {
  readonly #parts: PartyParts;
  readonly #standing = new Map<BundleId, Standing>();
  /** To whom the next lend of a bundle goes: the host says so before it fences. */
  readonly #next = new Map<BundleId, VmId>();
  #listener: (event: EnforcerEvent) => void = () => {};

  constructor(parts: PartyParts) {
    this.#parts = parts;
    for (const bundle of parts.bundles) {
      this.#standing.set(bundle.id, { kind: 'owner' });
      parts.party(bundle.owner).onNotice((notice) => this.#noticed(notice));
    }
  }

  describe(): EnforcerDescription {
    return {
      name: this.#parts.name,
      kind: 'party',
      evidence: 'observed',
      capabilities: {
        forceRevoke: false,
        reset: false,
        faultReport: false,
        hotHandoff: false,
        wholeBundle: true,
      },
    };
  }

  machineBoot(): string {
    return this.#parts.machineBoot;
  }

  running(): readonly VmId[] {
    return this.#parts.running();
  }

  /** Names the borrower of the lend that comes next. */
  expect(bundle: BundleId, borrower: VmId): void {
    this.#next.set(bundle, borrower);
  }

  /** The platform reports that a VM has exited: what it had counts as released, notices or not. */
  vmExited(vm: VmId): void {
    for (const [bundle, standing] of this.#standing) {
      if (standing.kind === 'accepted' && standing.by === vm) {
        this.#standing.set(bundle, { ...standing, released: this.#kindsOf(bundle) });
      }
    }
    this.#listener({ kind: 'vmExited', vm });
  }

  run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    const answers: EnforcerAnswer[] = [];
    const next = (index: number): void => {
      const call = calls[index];
      if (!call || answers.some((answer) => !answer.ok)) return done(answers);
      this.#carryOut(bundle, call, (answer) => {
        answers.push(answer);
        next(index + 1);
      });
    };
    next(0);
  }

  faults(): readonly FaultRecord[] {
    return [];
  }

  acknowledgeStart(): void {}

  acknowledgeExit(): void {}

  onEvent(listener: (event: EnforcerEvent) => void): void {
    this.#listener = listener;
  }

  close(): void {
    this.#listener = () => {};
  }

  #carryOut(bundle: BundleId, call: EnforcerCall, done: (answer: EnforcerAnswer) => void): void {
    const standing = this.#standing.get(bundle);
    const definition = this.#parts.bundles.find(({ id }) => id === bundle);
    if (!standing || !definition) return done({ ok: false, error: `no bundle ${bundle}` });
    switch (call.op) {
      case 'fence':
        return this.#fence(definition, standing, done);
      case 'grant':
        return this.#grant(definition, standing, call.vm, done);
      case 'inspect':
        return done({ ok: true, reach: reachOf(definition, standing) });
      case 'drained':
        return done({ ok: true, idle: true });
      case 'settle':
        return done({ ok: true, syncs: 0 });
      case 'reset':
        return done({ ok: true });
    }
  }

  /** The old holder loses the bundle: the owner by lending it, a borrower only by its own release or its end. */
  #fence(bundle: BundleDefinition, standing: Standing, done: (answer: EnforcerAnswer) => void): void {
    if (standing.kind === 'offered') return done({ ok: true });
    if (standing.kind === 'accepted') {
      const missing = [...this.#kindsOf(bundle.id)].filter((kind) => !standing.released.has(kind));
      if (missing.length === 0) return done({ ok: true });
      return done({
        ok: false,
        error: `${standing.by} still has ${missing.join(', ')}; a live borrower cannot be forced`,
      });
    }
    const to = this.#next.get(bundle.id);
    if (to === undefined) return done({ ok: false, error: 'to whom the bundle is to be lent was not said' });
    this.#parts.party(bundle.owner).lend(bundle.id, to, (result) => {
      if (!result.ok) return done(result);
      this.#standing.set(bundle.id, { kind: 'offered', to, handle: result.handle ?? 0 });
      done({ ok: true });
    });
  }

  #grant(
    bundle: BundleDefinition,
    standing: Standing,
    vm: VmId,
    done: (answer: EnforcerAnswer) => void,
  ): void {
    if (vm === bundle.owner) {
      if (standing.kind === 'owner') return done({ ok: true });
      return this.#parts.party(vm).reclaim(bundle.id, (result) => {
        if (result.ok) this.#standing.set(bundle.id, { kind: 'owner' });
        done(result.ok ? { ok: true } : result);
      });
    }
    if (standing.kind === 'accepted' && standing.by === vm && standing.released.size === 0)
      return done({ ok: true });
    if (standing.kind !== 'offered' || standing.to !== vm) {
      return done({ ok: false, error: `the bundle was not offered to ${vm}` });
    }
    this.#parts.party(vm).accept(bundle.id, standing.handle, (result) => {
      if (result.ok) this.#standing.set(bundle.id, { kind: 'accepted', by: vm, released: new Set() });
      done(result.ok ? { ok: true } : result);
    });
  }

  /** Releases arrive one kind at a time, in any order, and perhaps twice. */
  #noticed({ bundle, what, kind }: PartyNotice): void {
    const standing = this.#standing.get(bundle);
    if (what !== 'released' || standing?.kind !== 'accepted') return;
    this.#standing.set(bundle, { ...standing, released: new Set([...standing.released, kind]) });
  }

  #kindsOf(bundle: BundleId): ReadonlySet<Resource['kind']> {
    const definition = this.#parts.bundles.find(({ id }) => id === bundle);
    return new Set(definition ? resourcesOf(definition).map(({ kind }) => kind) : []);
  }
}

function reachOf(bundle: BundleDefinition, standing: Standing): Reach {
  if (standing.kind === 'owner') return bundle.owner;
  if (standing.kind === 'offered') return 'blocked';
  return standing.released.size === 0 ? standing.by : 'unknown';
}
