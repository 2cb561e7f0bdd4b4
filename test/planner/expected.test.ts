/** What a VM must be granted by its own tree, against what it is granted: every difference is found, and named. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ownTree } from '../../src/config/own-tree.ts';
import { overlaps, resourcesOf } from '../../src/core/protocol/bundle.ts';
import {
  expectedByDefinition,
  findResourceMismatch,
  type GrantedForm,
} from '../../src/core/protocol/evidence.ts';
import { bundleId } from '../../src/core/protocol/ids.ts';
import { Board } from '../../src/planner/board.ts';
import { definitionOf } from '../../src/planner/definition.ts';
import { expectedByTree } from '../../src/planner/expected.ts';
import { planBundle } from '../../src/planner/plan.ts';
import { merged, type Range, without } from '../../src/planner/ranges.ts';
import { withViews } from '../../src/planner/views.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { SimulatedMachine } from '../../targets/lab/machine/machine.ts';
import { TERMS, UnisolatedWorld } from '../support/unisolated-world.ts';
import type { Description } from './builder.ts';
import { DISPLAY, guest, TOUCH } from './guests.ts';

const GRANTED = expectedByDefinition(PANEL, VAULT);

/** How what vault is granted differs from what a tree of these nodes says. */
function difference(touch: Description, display: Description, granted: readonly GrantedForm[] = GRANTED) {
  const tree = guest({ 'touch@b900000': touch, 'display@ae00000': display });
  const nodes = new Map([
    ['touch', [tree.find('touch@b900000')!]],
    ['display', [tree.find('display@ae00000')!]],
  ]);
  return findResourceMismatch(expectedByTree(PANEL, VAULT, tree, nodes), granted);
}

describe('a guest whose tree', () => {
  it('says what it is granted finds no difference', () => {
    expect(difference(TOUCH, DISPLAY)).toBeUndefined();
  });

  it('has no SMMU of its own does not compare streams', () => {
    const { iommus: _, ...touch } = TOUCH;
    expect(difference(touch, DISPLAY)).toBeUndefined();
  });

  it('describes the same registers in pieces, or in another order, finds no difference', () => {
    const pieces = { ...DISPLAY, reg: [0xae0_8000, 0x8000, 0xae0_0000, 0x8000] };
    expect(difference(TOUCH, pieces)).toBeUndefined();
  });

  it.each<[string, Description, Description, string]>([
    [
      'has another address',
      { ...TOUCH, reg: [0xb80_0000, 0x1000] },
      DISPLAY,
      'touch.mmio0 view 0xb900000, expected 0xb800000',
    ],
    [
      'has a longer range',
      TOUCH,
      { ...DISPLAY, reg: [0xae0_0000, 0x2_0000] },
      'display mmio 0xae10000 of our tree is missing',
    ],
    [
      'has a shorter range',
      TOUCH,
      { ...DISPLAY, reg: [0xae0_0000, 0x8000] },
      'display.mmio0 pages 16, expected 8',
    ],
    [
      'has another line',
      { ...TOUCH, interrupts: [0, 46, 4] },
      DISPLAY,
      'touch.interrupt0 view 77, expected 78',
    ],
    [
      'has another trigger',
      { ...TOUCH, interrupts: [0, 45, 1] },
      DISPLAY,
      'touch.interrupt0 trigger level, expected edge',
    ],
    ['has no line', { ...TOUCH, interrupts: [] }, DISPLAY, 'touch.interrupt0 is not expected'],
    [
      'has a second line',
      { ...TOUCH, interrupts: [0, 45, 4, 0, 60, 4] },
      DISPLAY,
      'touch interrupt 92 of our tree is missing',
    ],
    ['has another stream', { ...TOUCH, iommus: [2, 3] }, DISPLAY, 'touch.stream0 view 2, expected 3'],
    ['has one stream of two', TOUCH, { ...DISPLAY, iommus: [2, 0x880] }, 'display.stream1 is not expected'],
    [
      'has a third stream',
      TOUCH,
      { ...DISPLAY, iommus: [2, 0x880, 2, 0xc80, 2, 0xc88] },
      'display stream 3208 of our tree is missing',
    ],
  ])('%s refuses the grant and says why', (_, touch, display, why) => {
    expect(difference(touch, display)).toBe(why);
  });

  const at = (name: string) => GRANTED.find(({ resource }) => resource === name)!;
  const without = (name: string) => GRANTED.filter(({ resource }) => resource !== name);
  const changed = (name: string, fields: Partial<GrantedForm>) =>
    GRANTED.map((entry) => (entry.resource === name ? { ...entry, ...fields } : entry));
  it.each<[string, readonly GrantedForm[], string]>([
    ['the second stream omitted', without('display.stream1'), 'display.stream1 is missing'],
    [
      'interrupts swapped',
      changed('touch.interrupt0', { view: at('display.interrupt0').view }),
      'touch.interrupt0 view 115, expected 77',
    ],
    ['a range shrunk', changed('display.mmio0', { pages: 15 }), 'display.mmio0 pages 15, expected 16'],
    [
      'a trigger flipped',
      changed('touch.interrupt0', { trigger: 'edge' }),
      'touch.interrupt0 trigger edge, expected level',
    ],
    [
      'another physical stream',
      changed('touch.stream0', { physical: 1 }),
      'touch.stream0 physical 1, expected 1731',
    ],
    [
      'an SMMU that nobody named',
      changed('touch.stream0', { smmu: 0x15000 }),
      'touch.stream0 smmu 0x15000000, expected none',
    ],
    [
      'one entry more',
      [...GRANTED, { ...GRANTED[0]!, resource: 'touch.mmio1' as never }],
      'touch.mmio1 is not expected',
    ],
    ['an entry twice', [...GRANTED, GRANTED[0]!], '8 resources, expected 7'],
  ])('is told of %s refuses it', (_, granted, why) => {
    expect(difference(TOUCH, DISPLAY, granted)).toBe(why);
  });
});

it('no reason is longer than the message that carries it', () => {
  const long = 'd'.repeat(31);
  const form: GrantedForm = {
    resource: `${long}.interrupt19` as never,
    kind: 'mmio',
    physical: 0xffff_ffff,
    view: 0xffff_ffff,
    pages: 0xffff_ffff,
    trigger: 'none',
  };
  const other = { ...form, physical: 0xffff_fffe };
  expect(findResourceMismatch([form], [other])!.length).toBeLessThanOrEqual(96);
  const ours = { ...form, resource: `${long} mmio 0xfffffffffff of our tree` as never };
  expect(findResourceMismatch([ours], [])!.length).toBeLessThanOrEqual(96);
});

describe('a borrower whose tree differs from the bundle file', () => {
  const PART = { nodes: { panel: { touch: ['touch@b900000'] } } };

  function bench(touch: Description) {
    const machine = new SimulatedMachine({ bundles: [PANEL], vms: [ANDROID, VAULT], seed: 1 });
    const world = new UnisolatedWorld([ANDROID, VAULT], [PANEL], () => machine.enforcer());
    world.startHost();
    world.startAgent(ANDROID, 'active');
    const own = ownTree(PART, [PANEL], VAULT, guest({ 'touch@b900000': touch }));
    world.startAgent(VAULT, 'suspended', undefined, undefined, own.expected);
    world.clock.advance(1_500);
    return { world, own };
  }

  it('rejects the grant, never resumes, is not lent to again; both sides say why', () => {
    const { world, own } = bench({ ...TOUCH, interrupts: [0, 45, 1] });
    const why = 'touch.interrupt0 trigger level, expected edge';
    expect(own.differences[0]!.message).toContain(why);
    world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    world.clock.advance(300);
    expect(world.drivers.get(VAULT)!.calls.filter((call) => call.includes('resume'))).toEqual([]);
    expect(world.told(VAULT)).toEqual(['evidenceMismatch']);
    expect(world.agents.get(VAULT)!.view(PANEL.id).reason).toBe(`not requested; rejected: ${why}`);
    const [view] = world.host.views();
    expect(view).toMatchObject({
      state: 'held',
      holder: 'android',
      rejections: [{ vm: 'vault', what: why }],
    });
    expect(view!.reason).toContain(`vault rejected it: ${why}`);
    // No ping-pong.
    const epoch = view!.epoch;
    world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    world.clock.advance(300);
    expect(world.told(VAULT)).toEqual(['evidenceMismatch', 'declined']);
    expect(world.host.views()[0]!.epoch).toBe(epoch);
    expect(world.drivers.get(ANDROID)!.status).toBe('active');
  });

  it('borrows when it agrees', () => {
    const { world, own } = bench(TOUCH);
    expect(own.differences).toEqual([]);
    world.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    world.clock.advance(300);
    expect(world.told(VAULT)).toEqual(['granted']);
  });
});

it('an owner whose own tree differs has to mend that first: it would have its bundle in quarantine', () => {
  const part = { nodes: { panel: { touch: ['touch@a900000'] } } };
  const of = (interrupts: number[]) =>
    ownTree(
      part,
      [PANEL],
      ANDROID,
      guest({ 'touch@a900000': { reg: [0xa90_0000, 0x1000], interrupts, iommus: [2, 0x6c3] } }),
    );
  expect(of([0, 0x165, 4])).toMatchObject({ faults: [], differences: [] });
  expect(of([0, 0x165, 1])).toMatchObject({
    faults: [
      {
        path: ['nodes', 'panel'],
        message:
          'the bundle file is not what the tree says: touch.interrupt0 trigger level, expected edge by live',
      },
    ],
    differences: [],
  });
});

describe('the nodes that a configuration names', () => {
  const of = (nodes: Record<string, Record<string, string[]>>, touch: Description = TOUCH) =>
    ownTree({ nodes }, [PANEL], VAULT, guest({ 'touch@b900000': touch })).faults.map(
      ({ path, message }) => `${path.join('.')}: ${message}`,
    );
  it('exist, in bundles and devices that exist, and can be read', () => {
    expect(of({ panel: { touch: ['touch@b900000'] } })).toEqual([]);
    expect(of({ pane: { touch: [] } })).toEqual([
      'nodes.pane: "pane": no bundle of this name in the bundle file',
    ]);
    expect(of({ panel: { tuch: ['touch@b900000'] } })).toEqual([
      'nodes.panel.tuch: "tuch": no device of panel',
    ]);
    expect(of({ panel: { touch: ['touch@1'] } })).toEqual([
      'nodes.panel.touch.0: "touch@1": no such node, or several: expected a path of live',
    ]);
    expect(of({ panel: { touch: ['touch@b900000'] } }, { ...TOUCH, interrupts: [0, 45] })).toEqual([
      expect.stringMatching(/nodes.panel: \/touch@b900000, interrupts: 2 cells are no multiple of the 3/),
    ]);
  });
});

describe('views', () => {
  const PLAIN = {
    ...PANEL,
    devices: PANEL.devices.map((device) => ({
      ...device,
      resources: device.resources.map((resource) => ({ ...resource, views: {} })),
    })),
  };
  const viewed = (touch: Description) => {
    const tree = guest({ 'touch@b900000': touch, 'display@ae00000': DISPLAY });
    const nodes = ['touch@b900000', 'display@ae00000'].map((name) => [tree.find(name)!]);
    return withViews(
      PLAIN,
      VAULT,
      tree,
      new Map([
        ['touch', nodes[0]!],
        ['display', nodes[1]!],
      ]),
    );
  };

  it('are read from the other VM’s tree', () => {
    expect(viewed(TOUCH)).toEqual(PANEL);
  });

  it.each([
    [
      'another length',
      { ...TOUCH, reg: [0xb90_0000, 0x2000] },
      'touch.mmio0: vault’s tree has 0x2000 bytes; the bundle has 0x1000 bytes',
    ],
    [
      'another trigger',
      { ...TOUCH, interrupts: [0, 45, 1] },
      'touch.interrupt0: vault’s tree has edge; the bundle has level',
    ],
    [
      'one more stream',
      { ...TOUCH, iommus: [2, 2, 2, 3] },
      'touch: vault’s tree has 2 of kind stream; the bundle has 1',
    ],
    [
      'no line',
      { ...TOUCH, interrupts: [] },
      'touch: vault’s tree has 0 of kind interrupt; the bundle has 1',
    ],
  ])('cannot be read from a tree with %s', (_, touch, why) => {
    expect(() => viewed(touch)).toThrow(why);
  });
});

it('streams of one number at two SMMUs are two; where an SMMU is not named, it may be any', () => {
  const [stream] = resourcesOf(PANEL).filter(({ kind }) => kind === 'stream');
  const at = (smmu?: number) => ({ ...stream!, ...(smmu ? { smmu } : {}) }) as never;
  const same = (a?: number, b?: number) => overlaps(at(a), at(b), ({ physical }) => physical);
  expect([
    same(1 << 12, 2 << 12),
    same(1 << 12, 1 << 12),
    same(1 << 12),
    same(undefined, 1 << 12),
    same(),
  ]).toEqual([false, true, true, true, true]);
});

describe('ranges', () => {
  const LIMIT = 24;
  const range = fc
    .tuple(fc.integer({ min: 0, max: LIMIT - 1 }), fc.integer({ min: 1, max: 8 }))
    .map(([address, bytes]): Range => ({ address: BigInt(address), bytes: BigInt(bytes) }));
  const set = (ranges: readonly Range[]) =>
    new Set(
      ranges.flatMap(({ address, bytes }) =>
        Array.from({ length: Number(bytes) }, (_, index) => Number(address) + index),
      ),
    );

  it('without and merged are what they are of sets', () => {
    fc.assert(
      fc.property(
        range,
        fc.array(range, { maxLength: 5 }),
        fc.array(fc.integer({ min: 0, max: 31 })),
        (one, others, cuts) => {
          const left = without(one, others);
          const out = set(others);
          expect(set(left)).toEqual(new Set([...set([one])].filter((at) => !out.has(at))));
          const all = merged([one, ...others], cuts.map(BigInt));
          expect(set(all)).toEqual(set([one, ...others]));
          expect(all.reduce((sum, { bytes }) => sum + Number(bytes), 0)).toBe(set(all).size);
          for (const { address, bytes } of all)
            expect(cuts.some((cut) => BigInt(cut) > address && BigInt(cut) < address + bytes)).toBe(false);
        },
      ),
    );
  });

  it('of any size take no time', () => {
    const huge: Range = { address: 0n, bytes: 1n << 63n };
    expect(without(huge, [{ address: 4096n, bytes: 4096n }])).toHaveLength(2);
    expect(merged([huge])).toEqual([huge]);
  });
});

describe('devices of one bundle that share a page, a line and a stream', () => {
  const PARTS: Description = {
    'panel@1000': { compatible: 'test,panel', reg: [0x1000, 0x800], interrupts: [0, 9, 4], iommus: [2, 7] },
    'phy@1800': { compatible: 'test,phy', reg: [0x1800, 0x1000], interrupts: [0, 9, 4], iommus: [2, 7] },
  };
  const tree = guest(PARTS);
  const parts = [tree.find('panel@1000')!, tree.find('phy@1800')!];
  const plan = planBundle(new Board(tree), parts);
  const bundle = definitionOf(plan, bundleId('panel'), ANDROID)!;
  const nodes = new Map(
    bundle.devices.map(({ id }, index) => [id as string, [plan.members[index]!.node]] as const),
  );

  it('are what the tree says that they were planned from', () => {
    expect(resourcesOf(bundle).map(({ id }) => id)).toHaveLength(3);
    expect(
      findResourceMismatch(expectedByTree(bundle, VAULT, tree, nodes), expectedByDefinition(bundle, VAULT)),
    ).toBeUndefined();
    expect(withViews(bundle, VAULT, tree, nodes)).toEqual(bundle);
  });

  it('are so wherever the bundle has what is shared', () => {
    const reversed = { ...bundle, devices: [...bundle.devices].reverse() };
    expect(
      findResourceMismatch(
        expectedByTree(reversed, VAULT, tree, nodes),
        expectedByDefinition(reversed, VAULT),
      ),
    ).toBeUndefined();
  });

  it('are not so when the tree of one lacks it, or has more', () => {
    const without = guest({
      'panel@1000': PARTS['panel@1000']!,
      'phy@1800': { reg: [0x1800, 0x1000], interrupts: [0, 10, 4] },
    });
    const found = new Map([...nodes].map(([id, [node]]) => [id, [without.find(node!.path)!]] as const));
    expect(
      findResourceMismatch(
        expectedByTree(bundle, VAULT, without, found),
        expectedByDefinition(bundle, VAULT),
      ),
    ).toBe('phy.interrupt0 view 41, expected 42');
  });

  it('one stream ID at two SMMUs is two streams', () => {
    const both = guest({
      'smmu@a050000': {
        compatible: 'arm,smmu-v3',
        phandle: [9],
        reg: [0xa05_0000, 0x2_0000],
        '#iommu-cells': [1],
      },
      'panel@1000': { compatible: 'test,panel', reg: [0x1000, 0x1000], iommus: [2, 7, 9, 7] },
    });
    const node = both.find('panel@1000')!;
    const made = definitionOf(planBundle(new Board(both), [node]), bundleId('panel'), ANDROID)!;
    const expected = expectedByTree(made, VAULT, both, new Map([['panel', [node]]]));
    expect(findResourceMismatch(expected, expectedByDefinition(made, VAULT))).toBeUndefined();
  });
});
