/**
 * Counts the incarnations of VMs. The host alone knows when one starts and ends; a lost connection does not mean that
 * the VM ended. Pure; the record is part of the host's table, so that a restart gives no two incarnations one number.
 */

import type { Incarnation, VmId } from '../protocol/ids.ts';

/** The registry as it is written down. */
export interface RegistryRecord {
  readonly machineBoot: string;
  /** Last incarnation of each VM, running or not. */
  readonly incarnations: Readonly<Record<VmId, Incarnation>>;
  readonly running: readonly VmId[];
  /** Numbers up to it may have been counted, of any VM, and are not in `incarnations`: a table was lost. */
  readonly floor: number;
}

/**
 * Compares what was written down with what runs now. A VM that ran then and runs now, on a machine that was not
 * rebooted, is in the same incarnation; any other that runs now is in a new one, above `floor`.
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

/** Returns the registry after a VM has started, with the next number. */
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
