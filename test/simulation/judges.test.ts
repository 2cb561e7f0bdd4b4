/**
 * The checker as judge, each rule with its negative control: what is mapped and how, entries, caches, promises that
 * nobody reaches something, memory that is used again.
 */

import { describe, expect, it } from 'vitest';
import type { MachineBus } from '../../src/edges/enforcer/bus.ts';
import { OPCODE, stage2Entry } from '../../src/edges/enforcer/smmuv3-layout.ts';
import { type PageKind, pageDescriptor, Stage2, tablePool } from '../../src/edges/enforcer/stage2.ts';
import { ANDROID, ENGINE_BASE, ENGINE_STREAM, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { Checker } from '../../targets/lab/machine/checker.ts';
import { SimulatedMachine } from '../../targets/lab/machine/machine.ts';
import { Memory } from '../../targets/lab/machine/memory.ts';
import { attributeFault } from '../../targets/lab/machine/rules.ts';
import type { VmInstance } from '../../targets/lab/machine/vm.ts';
import { announce, ENGINE, fence, Guest, grant, machineOf, remap, run, seenAt } from './support.ts';

const TOUCH = 0x0a90_0000;
const RAM = 0x4000_0000;
const TABLES = 0x8020_0000;
const SEEDS = 20;

/** One VM's tables under the checker's eyes, without a machine. */
function bare() {
  const memory = new Memory(0x8000_0000, (address) => checker.memoryWritten(address, () => undefined));
  const checker: Checker = new Checker(memory, [PANEL], [ENGINE_STREAM], [ENGINE_BASE]);
  const bus: MachineBus = {
    read32: (address) => memory.read32(address),
    write32: (address, value) => memory.write32(address, value),
    write64: (address, low, high) => memory.write64(address, low, high),
    poll: () => {},
  };
  const stage2 = new Stage2(bus, tablePool(bus, TABLES, 0x1_0000));
  const vm: VmInstance = {
    vm: ANDROID,
    processor: 0,
    vmid: 1,
    stage2,
    serial: 1,
    ramPhysical: RAM,
    state: 'running',
  };
  checker.vmBegins(vm);
  const found = () => checker.violations.map(({ invariant, text }) => `${invariant} ${text}`);
  return { memory, checker, stage2, vm, found };
}

describe('what is mapped', () => {
  it('registers of a bundle, RAM of the VM and its engine are allowed, each as what it is', () => {
    const { stage2, found } = bare();
    stage2.map(TOUCH, TOUCH, 0x1000, 'device');
    stage2.map(RAM, RAM, 0x4000, 'memory');
    stage2.map(ENGINE_BASE, ENGINE_BASE, 0x1000, 'device');
    expect(found()).toEqual([]);
  });

  it.each([
    ['registers as normal memory', TOUCH, 'memory', 'mapping touch.mmio0: registers as normal memory'],
    ['the engine as normal memory', ENGINE_BASE, 'memory', 'mapping page 0xa940000: registers as normal'],
    ['RAM as device memory', RAM, 'device', 'mapping page 0x40000000: RAM as device memory'],
    ['RAM of another VM', RAM + 0x10_0000, 'memory', 'S1 page 0x40100000: of no bundle and not its own'],
    ['the RAM behind its own', RAM + 0x4_0000, 'memory', 'S1 page 0x40040000: of no bundle'],
    ['the SMMU itself', 0x0905_0000, 'device', 'S1 page 0x9050000: of no bundle and not its own'],
    ['its own tables', TABLES, 'memory', 'S1 page 0x80200000: of no bundle and not its own'],
  ])('%s is found', (_, physical, kind, text) => {
    const { stage2, found } = bare();
    stage2.map(TOUCH, physical, 0x1000, kind as PageKind);
    expect(found()).toEqual([expect.stringContaining(text)]);
  });

  it('a block in place of a table is found', () => {
    const { memory, stage2, found } = bare();
    memory.write64(stage2.root, 0x4000_0000 | 0x401, 0);
    expect(found()).toEqual([expect.stringContaining('a block of level 1 is mapped for android#1')]);
  });

  it.each([
    ['AF clear', -1 ^ (1 << 10), 0, 'access flag clear'],
    ['read-only', -1 ^ (1 << 7), 0, 'not for reading and writing'],
    ['executable', -1, 1 << 22, 'registers executable'],
  ])('attributes of registers: %s', (_, mask, clearHigh, text) => {
    const [low, high] = pageDescriptor(TOUCH, 'device');
    expect(attributeFault(low, high, 'device')).toBeUndefined();
    expect(attributeFault(low & mask, high & ~clearHigh, 'device')).toContain(text);
  });

  it.each([
    ['not cached', 0x1 << 2, 'RAM as device memory'],
    ['write-through', 0xa << 2, 'RAM not write-back'],
  ])('attributes of RAM: %s', (_, attribute, text) => {
    const [low, high] = pageDescriptor(RAM, 'memory');
    expect(attributeFault(low, high, 'memory')).toBeUndefined();
    expect(attributeFault((low & ~(0xf << 2)) | attribute, high, 'memory')).toContain(text);
    expect(attributeFault(low & ~(3 << 8), high, 'memory')).toContain('not inner shareable');
  });
});

describe('what no bundle has', () => {
  it('an interrupt that is let through is found', () => {
    const { checker, found } = bare();
    checker.interruptReach(50, undefined);
    expect(found()).toEqual([]);
    checker.interruptReach(50, 0);
    expect(found()).toEqual(['S1 interrupt 50: of no bundle, and let through to android#1']);
  });

  it('an entry with tables or a VMID of nobody is found', () => {
    const machine = machineOf(1);
    const stream = 0x880;
    machine.smmu.prepare(stream, stage2Entry(7, 0x9000_0000));
    machine.smmu.sync();
    expect(machine.checker.violations).toEqual([]);
    machine.smmu.enable(stream, stage2Entry(7, 0x9000_0000));
    expect(machine.checker.violations).toMatchObject([
      { invariant: 'S1', text: expect.stringContaining('tables or VMID of nobody') },
    ]);
  });

  it('an entry that stalls, or whose faults leave no record, is found', () => {
    const machine = machineOf(1);
    remap(machine.enforcer(), VAULT);
    const entry = stage2Entry(2, TABLES + 0x10_0000);
    entry[5] = entry[5]! & ~(1 << 26);
    run(machine.enforcer(), fence());
    machine.smmu.prepare(0x880, entry);
    machine.smmu.sync();
    machine.smmu.enable(0x880, entry);
    expect(machine.checker.violations).toContainEqual(
      expect.objectContaining({ invariant: 'mapping', text: expect.stringContaining('leave no record') }),
    );
  });
});

describe('entries', () => {
  it('a grant through the product syncs words 1 to 7 before word 0', () => {
    const machine = machineOf(1);
    remap(machine.enforcer(), VAULT);
    remap(machine.enforcer(), ANDROID);
    expect(machine.checker.violations).toEqual([]);
  });

  it('word 0 written before the others are synced is found', () => {
    const machine = machineOf(1);
    const entry = stage2Entry(1, TABLES);
    machine.smmu.prepare(0x880, entry);
    machine.smmu.enable(0x880, entry);
    expect(machine.checker.violations).toMatchObject([
      { invariant: 'S1', text: 'display.stream0: entry made valid before its words are synced ' },
    ]);
  });
});

/** Android holds the panel and uses all of it, by its own processor, its devices and its engine: caches are full. */
function warm(seed: number) {
  const machine = machineOf(seed);
  const enforcer = machine.enforcer();
  remap(enforcer, ANDROID);
  const android = new Guest(machine, ANDROID);
  android.run(android.display.resume());
  android.run(android.touch.resume());
  for (let n = 0; n < 4; n++) machine.touch(n, n, true);
  const { context } = android;
  context.ramWrite(0x4000_1000, 0);
  context.mmioWrite(ENGINE.SOURCE, 0x4000_1000);
  context.mmioWrite(ENGINE.TARGET, seenAt(ANDROID, 'display.mmio0') + 0x100);
  context.mmioWrite(ENGINE.GO, 1);
  machine.tick(150);
  return { machine, enforcer };
}

describe('caches at the take-over', () => {
  const stale = (seed = 1) =>
    new SimulatedMachine({ vms: [ANDROID, VAULT], bundles: [PANEL], seed, staleCaches: true });

  it('an SMMU that comes up with old caches is invalidated before it translates', () => {
    expect(stale().checker.violations).toEqual([]);
  });

  it('one that translates with old caches is found', () => {
    const { checker, found } = bare();
    checker.smmuEnabled(0, 0);
    expect(found()).toEqual([]);
    checker.smmuEnabled(3, 17);
    expect(found()).toEqual([
      'S1 SMMU: enabled with 3 configurations from before ',
      'S1 SMMU: enabled with 17 translations from before ',
    ]);
  });

  /** A service that died after its writes and before its syncs; all caches are warm. */
  function died(seed: number) {
    const { machine, enforcer } = warm(seed);
    run(
      enforcer,
      fence().filter(({ op }) => op === 'fence'),
    );
    return machine;
  }

  it('a service that takes over from one that died before its sync forgets what is cached', () => {
    announce('take-over', 0, SEEDS);
    let wasCached = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      const machine = died(seed);
      wasCached += Number(machine.checker.reaching(PANEL.id, 'display.mmio0').length > 0);
      machine.enforcer();
      expect(machine.checker.reaching(PANEL.id, 'display.mmio0'), `seed ${seed}`).toEqual([]);
      expect(machine.checker.violations, `seed ${seed}`).toEqual([]);
    }
    expect(wasCached).toBeGreaterThan(SEEDS / 2);
  });

  it('one that did not would be found', () => {
    const machine = died(1);
    expect(machine.checker.violations).toEqual([]);
    machine.checker.takenOver();
    expect(machine.checker.violations.map(({ text }) => text)).toContainEqual(
      expect.stringMatching(/TLB .*: stale after the take-over, reached by android#1/),
    );
  });
});

describe('promises that nobody reaches a bundle', () => {
  it('hold from fence to grant, and are broken by any path', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    remap(enforcer, VAULT);
    expect(machine.checker.holders(PANEL.id)).toEqual(['vault#2']);
    expect(machine.checker.reachedBy(VAULT)).toContain('touch.mmio0');
    run(enforcer, fence());
    expect(machine.checker.holders(PANEL.id)).toEqual([]);
    expect(machine.checker.reachedBy(VAULT)).toEqual([]);
    const entry = stage2Entry(2, TABLES + 0x10_0000);
    machine.smmu.prepare(0x880, entry);
    machine.smmu.sync();
    machine.smmu.enable(0x880, entry);
    expect(machine.checker.violations[0]).toMatchObject({
      invariant: 'S7',
      text: 'display.stream0: settled, and reached by vault#2',
    });
  });

  it('are taken back by the next grant', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    run(enforcer, fence());
    run(enforcer, grant(VAULT));
    machine.checker.claim(PANEL.id, undefined);
    expect(machine.checker.violations).toEqual([]);
    machine.checker.claim(PANEL.id, 'parked');
    expect(machine.checker.violations.map(({ text }) => text)).toContain(
      'touch.mmio0: parked, and reached by vault#2',
    );
  });

  it('a settle that failed promises nothing, and its repetition does all of it again', () => {
    announce('failed settle', 0, SEEDS);
    for (const opcode of [OPCODE.CFGI_STE, OPCODE.TLBI_S12_VMALL]) {
      let wasCached = 0;
      for (let seed = 0; seed < SEEDS; seed++) {
        const { machine, enforcer } = warm(seed);
        machine.failCommand(opcode);
        expect(() => run(enforcer, fence()), `seed ${seed}`).toThrow('halted');
        wasCached += Number(machine.checker.holders(PANEL.id).length > 0);
        run(enforcer, fence().slice(-1));
        expect(machine.checker.violations, `seed ${seed}`).toEqual([]);
        expect(machine.checker.holders(PANEL.id), `seed ${seed}`).toEqual([]);
      }
      expect(wasCached, `opcode ${opcode}`).toBeGreaterThan(0);
    }
  });
});

describe('the end of a VM', () => {
  it('acknowledged while a bundle is in its reach is found at once', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    enforcer.onEvent(() => {});
    remap(enforcer, VAULT);
    machine.exitVm(VAULT);
    expect(machine.checker.violations).toEqual([]);
    enforcer.acknowledgeExit(VAULT);
    const texts = machine.checker.violations.map(({ invariant, text }) => `${invariant} ${text}`);
    expect(texts).toContain('S7 touch.mmio0: exit acknowledged, and reached by vault#2');
    expect(texts).toContain('S1 touch.mmio0: memory freed while in reach of vault#2');
  });

  it('memory and VMID that are used again are cached nowhere', () => {
    const { checker, vm, found } = bare();
    const entry = { vmid: 1, ipaPage: 5, physicalPage: RAM / 4096, pages: 1, readable: true, writable: true };
    checker.tlbChanged('smmu', entry, true);
    checker.tlbChanged('smmu', entry, false);
    checker.vmEnds(vm);
    expect(found()).toEqual([]);
    checker.tlbChanged('smmu', entry, true);
    checker.vmEnds(vm);
    expect(found()).toEqual(['S1 memory: smmu TLB 1 5: cached under the VMID of android#1']);
  });

  it('a grant to a VM that has exited is refused, and would be found', () => {
    const machine = machineOf(1);
    const enforcer = machine.enforcer();
    enforcer.onEvent(() => {});
    machine.exitVm(VAULT);
    expect(() => run(enforcer, grant(VAULT))).toThrow('VM vault is not running');
    expect(machine.checker.violations).toEqual([]);
    const { checker, stage2, vm, found } = bare();
    checker.vmBegins(Object.assign(vm, { state: 'exited' as const }));
    stage2.map(TOUCH, TOUCH, 0x1000, 'device');
    expect(found()).toEqual(['S7 touch.mmio0: VM ended, and reached by android#1']);
  });
});
