/**
 * What must hold in every run of the whole product, judged at ports: by the simulated machine's own checker, by what
 * the host says and acknowledges, by what hooks are run. It asks nothing inside of a host or an agent.
 */

import type { SimulatedMachine } from '../../../targets/lab/machine/machine.ts';
import type { Shown } from './client.ts';

/** Something that must not be. `property`: of docs/PROTOCOL.md. */
export interface Finding {
  readonly property: string;
  readonly text: string;
  readonly atMs: number;
}

/** Findings kept of one run: one is enough to fail. */
const FINDINGS_MAX = 20;

export class Judge {
  readonly findings: Finding[] = [];
  readonly #nowMs: () => number;
  /** Which life each epoch of a bundle made holder. */
  readonly #holders = new Map<string, string>();
  /** Highest epoch that the host has named, by bundle and table. */
  readonly #highest = new Map<string, number>();
  readonly #asked = new Map<string, number>();
  readonly #lent = new Map<string, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  found(property: string, text: string): void {
    if (this.findings.length >= FINDINGS_MAX) return;
    if (this.findings.some((known) => known.text === text)) return;
    this.findings.push({ property, text, atMs: this.#nowMs() });
  }

  /** Takes over what the machine's checker found. */
  machine(machine: SimulatedMachine): void {
    for (const { invariant, text } of machine.checker.violations) this.found(invariant, text);
  }

  /** A program of an honest borrower asked for a bundle: it may be lent to it once more. */
  asks(vm: string, bundle: string): void {
    const key = `${vm} ${bundle}`;
    this.#asked.set(key, (this.#asked.get(key) ?? 0) + 1);
  }

  /**
   * What the host says of a bundle. `isAtRest`: the enforcer has nothing to do, so that the machine is as it was
   * ordered to be.
   */
  says(view: Shown, machine: SimulatedMachine, isAtRest: boolean, isHonest: (vm: string) => boolean): void {
    const { bundle, state, holder, epoch } = view;
    const reached = machine.checker.holders(bundle);
    const isNobodys =
      state === 'parked' || (state === 'quarantined' && view.reason.includes('isolation proved'));
    if (isNobodys && isAtRest && reached.length > 0)
      this.found('S7', `the host says ${bundle} is ${state} and with nobody, while ${reached} reach it`);
    if (state !== 'held' && state !== 'moving') return;
    const before = this.#highest.get(bundle) ?? 0;
    if (epoch < before) this.found('S4', `epoch of ${bundle} fell from ${before} to ${epoch}`);
    this.#highest.set(bundle, Math.max(before, epoch));
    if (holder === null) return;
    const others = reached.filter((name) => !name.startsWith(`${holder}#`));
    if (isAtRest && others.length > 0)
      this.found('S7', `the host says ${holder} holds ${bundle}, while ${others} reach it`);
    this.#holds(view, `${holder}#${view.incarnation}`, isHonest);
  }

  #holds({ bundle, holder, owner, epoch }: Shown, life: string, isHonest: (vm: string) => boolean): void {
    const key = `${bundle} ${epoch}`;
    const known = this.#holders.get(key);
    if (known === life) return;
    if (known !== undefined)
      return this.found('S4', `epoch ${epoch} of ${bundle} made ${known} holder, and then ${life}`);
    this.#holders.set(key, life);
    if (holder === owner || !isHonest(holder!)) return;
    const use = `${holder} ${bundle}`;
    const lent = (this.#lent.get(use) ?? 0) + 1;
    this.#lent.set(use, lent);
    if (lent > (this.#asked.get(use) ?? 0))
      this.found('S5', `${holder} was lent ${bundle} ${lent} times, and asked for it less often`);
  }

  /** An honest agent resumes its driver. A host may die before it shows what it told the agent: the machine knows. */
  resumes(life: string, bundle: string, epoch: number, machine: SimulatedMachine): void {
    const key = `${bundle} ${epoch}`;
    const reached = machine.checker.holders(bundle);
    const [vm] = life.split('#');
    if (!this.#holders.has(key) && reached.length === 1 && reached[0]!.startsWith(`${vm}#`))
      this.#holders.set(key, life);
    const holder = this.#holders.get(key);
    if (holder !== life)
      this.found(
        'S2',
        `${life} resumes ${bundle} at epoch ${epoch}, which made ${holder ?? 'nobody'} holder`,
      );
  }

  /** The host lets go of a VM that has exited: from here on its memory is somebody else's. */
  exitAcknowledged(vm: string, machine: SimulatedMachine): void {
    const reached = machine.checker.reachedBy(vm).filter((name) => !name.startsWith('stream 0x'));
    if (reached.length > 0)
      this.found('M5', `the exit of ${vm} was acknowledged while it reaches ${reached.join(', ')}`);
  }

  /** Another table begins: its epochs compare with no others. */
  tableLost(): void {
    this.#highest.clear();
    this.#holders.clear();
  }
}
