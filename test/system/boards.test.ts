/**
 * Device trees, read by us and by Debian's dtc: property by property. One board is ours; those of real boards are
 * data beside the repository (BATON_BOARDS, else ../shared/boards), and where there are none, that is said.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bundleId, vmId } from '../../src/core/protocol/ids.ts';
import { registersOf } from '../../src/planner/addresses.ts';
import { type DtNode, readBlob } from '../../src/planner/blob.ts';
import { ACCEPT_WORDS } from '../../src/planner/blockers.ts';
import { Board } from '../../src/planner/board.ts';
import { definitionOf } from '../../src/planner/definition.ts';
import { diffBoards, diffLines, isSound } from '../../src/planner/diff.ts';
import { gicLine, interruptsOf } from '../../src/planner/interrupts.ts';
import { needsOf } from '../../src/planner/links.ts';
import { type Choices, type Plan, planBundle } from '../../src/planner/plan.ts';
import { streamsOf } from '../../src/planner/streams.ts';
import { Tree } from '../../src/planner/tree.ts';
import { BOARD } from '../planner/board.ts';
import { blobOf } from '../planner/builder.ts';
import { BOARDS_FOLDER } from './boards.ts';
import { compare, listingOf } from './dts.ts';

/**
 * Boards of which nothing moves as it is: without a GIC that Baton drives; with messages for interrupts; with DMA that
 * nothing confines, or that an IOMMU confines which Baton does not know.
 */
const NONE_MOVES: readonly string[] = [
  'am335x-boneblack.dtb',
  'hip07-d05.dtb',
  'mt8195-cherry-tomato-r3.dtb',
  'rk3399-gru-scarlet-inx.dtb',
];

const boards = existsSync(BOARDS_FOLDER)
  ? readdirSync(BOARDS_FOLDER).filter((name) => name.endsWith('.dtb'))
  : [];
if (boards.length === 0) console.warn(`no boards in ${BOARDS_FOLDER}: only our own is compared`);

/** What is wrong with one property is an error here. */
const fail = (error: Error): never => {
  throw error;
};
const treeOf = (board: string) => new Tree(readBlob(readFileSync(join(BOARDS_FOLDER, board))));

it('our own board is read as dtc reads it', () => {
  expect(compare(blobOf(BOARD))).toEqual({ differing: [], nodes: 15, compared: 54 });
});

it.each(['board', 'vault'])('test/fixtures/%s.dtb is what dtc makes of its source', (name) => {
  const fixture = (end: string) => join(import.meta.dirname, '../fixtures', `${name}.${end}`);
  const made = execFileSync('dtc', ['-I', 'dts', '-O', 'dtb', fixture('dts')], { stdio: 'pipe' });
  expect(readFileSync(fixture('dtb')).equals(made)).toBe(true);
  expect(compare(made).differing).toEqual([]);
});

it('a property that differs is found', () => {
  const other = blobOf({ ...BOARD, compatible: 'baton,boarD' });
  const theirs = listingOf(
    execFileSync('dtc', ['-q', '-I', 'dtb', '-O', 'dts'], { input: other, encoding: 'latin1' }),
  );
  expect(theirs.get('/')!.get('compatible')).not.toEqual(
    readBlob(blobOf(BOARD)).root.properties.get('compatible'),
  );
});

if (boards.length > 0) {
  it.each(boards)('%s is read as dtc reads it', (board) => {
    const { differing, nodes, compared } = compare(readFileSync(join(BOARDS_FOLDER, board)));
    console.log(`${board}: ${nodes} nodes, ${compared} properties`);
    expect(differing).toEqual([]);
    expect(compared).toBeGreaterThan(200);
  });

  it.each(boards)('%s: every register, interrupt, reference and stream is understood', (board) => {
    const tree = treeOf(board);
    const complaints: string[] = [];
    const look = (node: DtNode) => {
      for (const read of [
        registersOf,
        (each: DtNode) => interruptsOf(tree, each),
        (each: DtNode) => needsOf(tree, each, fail),
        (each: DtNode) => streamsOf(tree, each),
      ]) {
        try {
          read(node);
        } catch (error) {
          complaints.push((error as Error).message);
        }
      }
    };
    for (const node of tree.nodes()) look(node);
    expect(complaints).toEqual([]);
  });

  it('the OnePlus 6: what is known of it', () => {
    const tree = treeOf('sdm845-oneplus-enchilada.dtb');
    const at = (name: string) => [...tree.nodes()].find((node) => node.name === name)!;
    const lines = (name: string) => interruptsOf(tree, at(name)).map(gicLine);
    expect(lines('i2c@a90000')).toEqual([{ kind: 'spi', number: 0x165 + 32, trigger: 'level' }]);
    expect(registersOf(at('i2c@a90000'))).toMatchObject([{ physical: 0xa9_0000n }]);
    expect(streamsOf(tree, at('geniqup@ac0000'))).toMatchObject([{ id: 0x6c3, mask: 0 }]);
    expect(streamsOf(tree, at('i2c@a90000'))).toEqual([]);
    const display = [...tree.nodes()].find((node) => /^(mdss|display-subsystem)@ae00000$/.test(node.name))!;
    expect(streamsOf(tree, display)).toMatchObject([
      { id: 0x880, mask: 8 },
      { id: 0xc80, mask: 8 },
    ]);
    expect(interruptsOf(tree, display).map(gicLine)).toEqual([
      { kind: 'spi', number: 0x53 + 32, trigger: 'level' },
    ]);
    // The touch controller's line is a pin, not a line of the GIC.
    const touch = at('i2c@a90000').children.find(
      (node) => node.properties.has('interrupts-extended') || node.properties.has('interrupts'),
    )!;
    const [pin] = interruptsOf(tree, touch);
    expect(pin!.controller.name).toMatch(/^pinctrl@/);
    expect(pin!.cells[0]).toBe(125);
  });

  const planOf = (board: string, name: string, choices: Choices = {}) => {
    const tree = treeOf(board);
    return planBundle(new Board(tree), [[...tree.nodes()].find((node) => node.name === name)!], choices);
  };
  const blockersOf = (board: string, name: string) =>
    planOf(board, name).blockers.map(({ kind, node, what, users }) =>
      [
        kind,
        node.split('/').at(-1),
        what.split(' of ')[0],
        ...users.map((user) => user.split('/').at(-1)),
      ].join(' | '),
    );

  it('the OnePlus 6: its touch cannot move as it is, and why', () => {
    expect(blockersOf('sdm845-oneplus-enchilada.dtb', 'synaptics-rmi4-i2c@20')).toEqual([
      'summaryInterrupt | synaptics-rmi4-i2c@20 | its line is <125 2> | codec@1',
      'sharedStream | i2c@a90000 | stream 0x6c3 at iommu@15000000 | serial@a84000 | i2c@a88000',
      'sharedStream | i2c@a90000 | stream 0x6d6 at iommu@15000000 | i2c@a88000',
    ]);
  });

  it('the OnePlus 6: its display can, with these registers, line and streams', () => {
    // But for the display's clock controller, which can choose a clock that the PHY of the bundle makes.
    const [loop] = planOf('sdm845-oneplus-enchilada.dtb', 'mdss@ae00000').blockers;
    expect(loop).toMatchObject({ kind: 'clockLoop', users: ['/soc@0/clock-controller@af00000'] });
    const plan = planOf('sdm845-oneplus-enchilada.dtb', 'mdss@ae00000', { accept: ['clockLoop'] });
    expect(plan.blockers).toEqual([]);
    const made = definitionOf(plan, bundleId('display'), vmId('android'));
    const resources = made ? made.devices.flatMap((device) => device.resources) : [];
    const of = (kind: string) =>
      resources.filter((each) => each.kind === kind).map(({ physical }) => physical);
    expect(of('mmio')).toEqual([0xae0_1000, 0xaeb_0000, 0xae9_4000, 0xae0_0000]);
    expect(of('interrupt')).toEqual([0x53 + 32]);
    expect(of('stream')).toEqual([0x880, 0xc80]);
    expect(resources.flatMap((each) => (each.kind === 'stream' ? [each.mask] : []))).toEqual([8, 8]);
  });

  it('the OnePlus 6: its crypto engine shares every stream with a DMA controller', () => {
    const kinds = blockersOf('sdm845-oneplus-enchilada.dtb', 'crypto@1dfa000');
    expect(kinds).toHaveLength(4);
    for (const kind of kinds) expect(kind).toMatch(/^sharedStream .* \| dma-controller@1dc4000$/);
  });

  it('a tablet with IOMMUs of its maker: its display names them', () => {
    expect(blockersOf('rk3399-gru-scarlet-inx.dtb', 'vop@ff900000').join('\n')).toMatch(
      /unknownIommu \| vop@ff900000 \| its DMA goes through iommu@ff903f00 \(rockchip,iommu\)/,
    );
  });

  it('two boards with one SoC: what the other one cannot move', () => {
    const [old, now] = ['sdm845-db845c.dtb', 'sdm845-oneplus-enchilada.dtb'].map((name) =>
      readFileSync(join(BOARDS_FOLDER, name)),
    );
    const startMs = performance.now();
    const [before, after] = [old!, now!].map((blob) => new Board(new Tree(readBlob(blob))));
    const found = diffBoards(before!, after!);
    const tookMs = performance.now() - startMs;
    console.log(`two revisions: ${diffLines(found).at(-1)} ${tookMs.toFixed(0)} ms`);
    const of = (name: string) => found.find(({ nodes }) => nodes[0]!.endsWith(name));
    expect(found[0]).toMatchObject({ grade: 'worse', before: 'free', after: 'disabled' });
    expect(of('/pci@1c00000')).toMatchObject({ grade: 'worse', before: 'free', after: 'disabled' });
    expect(of('/camss@acb3000')).toMatchObject({ grade: 'worse', after: 'disabled' });
    // Without its two SPI controllers, the serial engine of the OnePlus has its stream for itself.
    expect(of('/serial@898000')).toMatchObject({ grade: 'better', before: 'blocked', after: 'free' });
    expect(of('/mdss@ae00000')).toMatchObject({ grade: 'changed', before: 'blocked', after: 'blocked' });
    expect(of('/synaptics-rmi4-i2c@20')).toMatchObject({ grade: 'new', after: 'blocked' });
    expect(of('/hdmi-bridge@3b')).toMatchObject({ grade: 'gone' });
    expect(isSound(found)).toBe(false);
    for (const name of boards) {
      const board = new Board(treeOf(name));
      expect(diffBoards(board, board).every(({ grade }) => grade === 'same')).toBe(true);
    }
  });

  it.each(boards)('%s: every device has a plan', (board) => {
    const tree = treeOf(board);
    const all = new Board(tree);
    const devices = all.enabled.filter(
      (node) => all.access(node).pages.length > 0 || all.access(node).lines.length > 0,
    );
    const plans = devices.map((node) => planBundle(all, [node]));
    const isFree = ({ blockers }: Plan) => blockers.length === 0;
    const movable = plans.filter(isFree).length;
    const accepted = devices.filter((node) =>
      isFree(planBundle(all, [node], { accept: ACCEPT_WORDS })),
    ).length;
    console.log(
      `${board}: of ${devices.length} devices ${movable} can move as they are, ${accepted} accepted`,
    );
    expect(movable > 0).toBe(!NONE_MOVES.includes(board));
    const hasLine = devices.filter((node) => all.access(node).lines.length > 0);
    // Without a GIC only what signals nothing could.
    if (!all.hasGic) {
      expect(board).toBe('am335x-boneblack.dtb');
      for (const node of hasLine)
        expect(planBundle(all, [node], { accept: ACCEPT_WORDS }).blockers.map(({ kind }) => kind)).toContain(
          'noGic',
        );
    } else expect(accepted).toBeGreaterThan(0);
    expect(accepted).toBeLessThan(devices.length);
    for (const { blockers } of plans)
      for (const { node, what, ways } of blockers) {
        expect(tree.find(node)).toBeDefined();
        expect(what).not.toBe('');
        expect(ways.length).toBeGreaterThan(0);
      }
  });
}
