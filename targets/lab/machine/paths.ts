/**
 * Who reaches what, path by path, and what of it breaks an invariant.
 *
 * Two VMs at once are one fault. Somebody where nobody was promised is the other: `claim` says that a bundle is blocked
 * (claims.ts hears it from the enforcer, tests from the host), and holds until the next grant.
 */

import { nameOf, type VmInstance } from './vm.ts';

/**
 * A broken invariant. `resource` names what was reached, `vms` who is involved, `step` counts bus accesses.
 * `mapping`: a descriptor or an entry that says something else than it must.
 */
export interface Violation {
  readonly invariant: 'S1' | 'S3' | 'S6' | 'S7' | 'mapping';
  readonly text: string;
  readonly resource: string;
  readonly vms: readonly string[];
  readonly step: number;
}

/** Distinct violations kept: one is enough to fail, a few help to understand. */
export const VIOLATIONS_MAX = 100;

/** One resource under watch. */
export interface Watched {
  readonly name: string;
  readonly bundle: Group;
  readonly counts: Map<VmInstance, number>;
}

/** The resources that must always have one holder in common. */
export interface Group {
  readonly name: string;
  readonly counts: Map<VmInstance, number>;
  /** A bundle, not a resource that stays with one VM. */
  readonly isBundle: boolean;
  /** Why nobody may reach it now. */
  claim?: string | undefined;
}

export class Paths {
  readonly violations: Violation[] = [];
  /** Bus accesses so far. */
  step = 0;
  protected readonly watched: Watched[] = [];
  readonly #seen = new Set<string>();
  /** What each path leads to; a descriptor in memory is named by its address. */
  readonly #paths = new Map<string | number, { readonly to: Watched; readonly vm: VmInstance }>();

  /** Incarnations that reach anything of a bundle by any path, as `nameOf` has them. */
  holders(bundle: string): readonly string[] {
    return [...(this.#group(bundle)?.counts.keys() ?? [])].map(nameOf);
  }

  /** Resources of bundles that the incarnation of `vm` which runs, or has just ended, reaches by any path. */
  reachedBy(vm: string): readonly string[] {
    const reaches = ({ counts, bundle }: Watched) =>
      bundle.isBundle && [...counts.keys()].some((one) => one.vm === vm);
    return this.watched.filter(reaches).map(({ name }) => name);
  }

  #group(bundle: string): Group | undefined {
    return this.watched.find((each) => each.bundle.isBundle && each.bundle.name === bundle)?.bundle;
  }

  /** Incarnations that reach one resource of a bundle. */
  reaching(bundle: string, resource: string): readonly VmInstance[] {
    const found = this.watched.find((each) => each.bundle.name === bundle && each.name === resource);
    return [...(found?.counts.keys() ?? [])];
  }

  /**
   * Somebody said that nobody reaches a bundle, and why (`parked`, `isolated`, `settled`): true now, and at every
   * write until `undefined` takes it back.
   */
  claim(bundle: string, why: string | undefined): void {
    const group = this.#group(bundle);
    if (group === undefined) return;
    group.claim = why;
    if (why === undefined) return;
    for (const watched of this.watched) {
      if (watched.bundle !== group) continue;
      for (const vm of watched.counts.keys()) this.reachedThough(watched.name, vm, why);
    }
  }

  /** Somebody reaches a resource of which the opposite was said. */
  reachedThough(resource: string, vm: VmInstance, why: string): void {
    this.violate('S7', resource, [vm], `${why}, and reached by`);
  }

  /** The host let go of a VM that has exited: no bundle may reach it, or be reached by it. */
  exitAcknowledged(vm: VmInstance): void {
    for (const { name, counts, bundle } of this.watched) {
      if (counts.has(vm) && bundle.isBundle) this.reachedThough(name, vm, 'exit acknowledged');
    }
  }

  /** A service took over what another left: caches say no more than the tables. */
  takenOver(): void {
    for (const [key, { to, vm }] of this.#paths) {
      if (typeof key === 'number') continue;
      const isBacked = key.includes('TLB')
        ? [...this.#paths].some(([at, path]) => typeof at === 'number' && path.to === to && path.vm === vm)
        : this.#paths.get(key.replace('entry cache', 'entry memory'))?.vm === vm;
      const isCache = key.includes('TLB') || key.startsWith('entry cache');
      if (isCache && !isBacked)
        this.violate('S1', to.name, [vm], `${key}: stale after the take-over, reached by`);
    }
  }

  protected watch(name: string, bundle: Group): Watched {
    const watched: Watched = { name, bundle, counts: new Map() };
    this.watched.push(watched);
    return watched;
  }

  /** A path now leads to `to` for `vm`, or nowhere. */
  protected path(key: string | number, to: Watched | undefined, vm: VmInstance | undefined): void {
    const old = this.#paths.get(key);
    if (old !== undefined && old.to === to && old.vm === vm) return;
    if (old !== undefined) {
      this.#paths.delete(key);
      decrement(old.to.counts, old.vm);
      decrement(old.to.bundle.counts, old.vm);
    }
    if (to === undefined || vm === undefined) return;
    const isEnded = vm.state === 'exited' || vm.state === 'ended';
    if (isEnded && !to.counts.has(vm)) this.reachedThough(to.name, vm, 'VM ended');
    this.#paths.set(key, { to, vm });
    if (to.bundle.claim !== undefined) this.reachedThough(to.name, vm, to.bundle.claim);
    increment(to.counts, vm);
    increment(to.bundle.counts, vm);
    if (to.bundle.counts.size > 1) this.#sharedBundle(key, to, vm);
  }

  /** Somebody else reaches part of the bundle: the same resource breaks S1, another one S3. */
  #sharedBundle(key: string | number, to: Watched, vm: VmInstance): void {
    const what = typeof key === 'string' ? key : `descriptor at 0x${key.toString(16)}`;
    for (const other of to.bundle.counts.keys()) {
      if (other === vm) continue;
      if (to.counts.has(other)) this.violate('S1', to.name, [other, vm], `${what}: reached by two`);
      else
        this.violate(
          'S3',
          to.name,
          [other, vm],
          `${what}: new holder before the old one is blocked in ${to.bundle.name}`,
        );
    }
  }

  protected violate(
    invariant: Violation['invariant'],
    resource: string,
    vms: readonly VmInstance[],
    what: string,
  ): void {
    const names = vms.map(nameOf);
    const text = `${resource}: ${what} ${names.join(', ')}`;
    const key = `${invariant} ${text}`;
    if (this.#seen.has(key) || this.violations.length >= VIOLATIONS_MAX) return;
    this.#seen.add(key);
    this.violations.push({ invariant, text, resource, vms: names, step: this.step });
  }
}

function increment(counts: Map<VmInstance, number>, vm: VmInstance): void {
  counts.set(vm, (counts.get(vm) ?? 0) + 1);
}

function decrement(counts: Map<VmInstance, number>, vm: VmInstance): void {
  const count = counts.get(vm)! - 1;
  if (count === 0) counts.delete(vm);
  else counts.set(vm, count);
}
