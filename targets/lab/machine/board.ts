/**
 * The simulated machine's board: address map, and two ready bundles for tests and the demo.
 *
 * Interrupt controller and SMMU stand where QEMU's `virt` machine has them. The panel's interrupts and streams are
 * those of a real phone (OnePlus 6: touch SPI 0x165, display SPI 0x53, display streams 0x880 and 0xc80, see its
 * device tree), its register pages are near theirs; everything else is ours.
 */

import {
  type BundleDefinition,
  type Device,
  nameResources,
  type Resource,
} from '../../../src/core/protocol/bundle.ts';
import { bundleId, type DeviceId, deviceId, vmId } from '../../../src/core/protocol/ids.ts';
import type { SmmuLayout } from '../../../src/edges/enforcer/smmuv3.ts';

export const ANDROID = vmId('android');
export const VAULT = vmId('vault');

/** Distributor of the GIC. */
export const GIC_BASE = 0x0800_0000;
/** Registers of the SMMU. */
export const SMMU_BASE = 0x0905_0000;
/** Registers of the owner's DMA engine: seen by the owner alone, at this IPA. */
export const ENGINE_BASE = 0x0a94_0000;
export const ENGINE_STREAM = 0x20;

/** RAM of VMs: one slot of 1 MiB each, of which RAM_BYTES are used. */
export const RAM_BASE = 0x4000_0000;
export const RAM_SLOT_BYTES = 0x10_0000;
/** VMs at a time: each has a processor of its own. */
export const VM_SLOTS = 8;
/** The hypervisor's own memory: stream table, queues, stage-2 tables. */
export const HYPERVISOR_BASE = 0x8000_0000;
/** Stage-2 tables: 1 MiB per VM, 256 tables: more than the largest set of bundles needs. */
export const TABLES_BASE = HYPERVISOR_BASE + 0x20_0000;
export const TABLES_BYTES = 0x10_0000;

/** The SMMU's memory on this board. Queues are short, so that tests reach their ends. */
export const SMMU_LAYOUT: SmmuLayout = {
  registers: SMMU_BASE,
  streamTable: HYPERVISOR_BASE,
  format: 'two-level',
  streamBits: 16,
  leafTables: HYPERVISOR_BASE + 0x1_0000,
  commandQueue: HYPERVISOR_BASE + 0x10_0000,
  commandBits: 5,
  eventQueue: HYPERVISOR_BASE + 0x11_0000,
  eventBits: 5,
};

/** Where vault sees what android sees at the physical numbers. */
export const VAULT_TOUCH_IPA = 0x0b90_0000;
export const VAULT_TOUCH_INTERRUPT = 77;

/** Touch and display, lent together. Android is the owner; vault sees the touch controller elsewhere. */
export const PANEL: BundleDefinition = {
  id: bundleId('panel'),
  owner: ANDROID,
  keeper: 'owner',
  devices: [
    device('touch', ['report FIFO', 'ring address'], 'reset', [
      { kind: 'mmio', physical: 0x0a90_0000, bytes: 0x1000, views: { [VAULT]: VAULT_TOUCH_IPA } },
      {
        kind: 'interrupt',
        physical: 32 + 0x165,
        trigger: 'level',
        views: { [VAULT]: VAULT_TOUCH_INTERRUPT },
      },
      { kind: 'stream', physical: 0x6c3, views: { [VAULT]: 0x2 } },
    ]),
    device('display', ['framebuffer address', 'write-back address', 'last line'], 'reset', [
      { kind: 'mmio', physical: 0x0ae0_0000, bytes: 0x1_0000, views: {} },
      { kind: 'interrupt', physical: 32 + 0x53, trigger: 'edge', views: {} },
      { kind: 'stream', physical: 0x880, views: {} },
      { kind: 'stream', physical: 0xc80, views: {} },
    ]),
  ],
};

/** A keypad that only its driver can reset. */
export const KEYS_BUNDLE: BundleDefinition = {
  id: bundleId('keys'),
  owner: ANDROID,
  keeper: 'hypervisor',
  devices: [
    device('keys', ['last key'], 'driver', [
      { kind: 'mmio', physical: 0x0a98_0000, bytes: 0x1000, views: {} },
      { kind: 'interrupt', physical: 140, trigger: 'edge', views: {} },
    ]),
  ],
};

/** Distributes `Omit` over the kinds of resources. */
type Unnamed<T> = T extends Resource ? Omit<T, 'id' | 'device'> : never;

function device(
  name: string,
  residualStates: readonly string[],
  clearedBy: 'reset' | 'driver',
  resources: readonly Unnamed<Resource>[],
): Device {
  const id: DeviceId = deviceId(name);
  return {
    id,
    resources: nameResources(id, resources),
    residualStates: residualStates.map((what) => ({ what, clearedBy })),
  };
}
