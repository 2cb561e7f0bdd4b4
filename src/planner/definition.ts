/** Makes the bundle definition of a plan without blockers, for agents and host. Pure. */

import {
  type BundleDefinition,
  DEVICES_MAX,
  type Device,
  nameResources,
  RESOURCES_MAX,
  type Resource,
  STREAM_IDS_MAX,
  streamIdsOf,
} from '../core/protocol/bundle.ts';
import { type BundleId, type DeviceId, deviceId, isId, type VmId } from '../core/protocol/ids.ts';
import { type Access, GRANULE } from './access.ts';
import { registersOf } from './addresses.ts';
import type { DtNode } from './blob.ts';
import type { Need } from './links.ts';
import { usualResidualStates } from './mission.ts';
import { eachOnce, type Things, thingsOf } from './once.ts';
import { TreeError } from './tree.ts';

/** A device of the bundle. */
export interface Member {
  readonly node: DtNode;
  /** Why it is in it. */
  readonly why: string;
  readonly isAskedFor: boolean;
  readonly access: Access;
  readonly needs: readonly Need[];
  /** How the enforcer can reset it; undefined: the tree shows no way. */
  readonly reset: 'line' | 'power' | undefined;
}

/** On the wire, page numbers have 32 bits. */
const ADDRESS_END = 1n << 44n;

/**
 * Returns the devices of a bundle of `members`, in their order, or why they cannot form one. A member that is reached
 * through another (a touch controller on I2C) has no registers, but a driver to suspend. Shared resources belong to the
 * first of the members. Residual states are the usual ones of the kind of device, cleared by the driver unless the
 * device has its own reset; there may be more.
 */
export function bundleDevices(all: readonly Member[]): readonly Device[] | string {
  const members = named(all);
  if (members.length > DEVICES_MAX) return `${members.length} devices: a bundle has at most ${DEVICES_MAX}`;
  const devices: Device[] = [];
  const things = eachOnce(members.map(({ access }) => thingsOf([access])));
  for (const [index, member] of members.entries()) {
    const resources = resourcesOf(member, things[index]!);
    if (typeof resources === 'string') return resources;
    const device = nameOf(member, devices, members);
    devices.push({
      id: device,
      resources: nameResources(device, resources),
      residualStates: residualStatesOf(member),
    });
  }
  const count = devices.reduce((sum, { resources }) => sum + resources.length, 0);
  if (count > RESOURCES_MAX)
    return `${count} registers, lines and streams: a bundle has at most ${RESOURCES_MAX}`;
  return devices;
}

/** Whether a member has its own access, and does not only move along. */
function isNeeded({ access, isAskedFor }: Member): boolean {
  return isAskedFor || access.pages.length > 0 || access.lines.length > 0 || access.streams.length > 0;
}

/**
 * Members that are listed in a bundle file. A member without access, such as an EEPROM behind a multiplexer, moves with
 * its bus whether it is listed or not. Those that were not asked for are listed as far as there is room.
 */
export function named(members: readonly Member[]): readonly Member[] {
  let room = DEVICES_MAX - members.filter(isNeeded).length;
  return members.filter((member) => isNeeded(member) || room-- > 0);
}

/** Returns the definition of a plan without blockers; undefined for any other. */
export function definitionOf(
  plan: { readonly blockers: readonly unknown[]; readonly devices: readonly Device[] | undefined },
  id: BundleId,
  owner: VmId,
): BundleDefinition | undefined {
  if (plan.blockers.length > 0 || plan.devices === undefined) return undefined;
  return { id, owner, keeper: 'owner', devices: plan.devices };
}

type Unnamed = Omit<Resource, 'id' | 'device'> & Record<string, unknown>;

function resourcesOf(
  { node, access }: Member,
  { pages, lines, streams }: Things,
): readonly Unnamed[] | string {
  const found: Unnamed[] = [];
  for (const page of pages) {
    if (page.address + page.bytes > ADDRESS_END) return `${node.path}: registers above 16 TiB`;
    found.push({ kind: 'mmio', physical: Number(page.address), bytes: Number(page.bytes), views: {} });
  }
  for (const { number, trigger } of lines)
    found.push({ kind: 'interrupt', physical: number, trigger, views: {} });
  const wide = access.streams.find(
    ({ id, mask }) => streamIdsOf({ physical: id, mask }).length > STREAM_IDS_MAX,
  );
  if (wide)
    return (
      `${node.path}: its stream 0x${wide.id.toString(16)} with mask 0x${wide.mask.toString(16)} ` +
      'stands for too many'
    );
  for (const { iommu, id, mask } of streams) {
    const smmu = addressOf(iommu);
    if (smmu === undefined)
      return `${node.path}: its IOMMU ${iommu.path} has no address by which it can be told from others`;
    found.push({ kind: 'stream', physical: id, ...(mask ? { mask } : {}), smmu: Number(smmu), views: {} });
  }
  return found;
}

/**
 * Returns the address of an IOMMU's registers, if the wire format can represent it; undefined when the tree has none,
 * or an invalid one.
 */
function addressOf(iommu: DtNode): bigint | undefined {
  try {
    const at = registersOf(iommu)[0]?.physical;
    return at !== undefined && at < ADDRESS_END && at % GRANULE === 0n ? at : undefined;
  } catch (error) {
    if (error instanceof TreeError) return undefined;
    throw error;
  }
}

/**
 * `i2c@a90000` becomes `i2c`, or `i2c-a90000` when another member has that name. Result is a valid name of a device.
 */
function nameOf({ node }: Member, others: readonly Device[], members: readonly Member[]): DeviceId {
  const word = (each: DtNode) => each.name.split('@')[0];
  const isAlone = members.filter((member) => word(member.node) === word(node)).length === 1;
  const plain = (isAlone ? word(node)! : node.name)
    .toLowerCase()
    .replace(/@(0x)?/, '-')
    .replace(/[^a-z0-9._-]/g, '-');
  const base = (/^[a-z]/.test(plain) ? plain : `d${plain}`).slice(0, 28);
  const isTaken = (name: string) => !isId(name) || others.some(({ id }) => id === name);
  let name = base;
  for (let i = 2; isTaken(name); i++) name = `${base}.${i}`;
  return deviceId(name);
}

function residualStatesOf({ node, reset }: Member): Device['residualStates'] {
  const clearedBy = reset === undefined ? 'driver' : 'reset';
  return ['registers', ...usualResidualStates(node)].map((what) => ({ what, clearedBy }) as const);
}
