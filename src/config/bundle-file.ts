/**
 * The bundle file: the bundle definitions, the same file for all parties. Pure.
 *
 * Addresses are written in hexadecimal text, as in a device tree. Bundles of one machine are disjoint by resource;
 * two that overlap are refused with both names.
 */

import { type Static, Type } from '../common/schema.ts';
import {
  BUNDLES_MAX,
  type BundleDefinition,
  DEVICES_MAX,
  nameResources,
  overlaps,
  RESOURCES_MAX,
  type Resource,
  resourcesOf,
  STREAM_IDS_MAX,
  type StreamResource,
  streamIdsOf,
  viewOf,
} from '../core/protocol/bundle.ts';
import { PAGE_BYTES } from '../core/protocol/evidence.ts';
import {
  bundleId,
  deviceId,
  ID_PATTERN,
  ID_WORDS,
  VM_PATTERN,
  type VmId,
  vmId,
} from '../core/protocol/ids.ts';
import { readConfig, refuseAt } from './read.ts';

const KEY = Type.String({ pattern: ID_PATTERN });
const VM_KEY = Type.String({ pattern: VM_PATTERN });
const address = (description: string) =>
  Type.String({ pattern: '^0x[0-9a-f]{1,11}$', title: 'hexadecimal bytes, as 0x0a900000', description });
const closed = { additionalProperties: false } as const;
const ADDRESS_VIEWS = Type.Optional(
  Type.Record(VM_KEY, address('address at which this VM sees it'), {
    ...closed,
    description: 'VM → address at which it sees the registers; absent: the physical address',
  }),
);
const NUMBER_VIEWS = (what: string) =>
  Type.Optional(
    Type.Record(
      VM_KEY,
      Type.Integer({ minimum: 0, maximum: 0xffff_ffff, description: `its ${what} there` }),
      {
        ...closed,
        description: `VM → ${what} under which it sees it; absent: the physical one`,
      },
    ),
  );

const DEVICE = Type.Object(
  {
    mmio: Type.Optional(
      Type.Array(
        Type.Object(
          {
            physical: address('physical address, a multiple of 4096'),
            bytes: address('length, a multiple of 4096'),
            views: ADDRESS_VIEWS,
          },
          closed,
        ),
        { description: 'register ranges' },
      ),
    ),
    interrupts: Type.Optional(
      Type.Array(
        Type.Object(
          {
            physical: Type.Integer({
              minimum: 32,
              maximum: 1019,
              title: 'INTID of an SPI',
              description: 'interrupt number at the GIC',
            }),
            trigger: Type.Union([Type.Literal('edge'), Type.Literal('level')], {
              description: 'trigger of the line',
            }),
            views: NUMBER_VIEWS('INTID'),
          },
          closed,
        ),
        { description: 'interrupt lines' },
      ),
    ),
    streams: Type.Optional(
      Type.Array(
        Type.Object(
          {
            physical: Type.Integer({
              minimum: 0,
              maximum: 0xffff_ffff,
              title: 'stream ID',
              description: 'number of the stream at the SMMU',
            }),
            mask: Type.Optional(
              Type.Integer({
                minimum: 0,
                maximum: 0xffff_ffff,
                title: 'bits of the stream ID',
                description:
                  'bits of the ID that a match ignores, 8 at most, as in match registers of an MMU-500; absent: none',
              }),
            ),
            smmu: Type.Optional(
              address(
                'address of its SMMU’s registers, a multiple of 4096; absent: the machine has one SMMU',
              ),
            ),
            views: NUMBER_VIEWS('stream ID'),
          },
          closed,
        ),
        { description: 'DMA streams' },
      ),
    ),
    residualStates: Type.Optional(
      Type.Array(
        Type.Object(
          {
            what: Type.String({ maxLength: 64, description: 'what may remain, in words for people' }),
            clearedBy: Type.Union([Type.Literal('reset'), Type.Literal('driver')], {
              description: '`reset`: the enforcer clears it; `driver`: only the holder’s driver can',
            }),
          },
          closed,
        ),
        { description: 'what a holder may leave in the device' },
      ),
    ),
  },
  closed,
);

/** Schema of the bundle file. */
export const BUNDLE_FILE_SCHEMA = Type.Object(
  {
    bundles: Type.Record(
      KEY,
      Type.Object(
        {
          owner: Type.String({
            pattern: VM_PATTERN,
            title: ID_WORDS,
            description: 'VM with permanent title; it alone lends',
          }),
          keeper: Type.Union([Type.Literal('owner'), Type.Literal('hypervisor')], {
            description: 'who keeps clocks and regulators on while the bundle is lent',
          }),
          /** In quiesce order: consumers first, touch before panel. */
          devices: Type.Record(KEY, DEVICE, {
            ...closed,
            description: 'device → its definition; in the order of suspend, consumers first',
          }),
        },
        closed,
      ),
      { ...closed, description: 'bundle → who owns it and what it consists of' },
    ),
  },
  closed,
);

/** Reads a bundle file. Throws a ConfigError that names file, line and column. */
export function readBundleFile(file: string, text: string): BundleDefinition[] {
  const parsed = readConfig(BUNDLE_FILE_SCHEMA, file, text);
  const names = Object.keys(parsed.bundles);
  if (names.length > BUNDLES_MAX)
    refuseAt(file, text, ['bundles'], `${names.length} bundles: at most ${BUNDLES_MAX}`);
  const bundles = names.map((name): BundleDefinition => {
    const { owner, keeper, devices } = parsed.bundles[name]!;
    const path = ['bundles', name];
    const ids = Object.keys(devices);
    if (ids.length > DEVICES_MAX)
      refuseAt(file, text, [...path, 'devices'], `at most ${DEVICES_MAX} devices`);
    const definition: BundleDefinition = {
      id: bundleId(name),
      owner: vmId(owner),
      keeper,
      devices: ids.map((id) => {
        const device = deviceId(id);
        const { residualStates = [] } = devices[id]!;
        return { id: device, resources: nameResources(device, resourcesIn(devices[id]!)), residualStates };
      }),
    };
    checkResources(file, text, path, definition);
    return definition;
  });
  checkDisjoint(file, text, bundles);
  return bundles;
}

type DeviceText = Static<typeof DEVICE>;

function resourcesIn(device: DeviceText): Omit<Resource, 'id' | 'device'>[] {
  const hexViews = (views: Record<string, string> = {}): Record<VmId, number> =>
    Object.fromEntries(Object.entries(views).map(([vm, at]) => [vm, Number(at)])) as Record<VmId, number>;
  const plain = (views: Record<string, number> = {}) => views as Record<VmId, number>;
  return [
    ...(device.mmio ?? []).map(({ physical, bytes, views }) => ({
      kind: 'mmio' as const,
      physical: Number(physical),
      bytes: Number(bytes),
      views: hexViews(views),
    })),
    ...(device.interrupts ?? []).map(({ physical, trigger, views }) => ({
      kind: 'interrupt' as const,
      physical,
      trigger,
      views: plain(views),
    })),
    ...(device.streams ?? []).map(({ physical, mask, smmu, views }) => ({
      kind: 'stream' as const,
      physical,
      ...(mask ? { mask } : {}),
      ...(smmu === undefined ? {} : { smmu: Number(smmu) }),
      views: plain(views),
    })),
  ];
}

function checkResources(file: string, text: string, path: string[], bundle: BundleDefinition): void {
  const resources = resourcesOf(bundle);
  const where = [...path, 'devices'];
  if (resources.length === 0) refuseAt(file, text, where, 'no resource: expected at least one in the bundle');
  if (resources.length > RESOURCES_MAX) {
    refuseAt(file, text, where, `${resources.length} resources: at most ${RESOURCES_MAX}`);
  }
  for (const resource of resources) {
    const bytes =
      resource.kind === 'mmio'
        ? [resource.physical, resource.bytes, ...Object.values(resource.views)]
        : resource.kind === 'stream'
          ? [resource.smmu ?? 0]
          : [];
    if (resource.kind === 'stream') checkMask(file, text, where, resource);
    const isEmpty = resource.kind === 'mmio' && resource.bytes === 0;
    if (!isEmpty && bytes.every((at) => at % PAGE_BYTES === 0)) continue;
    refuseAt(
      file,
      text,
      [...where, resource.device, resource.kind === 'mmio' ? 'mmio' : 'streams'],
      `${resource.id}: expected address and length in whole pages of ${PAGE_BYTES} bytes`,
    );
  }
}

/** A stream has at most as many IDs as a move may write entries; its ID is the lowest of them. */
function checkMask(file: string, text: string, where: string[], stream: StreamResource): void {
  const { id, device, physical, mask = 0, views } = stream;
  const refuse = (what: string) => refuseAt(file, text, [...where, device, 'streams'], `${id}: ${what}`);
  if (streamIdsOf(stream).length > STREAM_IDS_MAX)
    refuse(`mask 0x${mask.toString(16)} covers more than ${STREAM_IDS_MAX} stream IDs`);
  for (const number of [physical, ...Object.values(views)])
    if ((number & mask) !== 0) refuse(`${number} has bits that its mask 0x${mask.toString(16)} leaves open`);
}

/**
 * Bundles that share a resource would give it two epochs and two holders (M12). If a VM saw two resources under one
 * number, it would reach one of them by the name of the other.
 */
function checkDisjoint(file: string, text: string, bundles: readonly BundleDefinition[]): void {
  const all = bundles.flatMap((bundle) =>
    resourcesOf(bundle).map((resource) => ({ bundle: bundle.id, resource })),
  );
  const vms = new Set(
    bundles.flatMap((bundle) => [
      bundle.owner,
      ...resourcesOf(bundle).flatMap(({ views }) => Object.keys(views) as VmId[]),
    ]),
  );
  for (const [index, a] of all.entries()) {
    for (const b of all.slice(0, index)) {
      const refuse = (what: string) => {
        const names = `${a.bundle} ${a.resource.id} and ${b.bundle} ${b.resource.id}`;
        return refuseAt(file, text, ['bundles', a.bundle], `${names} ${what}`);
      };
      if (overlaps(a.resource, b.resource, ({ physical }) => physical))
        refuse(
          `are the same ${a.resource.kind} (${placeOf(a.resource)}, ${placeOf(b.resource)}): one ` +
            'thing belongs to one bundle',
        );
      for (const vm of vms) {
        const isSame = overlaps(a.resource, b.resource, (resource) => viewOf(resource, vm));
        if (isSame) refuse(`look the same to ${vm}: give one of them another number in its views`);
      }
    }
  }
}

function placeOf(resource: Resource): string {
  const hex = (at: number) => `0x${at.toString(16)}`;
  return resource.kind === 'mmio'
    ? `${hex(resource.physical)}-${hex(resource.physical + resource.bytes - 1)}`
    : String(resource.physical);
}

/** Returns definitions as the text of a bundle file. */
export function bundleFileText(bundles: readonly BundleDefinition[]): string {
  const hex = (at: number) => `0x${at.toString(16).padStart(8, '0')}`;
  const hexViews = (views: Readonly<Record<string, number>>) =>
    Object.fromEntries(Object.entries(views).map(([vm, at]) => [vm, hex(at)]));
  const deviceText = ({ resources, residualStates }: BundleDefinition['devices'][number]) => ({
    mmio: resources.flatMap((r) =>
      r.kind === 'mmio' ? [{ physical: hex(r.physical), bytes: hex(r.bytes), views: hexViews(r.views) }] : [],
    ),
    interrupts: resources.flatMap((r) =>
      r.kind === 'interrupt' ? [{ physical: r.physical, trigger: r.trigger, views: r.views }] : [],
    ),
    streams: resources.flatMap((r) =>
      r.kind === 'stream'
        ? [
            {
              physical: r.physical,
              ...(r.mask ? { mask: r.mask } : {}),
              ...(r.smmu === undefined ? {} : { smmu: hex(r.smmu) }),
              views: r.views,
            },
          ]
        : [],
    ),
    residualStates,
  });
  const file = Object.fromEntries(
    bundles.map(({ id, owner, keeper, devices }) => [
      id,
      {
        owner,
        keeper,
        devices: Object.fromEntries(devices.map((device) => [device.id, deviceText(device)])),
      },
    ]),
  );
  return `${JSON.stringify({ bundles: file }, null, 2)}\n`;
}
