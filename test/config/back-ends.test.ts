/** What a back end cannot keep is refused when its configuration is read. */

import { describe, expect, it } from 'vitest';
import { backEndComplaints } from '../../src/config/back-ends.ts';
import type { BundleDefinition } from '../../src/core/protocol/bundle.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';

type BackEnd = Parameters<typeof backEndComplaints>[0];

const QMP = { kind: 'qmp', inputs: { panel: 'unix:/in' }, vms: {} } as unknown as BackEnd;
const TOUCH = { kind: 'trusted-touch', lives: { kind: 'fixed', vms: [] } } as unknown as BackEnd;

/** The panel, each device with what these clear. */
const clearedBy = (...by: readonly ('reset' | 'driver')[]): BundleDefinition => ({
  ...PANEL,
  devices: PANEL.devices.map((device) => ({
    ...device,
    residues: by.map((each, index) => ({ what: `residue ${index}`, clearedBy: each })),
  })),
});
const messages = (backEnd: BackEnd, bundle: BundleDefinition) =>
  backEndComplaints(backEnd, [bundle]).map(({ message }) => message);

describe('a back end that resets nothing', () => {
  it.each([
    [['driver'], 0],
    [[], 0],
    [['reset'], 1],
    [['driver', 'reset'], 1],
    [['reset', 'driver'], 1],
  ] as const)('with residues cleared by %j', (by, complaints) => {
    for (const backEnd of [QMP, TOUCH]) {
      const said = messages(backEnd, clearedBy(...by)).filter((message) =>
        message.includes('resets nothing'),
      );
      expect(said).toHaveLength(complaints);
    }
  });
});

describe('qmp', () => {
  it('wants an input for each bundle, and none for another', () => {
    const other = { ...(QMP as object), inputs: { pad: 'unix:/in' } } as unknown as BackEnd;
    expect(messages(other, clearedBy('driver'))).toEqual([
      'no bundle of this name: expected "panel"',
      'none for panel: qmp moves nothing but input events',
    ]);
  });
});

describe('trusted-touch', () => {
  it('moves no DMA, and has the owner keep the supplies on', () => {
    expect(messages(TOUCH, clearedBy('driver'))).toEqual([
      expect.stringContaining('moves no DMA, and panel has touch.stream0'),
    ]);
    const kept: BundleDefinition = { ...clearedBy('driver'), keeper: 'hypervisor' };
    expect(messages(TOUCH, kept).at(-1)).toContain('expected "keeper": "owner"');
  });
});
