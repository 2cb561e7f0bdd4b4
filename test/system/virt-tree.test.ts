/**
 * The device tree of the machine of the KVM tests, as QEMU dumps it: read as dtc reads it, and what the planner makes
 * of its PCI functions is what the tests of KVM move. The functions themselves are put in with fdtput, for QEMU
 * leaves them to the firmware.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BundleDefinition, resourcesOf } from '../../src/core/protocol/bundle.ts';
import { readBlob } from '../../src/planner/blob.ts';
import { Board } from '../../src/planner/board.ts';
import { definitionOf } from '../../src/planner/definition.ts';
import { type Plan, planBundle } from '../../src/planner/plan.ts';
import { Tree } from '../../src/planner/tree.ts';
import { MACHINE_OPTIONS, PROCESSORS } from '../../targets/lab/testbed/emulated.ts';
import { ANDROID, ENGINE, SPARE } from '../../targets/lab/testbed/hardware.ts';
import { paced } from '../support/pace.ts';
import { compare } from './dts.ts';

const HOST = '/pcie@10000000';
let folder: string;
const file = () => join(folder, 'virt.dtb');
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-virt-'));
  const machine = `virt,${MACHINE_OPTIONS},dumpdtb=${file()}`;
  execFileSync('qemu-system-aarch64', ['-M', machine, '-net', 'none', ...PROCESSORS.split(' ')], {
    stdio: 'pipe',
    timeout: paced(20_000),
  });
  for (const [slot, base] of [
    [5, 0x1000_0000],
    [6, 0x1010_0000],
  ] as const)
    addFunction(`${HOST}/edu@${slot},0`, slot, base);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A function with one register range and INTA. */
function addFunction(path: string, slot: number, base: number): void {
  const put = (...words: string[]) => execFileSync('fdtput', words);
  const hex = (...cells: number[]) => cells.map((cell) => cell.toString(16));
  const address = slot << 11;
  put('-c', file(), path);
  put('-t', 's', file(), path, 'compatible', 'pci1234,11e8');
  put('-t', 'x', file(), path, 'reg', ...hex(address, 0, 0, 0, 0));
  put('-t', 'x', file(), path, 'assigned-addresses', ...hex(0x8200_0010 + address, 0, base, 0, 0x10_0000));
  put('-t', 'x', file(), path, 'interrupts', '1');
}

function planned(name: string): { readonly plan: Plan; readonly bundle: BundleDefinition } {
  const tree = new Tree(readBlob(readFileSync(file())));
  // The host bridge is the machine's; guests see a platform device.
  const plan = planBundle(new Board(tree), [tree.find(name)!], { accept: ['pciHost'] });
  const made = definitionOf(plan, ENGINE.id, ANDROID);
  if (!made) expect.fail('no definition');
  return { plan, bundle: made };
}

const numbers = (bundle: BundleDefinition) =>
  resourcesOf(bundle).map((resource) => [
    resource.kind,
    resource.physical,
    resource.kind === 'mmio' ? resource.bytes : 0,
  ]);

it('is read as dtc reads it', () => {
  const { differing, compared } = compare(readFileSync(file()));
  expect(differing).toEqual([]);
  expect(compared).toBeGreaterThan(200);
});

it.each([
  ['edu@5,0', ENGINE],
  ['edu@6,0', SPARE],
])('%s: registers, line and stream are those that the tests of KVM move', (name, bundle) => {
  const found = planned(name);
  expect(found.plan.blockers).toEqual([]);
  expect(numbers(found.bundle)).toEqual(numbers(bundle));
  expect(found.plan.accepted).toMatchObject([{ kind: 'pciHost', users: [HOST] }]);
});

it('signals by level at its line, and its stream is at the one SMMU', () => {
  const [, line, stream] = resourcesOf(planned('edu@5,0').bundle);
  expect(line).toMatchObject({ kind: 'interrupt', trigger: 'level' });
  expect(stream).toMatchObject({ kind: 'stream', smmu: 0x0905_0000 });
});

it('what the emulator gives nobody else to use can move, a timer of each processor and the GIC cannot', () => {
  const tree = new Tree(readBlob(readFileSync(file())));
  const board = new Board(tree);
  const kinds = (name: string) => planBundle(board, [tree.find(name)!]).blockers.map(({ kind }) => kind);
  expect(kinds('pl031@9010000')).toEqual([]);
  expect(kinds('timer')).toContain('processorInterrupt');
  expect(kinds('intc@8000000')).toContain('gatekeeper');
});
