/**
 * Bundles: the devices that move as one, with every resource that gives access to them.
 *
 * Pure data. All parties have the same definition. Its digest (core/wire/digest.ts) travels in consents, commands and
 * acknowledgements, so that different definitions under one name are detected at once.
 */

import { type BundleId, type DeviceId, type ResourceId, resourceId, type VmId } from './ids.ts';

/** Most devices of a bundle: a display, its panel, touch, backlight and a few bus controllers. */
export const DEVICES_MAX = 8;
/**
 * Most resources of a bundle: a camera with its sensors' receivers has some 25. Their evidence must fit one message
 * (see core/wire/limits.ts).
 */
export const RESOURCES_MAX = 32;
/** Most bundles of one party. Their digests must fit one hello message. */
export const BUNDLES_MAX = 16;

/** How an interrupt line signals. */
export type Trigger = 'edge' | 'level';

/** Registers: a range of physical pages, and its address in each VM. */
export interface MmioResource {
  readonly kind: 'mmio';
  readonly id: ResourceId;
  readonly device: DeviceId;
  /**
   * Physical address, in bytes, aligned to the stage-2 granule (4096). Below 2^44, so that page numbers fit the wire.
   */
  readonly physical: number;
  /** Length in bytes, a multiple of the granule. */
  readonly bytes: number;
  /** IPA of the range by VM; a VM without an entry sees it at `physical`. */
  readonly views: Readonly<Record<VmId, number>>;
}

/** An interrupt line (SPI), and its virtual interrupt in each VM. */
export interface InterruptResource {
  readonly kind: 'interrupt';
  readonly id: ResourceId;
  readonly device: DeviceId;
  /** Interrupt number at the distributor (INTID, 32 to 1019 for an SPI). */
  readonly physical: number;
  readonly trigger: Trigger;
  /** Virtual INTID by VM; a VM without an entry sees `physical`. */
  readonly views: Readonly<Record<VmId, number>>;
}

/** Most stream IDs of one stream with a mask: an SMMUv3 has a table entry for each, and a move writes them all. */
export const STREAM_IDS_MAX = 256;

/** A stream: DMA traffic with one stream ID at one SMMU, or with all IDs that match a mask. */
export interface StreamResource {
  readonly kind: 'stream';
  readonly id: ResourceId;
  readonly device: DeviceId;
  /**
   * Physical address of the SMMU's registers, in bytes, which identifies it; aligned and limited as for registers.
   * Absent: the only SMMU of the machine.
   */
  readonly smmu?: number | undefined;
  /** Stream ID at the SMMU; with a mask, the lowest matching ID. */
  readonly physical: number;
  /**
   * Bits of the ID that are not compared: an ID matches if its other bits agree, as in the stream match registers of
   * an MMU-500 (SMR.MASK of the SMMUv2 architecture). Absent: none. Its bits are 0 in `physical`.
   */
  readonly mask?: number | undefined;
  /** Virtual stream ID by VM; a VM without an entry sees `physical`. */
  readonly views: Readonly<Record<VmId, number>>;
}

/** One resource that gives access to a device. */
export type Resource = MmioResource | InterruptResource | StreamResource;

/** Residual state of a device, and what clears it (design invariant S6). */
export interface ResidualState {
  /** The residual state: `report FIFO`, `framebuffer address`. */
  readonly what: string;
  /**
   * `reset`: the enforcer's own reset clears it. `driver`: only the device's driver can, so a borrower
   * that dies leaves the bundle in quarantine.
   */
  readonly clearedBy: 'reset' | 'driver';
}

/** One device of a bundle. */
export interface Device {
  readonly id: DeviceId;
  readonly resources: readonly Resource[];
  readonly residualStates: readonly ResidualState[];
}

/** The devices that move as one. `devices` is in quiesce order: consumers first, touch before panel. */
export interface BundleDefinition {
  readonly id: BundleId;
  /** VM that holds title. Title never moves. */
  readonly owner: VmId;
  /** Who keeps the supplies on (clocks, regulators, power domains) while the bundle is lent. */
  readonly keeper: 'owner' | 'hypervisor';
  readonly devices: readonly Device[];
}

/** Cached by definition: definitions are constant, and every phase and check asks for their resources. */
const RESOURCES = new WeakMap<BundleDefinition, readonly Resource[]>();

/** Returns all resources of a bundle, in the order of its devices. */
export function resourcesOf(bundle: BundleDefinition): readonly Resource[] {
  const known = RESOURCES.get(bundle);
  if (known) return known;
  const resources = bundle.devices.flatMap((device) => device.resources);
  RESOURCES.set(bundle, resources);
  return resources;
}

/** Returns the number under which `vm` sees `resource`: an IPA, a virtual interrupt or a virtual stream. */
export function viewOf(resource: Resource, vm: VmId): number {
  return resource.views[vm] ?? resource.physical;
}

/**
 * Returns whether two resources of one machine overlap, at the numbers that `at` returns. A stream without an SMMU
 * may be at any.
 */
export function overlaps(a: Resource, b: Resource, at: (resource: Resource) => number): boolean {
  if (a.kind === 'mmio' && b.kind === 'mmio') return at(a) < at(b) + b.bytes && at(b) < at(a) + a.bytes;
  if (a.kind === 'stream' && b.kind === 'stream') {
    const isSameSmmu = a.smmu === undefined || b.smmu === undefined || a.smmu === b.smmu;
    return isSameSmmu && ((at(a) ^ at(b)) & ~((a.mask ?? 0) | (b.mask ?? 0))) === 0;
  }
  return a.kind === b.kind && at(a) === at(b);
}

/** Returns the stream IDs of a stream, rising; at most 256 in a validated bundle. */
export function streamIdsOf({
  physical,
  mask = 0,
}: Pick<StreamResource, 'physical' | 'mask'>): readonly number[] {
  let ids = [(physical & ~mask) >>> 0];
  for (let bit = 1; bit !== 0; bit = (bit << 1) >>> 0) {
    if ((mask & bit) === 0) continue;
    ids = ids.flatMap((each) => [each, (each | bit) >>> 0]);
    if (ids.length > STREAM_IDS_MAX) break;
  }
  return ids.sort((a, b) => a - b);
}

/** Returns whether every residual state of the bundle is cleared by the enforcer's own reset. */
export function isResettable(bundle: BundleDefinition): boolean {
  return bundle.devices.every((device) =>
    device.residualStates.every((residualState) => residualState.clearedBy === 'reset'),
  );
}

/** Names the resources of a device: `touch.mmio0`, `touch.stream1`. */
export function nameResources(
  device: DeviceId,
  resources: readonly Omit<Resource, 'id' | 'device'>[],
): readonly Resource[] {
  const counters = new Map<string, number>();
  return resources.map((resource) => {
    const index = counters.get(resource.kind) ?? 0;
    counters.set(resource.kind, index + 1);
    return { ...resource, id: resourceId(device, resource.kind, index), device } as Resource;
  });
}
