/** What an enforcer cannot keep is refused when its configuration is read. */

import { describe, expect, it } from 'vitest';
import type { BundleDefinition } from '../../src/core/protocol/bundle.ts';
import { type EnforcerConfig, enforcerKindOf } from '../../src/edges/enforcer/kinds.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';

const QMP = { kind: 'qmp', inputs: { panel: 'unix:/in' }, vms: {} } as unknown as EnforcerConfig;
const TOUCH = {
  kind: 'trusted-touch',
  incarnations: { kind: 'fixed', vms: [] },
} as unknown as EnforcerConfig;

/** The panel, each device with what these clear. */
const clearedBy = (...by: readonly ('reset' | 'driver')[]): BundleDefinition => ({
  ...PANEL,
  devices: PANEL.devices.map((device) => ({
    ...device,
    residualStates: by.map((each, index) => ({ what: `residualState ${index}`, clearedBy: each })),
  })),
});
const messages = (enforcer: EnforcerConfig, bundle: BundleDefinition) =>
  enforcerKindOf(enforcer).complaints!(enforcer, [bundle]).map(({ message }) => message);

describe('an enforcer that resets nothing', () => {
  it.each([
    [['driver'], 0],
    [[], 0],
    [['reset'], 1],
    [['driver', 'reset'], 1],
    [['reset', 'driver'], 1],
  ] as const)('with residual states cleared by %j', (by, complaints) => {
    for (const enforcer of [QMP, TOUCH]) {
      const said = messages(enforcer, clearedBy(...by)).filter((message) =>
        message.includes('resets nothing'),
      );
      expect(said).toHaveLength(complaints);
    }
  });
});

describe('qmp', () => {
  it('wants an input for each bundle, and none for another', () => {
    const other = { ...(QMP as object), inputs: { pad: 'unix:/in' } } as unknown as EnforcerConfig;
    expect(messages(other, clearedBy('driver'))).toEqual([
      'no bundle of this name: expected "panel"',
      'no address for panel: qmp moves nothing but input events',
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
