/**
 * The digest of a bundle: SHA-256 over its canonical definition. Pure.
 *
 * Different definitions have different digests. The canonical form is the deterministic CBOR of the wire; it does not
 * depend on the order of JavaScript keys. The order of devices counts, since they are quiesced in it; so does the
 * order of resources, which determines their names.
 */

import { type BundleDefinition, DEVICES_MAX, RESOURCES_MAX, type Resource } from '../protocol/bundle.ts';
import { type BundleId, type DeviceId, isUint32, type ResourceId, type VmId } from '../protocol/ids.ts';
import { TEXT_BYTES_MAX } from '../protocol/messages.ts';
import {
  type Fields,
  id,
  list,
  oneOf,
  optional,
  required,
  resource,
  struct,
  text,
  uint,
  type ValueOf,
} from '../protocol/schema.ts';
import { compile, encodeCbor } from './codec.ts';
import { sha256 } from './hash.ts';
import { RESIDUAL_STATES_MAX, VIEWS_MAX } from './limits.ts';

const VIEW = struct('view', {
  vm: required(1, id<VmId>()),
  /** Page number of the IPA, virtual INTID or virtual stream ID. */
  number: required(2, uint()),
});

const RESOURCE = struct('resource', {
  id: required(1, resource<ResourceId>()),
  kind: required(2, oneOf(['mmio', 'interrupt', 'stream'] as const)),
  /** Physical page number, INTID or stream ID. */
  physical: required(3, uint()),
  /** Pages of a register range; 0 for the others. */
  pages: required(4, uint()),
  trigger: required(5, oneOf(['none', 'edge', 'level'] as const)),
  /** By rising VM name. */
  views: required(6, list(VIEW, VIEWS_MAX)),
  /** Page number of the registers of a stream's SMMU, if it is named. */
  smmu: optional(7, uint()),
  /** Bits of a stream's ID that are not compared, if any. */
  mask: optional(8, uint()),
});

const RESIDUAL_STATE = struct('residualState', {
  what: required(1, text(TEXT_BYTES_MAX)),
  clearedBy: required(2, oneOf(['reset', 'driver'] as const)),
});

const DEVICE = struct('device', {
  id: required(1, id<DeviceId>()),
  resources: required(2, list(RESOURCE, RESOURCES_MAX)),
  residualStates: required(3, list(RESIDUAL_STATE, RESIDUAL_STATES_MAX)),
});

/** The canonical definition. Addresses are page numbers (4096 bytes). */
export const BUNDLE_FIELDS = {
  id: required(1, id<BundleId>()),
  owner: required(2, id<VmId>()),
  keeper: required(3, oneOf(['owner', 'hypervisor'] as const)),
  devices: required(4, list(DEVICE, DEVICES_MAX)),
} satisfies Fields;

/** Returns the digest of `bundle`, 32 bytes. Throws a RangeError that names the invalid field. */
export function bundleDigest(bundle: BundleDefinition): Uint8Array {
  return sha256(canonicalBundle(bundle));
}

/** Returns the canonical definition of `bundle`. Throws a RangeError that names the invalid field. */
export function canonicalBundle(bundle: BundleDefinition): Uint8Array {
  const devices = bundle.devices.map((device) => ({
    id: device.id,
    resources: device.resources.map((one) => {
      if (one.device !== device.id) throw new RangeError(`${one.id} is in ${device.id}, not ${one.device}`);
      return canonicalResource(one);
    }),
    residualStates: device.residualStates,
  }));
  const definition: ValueOf<typeof BUNDLE_FIELDS> = {
    id: bundle.id,
    owner: bundle.owner,
    keeper: bundle.keeper,
    devices,
  };
  const encoded = SHAPE.toMap(definition);
  if (!encoded.ok) throw new RangeError(`bundle ${bundle.id}: ${encoded.field}: ${encoded.reason}`);
  return encodeCbor(encoded.map);
}

function canonicalResource(one: Resource): NonNullable<(typeof RESOURCE)['of']> {
  const toNumber =
    one.kind === 'mmio' ? (address: number) => pageOf(one.id, address) : (same: number) => same;
  const vms = (Object.keys(one.views) as VmId[]).sort((a, b) => (a < b ? -1 : 1));
  return {
    id: one.id,
    kind: one.kind,
    physical: toNumber(one.physical),
    pages: one.kind === 'mmio' ? pageOf(one.id, one.bytes) : 0,
    trigger: one.kind === 'interrupt' ? one.trigger : 'none',
    views: vms.map((vm) => ({ vm, number: toNumber(one.views[vm]!) })),
    ...(one.kind === 'stream' && one.smmu !== undefined ? { smmu: pageOf(one.id, one.smmu) } : {}),
    ...(one.kind === 'stream' && one.mask ? { mask: one.mask } : {}),
  };
}

function pageOf(name: ResourceId, address: number): number {
  const page = address / PAGE_BYTES;
  if (!isUint32(page)) {
    throw new RangeError(`${name}: ${address} is not a multiple of ${PAGE_BYTES} below 2^44`);
  }
  return page;
}

/** Stage-2 granule. */
const PAGE_BYTES = 4096;
const SHAPE = compile(BUNDLE_FIELDS);
