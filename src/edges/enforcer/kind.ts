/**
 * What a kind of enforcer is: one object per folder of `kinds/`, with its schema (whose descriptions make the tables of
 * docs/CONFIG.md), how it is opened, and what its configuration says and cannot keep. The folder's `platform.md` is the
 * section of docs/PLATFORMS.md. Pure but for `open`, which acts by the ports that it is given.
 */

import type { Static, TSchema } from '../../common/schema.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { VmId } from '../../core/protocol/ids.ts';
import type { Enforcer } from '../../ports/enforcer.ts';
import type { Clock, Entropy, Log, StreamNetwork } from '../../ports/world.ts';
import type { RunLine } from './kinds/command/command-enforcer.ts';
import type { Notes } from './notebook.ts';

/** Where an enforcer that can read nothing back keeps its notes. */
export interface NoteStore {
  /** Notes of this boot of the machine; undefined when there are none that can be read. */
  load(machineBoot: string): Notes | undefined;
  /** Throws when it cannot. */
  save(machineBoot: string, notes: Notes): void;
}

/** What an enforcer is opened with. */
export interface EnforcerParts {
  readonly bundles: readonly BundleDefinition[];
  readonly network: StreamNetwork;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  /** Identifies this boot of the machine. */
  machineBoot(): string;
  /** Notes in the host's state folder. */
  notes(): NoteStore;
  /**
   * Runs `command` once per line, for `limitMs` at most; rejects when a program of an earlier host can neither be ended
   * nor be ruled out.
   */
  program(command: readonly string[], limitMs: number): Promise<RunLine>;
}

type Path = readonly (string | number)[];

/** A VM that a configuration names, and where below `enforcer`. */
export interface NamedVm {
  readonly vm: string;
  readonly path: Path;
  readonly at: 'key' | 'value';
}

/** A socket that a configuration names, and where below `enforcer`. */
export interface EnforcerSocket {
  readonly path: Path;
  readonly address: string;
  readonly listens: boolean;
}

/** One kind. */
export interface EnforcerKind<T extends TSchema = TSchema> {
  readonly schema: T;
  /** Opens it. Rejects with why it cannot be used. */
  open(config: Static<T>, parts: EnforcerParts): Promise<Enforcer>;
  /** VMs that the configuration names: nobody else runs. Absent or empty: the enforcer itself knows. */
  vms?(config: Static<T>): readonly NamedVm[];
  sockets?(config: Static<T>): readonly EnforcerSocket[];
  /** What the bundles ask that it cannot keep, and where below `enforcer`. */
  complaints?(
    config: Static<T>,
    bundles: readonly BundleDefinition[],
  ): readonly { readonly path: Path; readonly message: string }[];
}

/** Types a kind by its schema. */
export function enforcerKind<T extends TSchema>(kind: EnforcerKind<T>): EnforcerKind<T> {
  return kind;
}

/** The VMs of a list in the configuration. */
export function listedVms(vms: readonly string[], ...path: Path): NamedVm[] {
  return vms.map((vm, index) => ({ vm, path: [...path, index], at: 'value' }));
}

/**
 * Why an enforcer that resets nothing may not have this bundle: it would be believed to have cleared what it has not.
 */
export function resetFaults(kind: string, bundle: BundleDefinition): string[] {
  const device = bundle.devices.find(({ residualStates }) =>
    residualStates.some(({ clearedBy }) => clearedBy === 'reset'),
  );
  if (!device) return [];
  const what = `a residual state of ${bundle.id}.${device.id} is cleared by reset`;
  return [`${kind} resets nothing, and ${what}: expected "clearedBy": "driver"`];
}

/** Names of VMs as ids. */
export const vmIds = (vms: readonly string[]) => vms as readonly VmId[];
