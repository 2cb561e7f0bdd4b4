/**
 * Interface of an enforcer kind: one object per folder of `kinds/`, with its schema (whose descriptions make the
 * tables of docs/CONFIG.md), its opening, and its configuration checks. The folder's `platform.md` is the section of
 * docs/PLATFORMS.md. Pure except `open`, which uses the given ports.
 */

import type { Static, TSchema } from '../../common/schema.ts';
import type { BundleDefinition } from '../../core/protocol/bundle.ts';
import type { VmId } from '../../core/protocol/ids.ts';
import type { Enforcer } from '../../ports/enforcer.ts';
import type { Clock, Entropy, Log, StreamNetwork } from '../../ports/world.ts';
import type { RunLine } from './kinds/command/command-enforcer.ts';
import type { Notes } from './notebook.ts';

/** Storage for the records of an enforcer that cannot read back. */
export interface NoteStore {
  /** Records of this boot of the machine; undefined when there are none, or they are unreadable. */
  load(machineBoot: string): Notes | undefined;
  /** Throws on failure. */
  save(machineBoot: string, notes: Notes): void;
}

/** Parameters of opening an enforcer. */
export interface EnforcerParts {
  readonly bundles: readonly BundleDefinition[];
  readonly network: StreamNetwork;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  /** Identifies this boot of the machine. */
  machineBoot(): string;
  /** Records in the host's state folder. */
  notes(): NoteStore;
  /**
   * Runs `command` once per line, at most `limitMs` each. Rejects when a program of an earlier host may still run and
   * cannot be ended.
   */
  program(command: readonly string[], limitMs: number): Promise<RunLine>;
}

type Path = readonly (string | number)[];

/** A VM in the configuration, and its place below `enforcer`. */
export interface NamedVm {
  readonly vm: string;
  readonly path: Path;
  readonly at: 'key' | 'value';
}

/** A socket in the configuration, and its place below `enforcer`. */
export interface EnforcerSocket {
  readonly path: Path;
  readonly address: string;
  readonly listens: boolean;
}

/** One kind. */
export interface EnforcerKind<T extends TSchema = TSchema> {
  readonly schema: T;
  /** Opens it. Rejects with the reason when it cannot be used. */
  open(config: Static<T>, parts: EnforcerParts): Promise<Enforcer>;
  /** VMs in the configuration; no others run. Absent or empty: the enforcer itself knows them. */
  vms?(config: Static<T>): readonly NamedVm[];
  sockets?(config: Static<T>): readonly EnforcerSocket[];
  /** Demands of the bundles that it cannot meet, and their places below `enforcer`. */
  complaints?(
    config: Static<T>,
    bundles: readonly BundleDefinition[],
  ): readonly { readonly path: Path; readonly message: string }[];
}

/** Types a kind by its schema. */
export function enforcerKind<T extends TSchema>(kind: EnforcerKind<T>): EnforcerKind<T> {
  return kind;
}

/** Returns the VMs of a list in the configuration. */
export function listedVms(vms: readonly string[], ...path: Path): NamedVm[] {
  return vms.map((vm, index) => ({ vm, path: [...path, index], at: 'value' }));
}

/**
 * Returns why an enforcer without reset cannot have this bundle: a residual state would count as cleared when it is
 * not.
 */
export function resetFaults(kind: string, bundle: BundleDefinition): string[] {
  const device = bundle.devices.find(({ residualStates }) =>
    residualStates.some(({ clearedBy }) => clearedBy === 'reset'),
  );
  if (!device) return [];
  const what = `a residual state of ${bundle.id}.${device.id} is cleared by reset`;
  return [`${kind} resets nothing, and ${what}: expected "clearedBy": "driver"`];
}

/** Returns names of VMs as ids. */
export const vmIds = (vms: readonly string[]) => vms as readonly VmId[];
