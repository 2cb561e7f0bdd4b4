/**
 * Counts the incarnations of VMs. Only the host knows when one starts and ends; a lost connection does not mean that
 * the VM ended. Pure. The record is part of the host's table, so that a restart uses no number twice.
 */

import type { Incarnation, VmId } from '../protocol/ids.ts';

/** The registry as recorded. */
export interface RegistryRecord {
  readonly machineBoot: string;
  /** Last incarnation of each VM, running or not. */
  readonly incarnations: Readonly<Record<VmId, Incarnation>>;
  readonly running: readonly VmId[];
  /** Numbers up to it may have been used for any VM without being in `incarnations`: an earlier table was lost. */
  readonly floor: number;
}

/**
 * Compares the record with the VMs that run now. A VM that ran then and runs now, on a machine that was not rebooted,
 * is in the same incarnation. Any other running VM is in a new one, above `floor`.
 */
export function registryAtStart(
  record: RegistryRecord | undefined,
  machineBoot: string,
  running: readonly VmId[],
  floor: number,
): RegistryRecord {
  const isSameBoot = record?.machineBoot === machineBoot;
  const before = isSameBoot ? record.running : [];
  let registry: RegistryRecord = {
    machineBoot,
    incarnations: { ...record?.incarnations },
    running: running.filter((vm) => before.includes(vm)),
    floor: Math.max(floor, record?.floor ?? 0),
  };
  for (const vm of running) if (!before.includes(vm)) registry = beganIn(registry, vm);
  return registry;
}

/** Returns the registry after a VM has started, with its next number. */
export function beganIn(registry: RegistryRecord, vm: VmId): RegistryRecord {
  const incarnation = (Math.max(registry.incarnations[vm] ?? 0, registry.floor) + 1) as Incarnation;
  return {
    ...registry,
    incarnations: { ...registry.incarnations, [vm]: incarnation },
    running: [...registry.running.filter((other) => other !== vm), vm],
  };
}

/** Returns the running incarnations. */
export function runningIn(registry: RegistryRecord): Readonly<Record<VmId, Incarnation>> {
  const running: Record<VmId, Incarnation> = {};
  for (const vm of registry.running) running[vm] = registry.incarnations[vm]!;
  return running;
}
