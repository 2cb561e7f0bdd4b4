/**
 * Golden plans of real boards, checked by hand against what dtc prints of them; test/fixtures/plans/README.md has
 * what was looked at.
 * `npx vitest run --project system test/system/plans.test.ts -u` writes them again: commit only what
 * you understand.
 */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bundleFileText, readBundleFile } from '../../src/config/bundle-file.ts';
import { resourcesOf, streamIdsOf } from '../../src/core/protocol/bundle.ts';
import { expectedByDefinition, findResourceMismatch } from '../../src/core/protocol/evidence.ts';
import { bundleId, vmId } from '../../src/core/protocol/ids.ts';
import { bundleDigest } from '../../src/core/wire/digest.ts';
import { type DtNode, readBlob } from '../../src/planner/blob.ts';
import { ACCEPT_WORDS, type BlockerKind } from '../../src/planner/blockers.ts';
import { Board } from '../../src/planner/board.ts';
import { definitionOf, named } from '../../src/planner/definition.ts';
import { planLines } from '../../src/planner/describe.ts';
import { expectedByTree } from '../../src/planner/expected.ts';
import { type Choices, planBundle } from '../../src/planner/plan.ts';
import { streamsOf } from '../../src/planner/streams.ts';
import { isAcceptable, survey, surveyLines, verdictOf } from '../../src/planner/survey.ts';
import { isEnabled, nodesBelow, Tree } from '../../src/planner/tree.ts';
import { withViews } from '../../src/planner/views.ts';
import { wayOut } from '../../src/planner/ways.ts';
import { BOARDS_FOLDER } from './boards.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures/plans');
const boardOf = (name: string) =>
  new Board(new Tree(readBlob(readFileSync(join(BOARDS_FOLDER, `${name}.dtb`)))));

/** What is planned of a board: nodes, and `accept` for everything that may be accepted. */
const PLANS: Readonly<Record<string, readonly string[]>> = {
  'am335x-boneblack': [
    '/ocp/interconnect@48000000/segment@300000/target-module@e000/lcdc@0',
    '/ocp/interconnect@48000000/segment@100000/target-module@9c000/i2c@0 accept',
  ],
  'fsl-ls1028a-rdb': ['can@2180000', 'usb@3100000', 'pcie@1f0000000'],
  'fsl-ls1046a-rdb': ['rtc@51', 'i2c@2180000', 'esdhc@1560000', 'jr@10000'],
  'fvp-base-revc': ['kmi@60000', 'clcd@1f0000', 'pci@40000000'],
  'imx8mp-evk': ['can@308c0000', 'i2c@30a30000', 'display-controller@32e80000', 'gpc@303a0000'],
  'imx95-19x19-evk': ['can@425b0000', 'usb@4c200000', 'pcie@4c300000'],
  'k3-am625-sk': ['i2c@20000000', 'dss@30200000', 'spi@fc40000'],
  'mt8195-cherry-tomato-r3': ['pcie@112f8000 accept', 'dp-intf@1c015000', 'ovl@1c000000', 'touchscreen@10'],
  'hip07-d05': ['/soc/crypto@d2000000', '/soc/crypto@d2000000 accept', '/soc/usb@a7030000'],
  'msm8916-longcheer-l8150': ['rmi4@20', 'i2c@78b5000', 'video-codec@1d00000', 'mmc@7824900'],
  'rk3399-gru-scarlet-inx': [
    'touchscreen@10',
    'touchscreen@10 accept',
    'vop@ff900000',
    'i2c@ff160000',
    'dma-controller@ff6d0000',
  ],
  'r8a77951-salvator-xs': ['gpio@e6050000', 'mmc@ee100000 accept', 'vsp@fea20000', 'display@feb00000'],
  'rk3588-rock-5b': ['i2c@feac0000', 'video-codec@fdc70000 accept', 'video-codec@fdb50000', 'vop@fdd90000'],
  'sc7180-trogdor-lazor-r1': ['mdss@ae00000', 'mdss@ae00000 accept', 'touchscreen@10', 'mmc@7c4000'],
  'sc8280xp-lenovo-thinkpad-x13s': ['touchscreen@10', 'touchscreen@10 accept', 'usb@a600000'],
  'sdm845-db845c': [
    'mdss@ae00000',
    'mdss@ae00000 accept',
    'hdmi-bridge@3b',
    'pci@1c00000',
    'dma-controller@0xa00000',
  ],
  'sdm845-oneplus-enchilada': [
    'mdss@ae00000',
    'mdss@ae00000 accept',
    'synaptics-rmi4-i2c@20',
    'crypto@1dfa000',
    'wifi@18800000',
  ],
  'sm8450-hdk': ['usb@a600000', 'pci@1c00000', 'serial@99c000'],
  'tegra234-p3737': ['serial@31d0000', 'mmc@3400000', 'serial@3100000'],
  'zynqmp-zcu102-rev1.0': ['display@fd4a0000', 'can@ff070000', 'dma-controller@fd500000'],
};

/** Boards of whose list nothing can move, whatever is accepted, and the kind of blocker that all of it has. */
const NOTHING_MOVES: Readonly<Record<string, BlockerKind>> = { 'am335x-boneblack': 'noGic' };

it('the demo board, which is in the repository: what can move, and what it has', () => {
  const board = new Board(
    new Tree(readBlob(readFileSync(join(import.meta.dirname, '../fixtures/board.dtb')))),
  );
  const free = survey(board).filter(({ verdict }) => verdict === 'free');
  expect(free.map(({ node }) => node.path)).toEqual([
    '/soc@0/touch@a900000',
    '/soc@0/dma-controller@a940000',
    '/soc@0/display@ae00000',
  ]);
  const resources = free.map(({ node }) => {
    const made = definitionOf(planBundle(board, [node]), bundleId('bundle'), vmId('owner'));
    return made ? resourcesOf(made).map(({ kind, physical }) => [kind, physical]) : 'none';
  });
  expect(resources).toEqual([
    [
      ['mmio', 0xa90_0000],
      ['interrupt', 0x165 + 32],
      ['stream', 0x6c3],
    ],
    [
      ['mmio', 0xa94_0000],
      ['stream', 0x20],
    ],
    [
      ['mmio', 0xae0_0000],
      ['interrupt', 0x53 + 32],
      ['stream', 0x880],
      ['stream', 0xc80],
    ],
  ]);
});

if (!existsSync(BOARDS_FOLDER)) console.warn(`no boards in ${BOARDS_FOLDER}: golden plans are not compared`);
else {
  it.each(Object.entries(PLANS))(
    '%s: its plans are the golden ones; one at least can move, where any of the board can',
    async (name, wanted) => {
      const board = boardOf(name);
      const found = wanted.map((each) => {
        const [node = '', accept] = each.split(' ');
        const nodes = [board.tree.find(node)!];
        const choices: Choices = { accept: accept ? ACCEPT_WORDS : [] };
        return { plan: planBundle(board, nodes, choices), way: wayOut(board, nodes, choices) };
      });
      const plans = found.map(({ plan }) => plan);
      const text = found
        .map(({ plan, way }, index) =>
          [`== ${wanted[index]}`, ...planLines(plan, undefined, way), ''].join('\n'),
        )
        .join('\n');
      await expect(text).toMatchFileSnapshot(join(FIXTURES, `${name}.txt`));
      const always = NOTHING_MOVES[name];
      if (always === undefined) expect(plans.some((plan) => verdictOf(plan) !== 'blocked')).toBe(true);
      else
        for (const { blockers } of survey(board, { accept: ACCEPT_WORDS }))
          expect(blockers.map(({ kind }) => kind)).toContain(always);
      expect(plans.some((plan) => verdictOf(plan) === 'blocked')).toBe(true);
    },
  );

  it.each(Object.keys(PLANS))('%s: each bundle that can move is what its own tree says', (name) => {
    const board = boardOf(name);
    for (const { node } of survey(board, { accept: ACCEPT_WORDS })) {
      const plan = planBundle(board, [node], { accept: ACCEPT_WORDS });
      const bundle = definitionOf(plan, bundleId('bundle'), vmId('owner'));
      if (!bundle) continue;
      const inFile = named(plan.members);
      const nodes = new Map(bundle.devices.map(({ id }, index) => [id as string, [inFile[index]!.node]]));
      const expected = expectedByTree(bundle, vmId('guest'), board.tree, nodes);
      const granted = expectedByDefinition(bundle, vmId('guest'));
      expect(findResourceMismatch(expected, granted), node.path).toBeUndefined();
      expect(withViews(bundle, vmId('guest'), board.tree, nodes)).toEqual(bundle);
      const [again] = readBundleFile('bundle.json', bundleFileText([bundle]));
      expect(bundleDigest(again!)).toEqual(bundleDigest(bundle));
      const streams = plan.members.flatMap((member) => [...nodesBelow(member.node)]).filter(isEnabled);
      const ids = streams.flatMap((each) =>
        streamsOf(board.tree, each).flatMap(({ id, mask }) => streamIdsOf({ physical: id, mask })),
      );
      const has = new Set(
        resourcesOf(bundle).flatMap((each) => (each.kind === 'stream' ? streamIdsOf(each) : [])),
      );
      expect(
        ids.filter((id) => !has.has(id)),
        node.path,
      ).toEqual([]);
    }
  });

  it.each(Object.keys(PLANS))('%s: order in the tree changes no bundle and no digest', (name) => {
    const { root } = readBlob(readFileSync(join(BOARDS_FOLDER, `${name}.dtb`)));
    /** The same tree from its end to its beginning. */
    const turned = (node: DtNode, parent?: DtNode): DtNode => {
      const children: DtNode[] = [];
      const copy = { ...node, parent, properties: new Map([...node.properties].reverse()), children };
      for (const child of [...node.children].reverse()) children.push(turned(child, copy));
      return copy;
    };
    const digests = (tree: Tree) => {
      const board = new Board(tree);
      return survey(board, { accept: ACCEPT_WORDS })
        .flatMap(({ node }) => {
          const plan = planBundle(board, [node], { accept: ACCEPT_WORDS });
          const bundle = definitionOf(plan, bundleId('bundle'), vmId('owner'));
          return bundle ? [`${node.path} ${Buffer.from(bundleDigest(bundle)).toString('hex')}`] : [];
        })
        .sort();
    };
    const found = digests(new Tree({ root, reservations: [] }));
    if (NOTHING_MOVES[name] === undefined) expect(found.length).toBeGreaterThan(0);
    else expect(found).toEqual([]);
    expect(digests(new Tree({ root: turned(root), reservations: [] }))).toEqual(found);
  });

  it('all devices of all boards that can move are these', async () => {
    const lists = Object.keys(PLANS).map((name) => {
      const found = survey(boardOf(name)).filter(
        (candidate) => candidate.verdict !== 'blocked' || isAcceptable(candidate),
      );
      const lines = surveyLines(found);
      return [`== ${name}`, ...(found.length > 0 ? lines : ['none']), ''].join('\n');
    });
    await expect(lists.join('\n')).toMatchFileSnapshot(join(FIXTURES, 'can-move.txt'));
  });
}
