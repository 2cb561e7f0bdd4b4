/** A stream with a mask stands for several IDs: all of them are blocked, granted and read back as one. */

import { expect, it } from 'vitest';
import {
  type BundleDefinition,
  overlaps,
  type Resource,
  type StreamResource,
  streamIdsOf,
} from '../../../src/core/protocol/bundle.ts';
import { expectedByDefinition, findResourceMismatch } from '../../../src/core/protocol/evidence.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { entryHalves } from '../../../src/edges/enforcer/smmuv3.ts';
import { decodeEntry, STE_CONFIG } from '../../../src/edges/enforcer/smmuv3-layout.ts';
import type { EnforcerAnswer, EnforcerCall } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { SimulatedMachine } from '../../../targets/lab/machine/machine.ts';

const MASK = 0x6;

/** The panel with a mask at one of its streams. */
const MASKED: BundleDefinition = {
  ...PANEL,
  devices: PANEL.devices.map((device) => ({
    ...device,
    resources: device.resources.map(
      (each): Resource =>
        each.id === 'display.stream0' ? ({ ...each, mask: MASK } as StreamResource) : each,
    ),
  })),
};
const RESOURCES = MASKED.devices.flatMap(({ resources }) => resources);
const STREAM = RESOURCES.find(({ id }) => id === 'display.stream0') as StreamResource;
const FENCE: readonly EnforcerCall[] = [
  ...RESOURCES.map(({ id }): EnforcerCall => ({ op: 'fence', resource: id })),
  { op: 'settle' },
];

function machineOf() {
  const machine = new SimulatedMachine({ vms: [ANDROID, VAULT], bundles: [MASKED], seed: 1 });
  const enforcer = machine.enforcer();
  const run = (calls: readonly EnforcerCall[]): readonly EnforcerAnswer[] => {
    let answers: readonly EnforcerAnswer[] = [];
    enforcer.run(MASKED.id, calls, (given) => {
      answers = given;
    });
    return answers;
  };
  const configOf = (id: number) => decodeEntry(entryHalves(machine.smmu.readEntry(id))).config;
  return { machine, run, configOf };
}

it('stands for each ID that agrees where the mask has 0', () => {
  expect(streamIdsOf({ physical: 0x880, mask: MASK })).toEqual([0x880, 0x882, 0x884, 0x886]);
  expect(streamIdsOf({ physical: 0x880 })).toEqual([0x880]);
});

it.each([ANDROID, VAULT])(
  'is granted to %s with all its IDs, read back as one, and blocked with all',
  (vm) => {
    const { run, configOf } = machineOf();
    const inspect = () => run([{ op: 'inspect', resource: STREAM.id }])[0];
    run(FENCE);
    expect(inspect()).toMatchObject({ ok: true, reach: 'blocked' });
    const [granted] = run([{ op: 'grant', resource: STREAM.id, vm }]);
    expect(granted).toMatchObject({ ok: true });
    expect(streamIdsOf(STREAM).map(configOf)).toEqual(new Array(4).fill(STE_CONFIG.stage2));
    expect(inspect()).toMatchObject({ ok: true, reach: vm });
    run(FENCE);
    expect(streamIdsOf(STREAM).map(configOf)).not.toContain(STE_CONFIG.stage2);
    expect(inspect()).toMatchObject({ ok: true, reach: 'blocked' });
  },
);

it('is unknown when its entries differ: nobody is told to hold half of it', () => {
  const { machine, run } = machineOf();
  run(FENCE);
  run([{ op: 'grant', resource: STREAM.id, vm: VAULT }]);
  machine.smmu.block(0x884);
  expect(run([{ op: 'inspect', resource: STREAM.id }])[0]).toMatchObject({ ok: true, reach: 'unknown' });
});

it('overlaps whatever has one of its IDs, and makes another digest and another grant', () => {
  const at = ({ physical }: Resource) => physical;
  const single = (physical: number): Resource => ({ ...STREAM, physical, mask: undefined });
  expect(overlaps(STREAM, single(0x884), at)).toBe(true);
  expect(overlaps(single(0x886), STREAM, at)).toBe(true);
  expect(overlaps(STREAM, single(0x881), at)).toBe(false);
  expect(bundleDigest(MASKED)).not.toEqual(bundleDigest(PANEL));
  const [plain, masked] = [PANEL, MASKED].map((bundle) => expectedByDefinition(bundle, VAULT));
  expect(findResourceMismatch(masked!, plain!)).toBe('display.stream0 mask none, expected 6');
  expect(findResourceMismatch(masked!, masked!)).toBeUndefined();
});
