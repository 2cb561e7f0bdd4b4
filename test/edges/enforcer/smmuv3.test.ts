/** The SMMUv3 emitter and our model of the hardware against each other: queues, errors, caches, order. */

import { describe, expect, it } from 'vitest';
import { POLLS_MAX } from '../../../src/edges/enforcer/smmuv3.ts';
import {
  cfgiSte,
  GBPA_ABORT,
  REGISTER,
  stage2Entry,
  tlbiPage,
  tlbiVmid,
} from '../../../src/edges/enforcer/smmuv3-layout.ts';
import { seededRandom } from '../../../targets/lab/machine/random.ts';
import { EAGER, LAZY, Rig } from './rig.ts';

const IPA = 0x0800_0000;
const PAGE_A = 0x4011_0000;
const PAGE_B = 0x4012_0000;
const SEEDS = 200;

/** Gives a stream the tables of a VMID, by the whole sequence. */
function give(rig: Rig, stream: number, vmid: number, root: number): void {
  rig.emitter.block(stream);
  rig.emitter.push(cfgiSte(stream));
  rig.emitter.sync();
  rig.emitter.prepare(stream, stage2Entry(vmid, root));
  rig.emitter.sync();
  rig.emitter.enable(stream, stage2Entry(vmid, root));
  rig.emitter.sync();
}

describe('start', () => {
  it('aborts what comes before the SMMU runs', () => {
    const rig = new Rig(LAZY);
    expect(rig.smmu.read(REGISTER.GBPA) & GBPA_ABORT).toBe(GBPA_ABORT);
    rig.smmu.write(REGISTER.CR0, 0);
    expect(rig.smmu.translate(8, IPA, false)).toEqual({ ok: false });
  });
});

describe('stream table', () => {
  it.each(['linear', 'two-level'] as const)(
    '%s: a granted stream translates, others are recorded',
    (format) => {
      const rig = new Rig(LAZY, { format, streamBits: format === 'linear' ? 8 : 16 }, [8, 0x880]);
      const stream = format === 'linear' ? 8 : 0x880;
      give(rig, stream, 1, rig.tables(IPA, PAGE_A).root);

      expect(rig.smmu.translate(stream, IPA + 4, true)).toEqual({ ok: true, physical: PAGE_A + 4, vmid: 1 });
      expect(rig.smmu.translate(stream, IPA + 0x1000, true)).toEqual({ ok: false });
      expect(rig.smmu.translate(9, IPA, false)).toEqual({ ok: false });
      expect(rig.smmu.translate(0xf00, IPA, false)).toEqual({ ok: false });
      expect(rig.emitter.drainEvents(10).events.map(({ event, stream: sid }) => [event, sid])).toEqual([
        ['F_TRANSLATION', stream],
        ['C_BAD_STE', 9],
        ['C_BAD_STREAMID', 0xf00],
      ]);
    },
  );

  it('an entry that is valid is not overwritten', () => {
    const rig = new Rig(LAZY);
    const { root } = rig.tables(IPA, PAGE_A);
    give(rig, 8, 1, root);
    expect(() => rig.emitter.prepare(8, stage2Entry(2, root))).toThrow('entry is valid, block it first');
  });

  it('a stream outside the table is refused by name', () => {
    const rig = new Rig(LAZY);
    expect(() => rig.emitter.block(0x100)).toThrow('stream 0x100 is not in the stream table');
  });
});

describe('command queue', () => {
  it('wraps many times and every sync is consumed', () => {
    const rig = new Rig(seededRandom(1));
    const before = rig.syncs;
    for (let round = 0; round < 100; round++) {
      rig.emitter.push(tlbiVmid(round));
      rig.emitter.sync();
    }
    expect(rig.syncs - before).toBe(100);
  });

  it('waits for room when it is full, and loses nothing', () => {
    const rig = new Rig(LAZY); // 8 commands
    const stage2 = rig.tables(IPA, PAGE_A);
    give(rig, 8, 1, stage2.root);
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(true);
    stage2.unmap(IPA, PAGE_A, 4096);
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(true);
    // The first of them alone is about what is cached.
    for (let n = 1; n <= 20; n++) rig.emitter.push(tlbiVmid(n));
    rig.emitter.sync();
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(false);
  });

  it('gives up on hardware that does not answer, after a bounded number of polls', () => {
    const rig = new Rig(LAZY);
    rig.isAlive = false;
    expect(() => rig.emitter.sync()).toThrow(`no CMD_SYNC within ${POLLS_MAX} polls`);
  });

  it('names an illegal command, acknowledges the error and goes on', () => {
    const rig = new Rig(LAZY);
    rig.emitter.push([0xff, 0, 0, 0]);
    expect(() => rig.emitter.sync()).toThrow('SMMU command queue halted: CERROR_ILL at command 0xff');
    const before = rig.syncs;
    rig.emitter.sync();
    // The illegal command became a CMD_SYNC; then the failed batch's own, then this one's.
    expect(rig.syncs - before).toBe(3);
  });
});

describe('event queue', () => {
  it('reports an overflow once, and again after the next', () => {
    const rig = new Rig(LAZY); // 4 events
    for (let n = 0; n < 6; n++) rig.smmu.translate(8, n * 16, true);
    const first = rig.emitter.drainEvents(10);
    expect([first.events.length, first.lost]).toEqual([4, true]);
    expect(rig.emitter.drainEvents(10)).toEqual({ events: [], lost: false });
    for (let n = 0; n < 5; n++) rig.smmu.translate(8, n * 16, true);
    expect(rig.emitter.drainEvents(10).lost).toBe(true);
  });

  it('is drained in pieces across its wrap', () => {
    const rig = new Rig(LAZY);
    give(rig, 8, 1, rig.tables(IPA, PAGE_A).root);
    const seen: number[] = [];
    for (let n = 0; n < 10; n++) {
      rig.smmu.translate(8, n * 16, true);
      seen.push(...rig.emitter.drainEvents(1).events.map(({ address }) => address / 16));
    }
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
});

describe('caches', () => {
  it('a configuration stays in force until CFGI', () => {
    const rig = new Rig(LAZY);
    give(rig, 8, 1, rig.tables(IPA, PAGE_A).root);
    rig.smmu.translate(8, IPA, false);
    rig.emitter.block(8);
    rig.emitter.sync();
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(true);
    rig.emitter.push(cfgiSte(8));
    rig.emitter.sync();
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(false);
  });

  it('an invalid entry is cached too', () => {
    const rig = new Rig(LAZY);
    rig.smmu.translate(8, IPA, false);
    const { root } = rig.tables(IPA, PAGE_A);
    const address = rig.emitter.entryAddress(8);
    stage2Entry(1, root).forEach((half, index) => {
      rig.bus.write32(address + index * 4, half);
    });
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(false);
    rig.emitter.push(cfgiSte(8));
    rig.emitter.sync();
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(true);
  });

  it.each([
    ['by VMID', tlbiVmid(1)],
    ['by page', tlbiPage(1, IPA)],
  ])('a translation stays until TLBI %s', (_, command) => {
    const rig = new Rig(LAZY);
    const stage2 = rig.tables(IPA, PAGE_A);
    give(rig, 8, 1, stage2.root);
    rig.smmu.translate(8, IPA, false);
    stage2.unmap(IPA, PAGE_A, 4096);
    rig.emitter.sync();
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(true);
    rig.emitter.push(command);
    rig.emitter.sync();
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(false);
  });

  it('TLBI of another VMID or page changes nothing', () => {
    const rig = new Rig(LAZY);
    const stage2 = rig.tables(IPA, PAGE_A);
    give(rig, 8, 1, stage2.root);
    rig.smmu.translate(8, IPA, false);
    stage2.unmap(IPA, PAGE_A, 4096);
    rig.emitter.push(tlbiVmid(2));
    rig.emitter.push(tlbiPage(1, IPA + 0x1000));
    rig.emitter.sync();
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(true);
  });

  it('hardware that forgets at once hides a missing CFGI: eager is not adversarial', () => {
    const rig = new Rig(EAGER);
    give(rig, 8, 1, rig.tables(IPA, PAGE_A).root);
    rig.smmu.translate(8, IPA, false);
    rig.emitter.block(8);
    expect(rig.smmu.translate(8, IPA, false).ok).toBe(false);
  });
});

describe('order', () => {
  /** Blocks a stream in use and asks at once whether it still translates. */
  function passesAfterBlock(seed: number, isSynced: boolean): boolean {
    const rig = new Rig(seededRandom(seed));
    give(rig, 8, 1, rig.tables(IPA, PAGE_A).root);
    rig.smmu.translate(8, IPA, false);
    rig.emitter.block(8);
    rig.emitter.push(cfgiSte(8));
    if (isSynced) rig.emitter.sync();
    else rig.emitter.ringOnly();
    return rig.smmu.translate(8, IPA, false).ok;
  }

  it('a missing CMD_SYNC is found by some seeds and not by others', () => {
    console.log(`missing CMD_SYNC: seeds 0 to ${SEEDS - 1}`);
    let passed = 0;
    for (let seed = 0; seed < SEEDS; seed++) passed += Number(passesAfterBlock(seed, false));
    // About half: commands act at once or at the CMD_SYNC that never came.
    expect(passed).toBeGreaterThan(SEEDS / 4);
    expect(passed).toBeLessThan((SEEDS * 3) / 4);
  });

  it('with CMD_SYNC a blocked stream passes at no seed', () => {
    console.log(`with CMD_SYNC: seeds 0 to ${SEEDS - 1}`);
    for (let seed = 0; seed < SEEDS; seed++) expect(passesAfterBlock(seed, true), `seed ${seed}`).toBe(false);
  });

  it('a stream moves from one VM to another by the breaking sequence', () => {
    const rig = new Rig(seededRandom(3));
    give(rig, 8, 1, rig.tables(IPA, PAGE_A).root);
    expect(rig.smmu.translate(8, IPA, true)).toMatchObject({ physical: PAGE_A, vmid: 1 });
    give(rig, 8, 2, rig.tables(IPA, PAGE_B).root);
    expect(rig.smmu.translate(8, IPA, true)).toMatchObject({ physical: PAGE_B, vmid: 2 });
  });
});
