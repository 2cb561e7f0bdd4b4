/** Makes the definition of a bundle of a plan without blockers: what agents and host are given. Pure. */

import {
  type BundleDefinition,
  DEVICES_MAX,
  type Device,
  nameResources,
  RESOURCES_MAX,
  type Resource,
} from '../protocol/bundle.ts';
import { type BundleId, type DeviceId, deviceId, type VmId } from '../protocol/ids.ts';
import type { Range } from './addresses.ts';
import { DISPLAY, type Member, type Plan, TOUCH } from './plan.ts';
import { textsOf } from './tree.ts';

/** Most stream IDs that one masked entry may stand for in a bundle. */
const IDS_PER_MASK_MAX = 16;
/** The wire carries page numbers of 32 bits. */
const ADDRESS_END = 1n << 44n;

/** Parts of a name that say what kind of device it is, and what a holder may leave in one. */
const RESIDUES: readonly (readonly [RegExp, string])[] = [
  [TOUCH, 'reports'],
  [DISPLAY, 'framebuffer address'],
  [/\b(i2c|spi|serial|uart)/, 'transfer buffer'],
  [/\b(camera|isp|csi)/, 'picture buffer address'],
];

/**
 * Returns the definition, or why there can be none. Devices stand in quiesce order. A page that two members share is the first's.
 * Residues are those that are usual for the kind, cleared by the driver unless the device has a reset of its own; more may be there.
 */
export function definitionOf(
  plan: Plan,
  id: BundleId,
  owner: VmId,
): { readonly ok: true; readonly bundle: BundleDefinition } | { readonly ok: false; readonly error: string } {
  const taken: Range[] = [];
  const streams = new Set<number>();
  const lines = new Set<number>();
  const devices: Device[] = [];
  for (const member of plan.members) {
    const resources = resourcesOf(member, taken, lines, streams);
    if (typeof resources === 'string') return { ok: false, error: resources };
    if (resources.length === 0) continue;
    const device = nameOf(member, devices);
    devices.push({ id: device, resources: nameResources(device, resources), residues: residuesOf(member) });
  }
  const count = devices.reduce((sum, { resources }) => sum + resources.length, 0);
  if (devices.length > DEVICES_MAX)
    return { ok: false, error: `${devices.length} devices; a bundle has at most ${DEVICES_MAX}` };
  if (count > RESOURCES_MAX)
    return {
      ok: false,
      error: `${count} registers, lines and streams; a bundle has at most ${RESOURCES_MAX}`,
    };
  return { ok: true, bundle: { id, owner, keeper: 'owner', devices } };
}

type Unnamed = Omit<Resource, 'id' | 'device'> & Record<string, unknown>;

function resourcesOf(
  { node, access }: Member,
  taken: Range[],
  lines: Set<number>,
  streams: Set<number>,
): readonly Unnamed[] | string {
  const found: Unnamed[] = [];
  for (const page of access.pages.flatMap((each) => minus(each, taken))) {
    if (page.address + page.bytes > ADDRESS_END) return `${node.path}: registers above 16 TiB`;
    taken.push(page);
    found.push({ kind: 'mmio', physical: Number(page.address), bytes: Number(page.bytes), views: {} });
  }
  for (const { gic } of access.lines) {
    if (gic?.kind !== 'spi' || lines.has(gic.number)) continue;
    lines.add(gic.number);
    found.push({ kind: 'interrupt', physical: gic.number, trigger: gic.trigger, views: {} });
  }
  for (const { id, mask } of access.streams) {
    const ids = idsOf(id, mask);
    if (ids.length > IDS_PER_MASK_MAX)
      return `${node.path}: its stream 0x${id.toString(16)} with mask 0x${mask.toString(16)} stands for too many`;
    for (const each of ids) {
      if (streams.has(each)) continue;
      streams.add(each);
      found.push({ kind: 'stream', physical: each, views: {} });
    }
  }
  return found;
}

/** What is left of a range without others; whole pages all. */
function minus(range: Range, others: readonly Range[]): readonly Range[] {
  let free: readonly Range[] = [range];
  for (const other of others) {
    const otherEnd = other.address + other.bytes;
    free = free.flatMap(({ address, bytes }) => {
      const end = address + bytes;
      if (otherEnd <= address || end <= other.address) return [{ address, bytes }];
      const before = { address, bytes: other.address - address };
      const after = { address: otherEnd, bytes: end - otherEnd };
      return [before, after].filter((part) => part.bytes > 0n);
    });
  }
  return free;
}

/** The IDs that agree with `id` where `mask` has 0; more than the limit are not listed. */
function idsOf(id: number, mask: number): readonly number[] {
  let ids = [(id & ~mask) >>> 0];
  for (let bit = 1; bit !== 0; bit = (bit << 1) >>> 0) {
    if ((mask & bit) === 0) continue;
    ids = ids.flatMap((each) => [each, (each | bit) >>> 0]);
    if (ids.length > IDS_PER_MASK_MAX) break;
  }
  return ids.sort((a, b) => a - b);
}

/** `i2c@a90000` becomes `i2c-a90000`, within what a device may be called. */
function nameOf({ node }: Member, others: readonly Device[]): DeviceId {
  const plain = node.name
    .toLowerCase()
    .replace(/@(0x)?/, '-')
    .replace(/[^a-z0-9._-]/g, '-');
  const base = (/^[a-z]/.test(plain) ? plain : `d${plain}`).slice(0, 28);
  const isTaken = (name: string) => others.some(({ id }) => id === name);
  let name = base;
  for (let i = 2; isTaken(name); i++) name = `${base}.${i}`;
  return deviceId(name);
}

function residuesOf({ node, reset }: Member): Device['residues'] {
  const clearedBy = reset === undefined ? 'driver' : 'reset';
  const words = [node.name, ...textsOf(node, 'compatible')].join(' ');
  const usual = RESIDUES.flatMap(([pattern, what]) => (pattern.test(words) ? [what] : []));
  return ['registers', ...usual].map((what) => ({ what, clearedBy }) as const);
}
