/** The GIC emitter against our model of the distributor and list registers. */

import { describe, expect, it } from 'vitest';
import type { MachineBus, ProcessorPort } from '../../../src/edges/enforcer/bus.ts';
import { DISTRIBUTOR, Gic } from '../../../src/edges/enforcer/gic.ts';
import { GicModel, LIST_REGISTERS } from '../../../targets/lab/machine/interrupts.ts';
import type { Random } from '../../../targets/lab/machine/random.ts';
import { EAGER, LAZY } from './rig.ts';

const SPI = 389;

function bench(random: Random) {
  const delivered: string[] = [];
  const written: number[] = [];
  const model: GicModel = new GicModel(random, {
    taken: (interrupt, processor) => gic.inject(interrupt, processor),
    deliver: (processor, virtual) => {
      delivered.push(`${processor}:${virtual}`);
      return true;
    },
    reachChanged: () => {},
    listChanged: () => {},
  });
  const bus: MachineBus = {
    read32: (address) => model.read(address),
    write32: (address, value) => {
      written.push(address);
      model.write(address, value);
    },
    write64: (address, low, high) => {
      model.write(address, low);
      model.write(address + 4, high);
    },
    poll: () => model.step(),
  };
  const processors: ProcessorPort = {
    invalidateStage2: () => {},
    listRegisters: LIST_REGISTERS,
    readListRegister: (processor, index) => model.readList(processor, index),
    writeListRegister: (processor, index, low, high) => model.writeList(processor, index, low, high),
  };
  const gic = new Gic(bus, processors, 0);
  gic.start();
  return { gic, model, delivered, written };
}

describe('GIC', () => {
  it('routes, unmasks and delivers an edge once', () => {
    const { gic, model, delivered } = bench(EAGER);
    gic.route(SPI, { processor: 1, virtual: 77 }, 'edge');
    gic.unmask(SPI);
    model.pulse(SPI);
    model.step();
    expect(gic.state(SPI)).toEqual({ enabled: true, pending: false, active: true, edge: true, processor: 1 });
    model.endOfInterrupt(1, 77);
    model.step();
    expect(delivered).toEqual(['1:77']);
    expect(gic.state(SPI).active).toBe(false);
  });

  it('delivers a level again until the line falls', () => {
    const { gic, model, delivered } = bench(EAGER);
    gic.route(SPI, { processor: 0, virtual: 40 }, 'level');
    gic.unmask(SPI);
    model.setLevel(SPI, true);
    model.step();
    model.endOfInterrupt(0, 40);
    model.step();
    model.setLevel(SPI, false);
    model.endOfInterrupt(0, 40);
    model.step();
    expect(delivered).toEqual(['0:40', '0:40']);
  });

  it('gives what was left pending to the next holder, unless it is cleared', () => {
    for (const isCleared of [false, true]) {
      const { gic, model, delivered } = bench(EAGER);
      gic.route(SPI, { processor: 0, virtual: 40 }, 'edge');
      gic.mask(SPI);
      gic.settle();
      model.pulse(SPI);
      gic.route(SPI, { processor: 1, virtual: 77 }, 'edge');
      if (isCleared) gic.clear(SPI);
      gic.unmask(SPI);
      model.step();
      expect(delivered).toEqual(isCleared ? [] : ['1:77']);
    }
  });

  it('may take a masked interrupt until the write is complete, and withdraws it then', () => {
    let completes = 0;
    const { gic, model, delivered } = bench((bound) => (bound === 4 ? 1 : completes));
    gic.route(SPI, { processor: 0, virtual: 40 }, 'edge');
    gic.unmask(SPI);
    model.pulse(SPI);
    gic.mask(SPI);
    model.step();
    expect(delivered).toEqual(['0:40']);
    completes = 1;
    gic.settle();
    gic.withdraw(SPI, 0);
    gic.clear(SPI);
    expect(gic.state(SPI)).toMatchObject({ enabled: false, pending: false, active: false });
    // The old holder's late end of interrupt finds no list register and changes nothing for the next.
    model.endOfInterrupt(0, 40);
    expect(gic.state(SPI).active).toBe(false);
  });

  it('refuses to route an enabled interrupt', () => {
    const { gic } = bench(EAGER);
    gic.unmask(SPI);
    expect(() => gic.route(SPI, { processor: 0, virtual: 40 }, 'edge')).toThrow(
      'mask it before it is routed',
    );
  });

  it('keeps an interrupt pending while all list registers are in use', () => {
    const { gic, model, delivered } = bench(EAGER);
    for (let n = 0; n <= LIST_REGISTERS; n++) {
      gic.route(100 + n, { processor: 0, virtual: 100 + n }, 'edge');
      gic.unmask(100 + n);
      model.pulse(100 + n);
    }
    model.step();
    expect(delivered).toHaveLength(LIST_REGISTERS);
    expect(gic.state(100 + LIST_REGISTERS).pending).toBe(true);
    model.endOfInterrupt(0, 100);
    model.step();
    expect(delivered).toHaveLength(LIST_REGISTERS + 1);
  });

  it('gives up on a write that never completes, after a bounded number of polls', () => {
    const { gic } = bench(LAZY);
    gic.unmask(SPI);
    gic.mask(SPI);
    expect(() => gic.settle()).toThrow('GIC: writes still pending');
  });

  it('clears active, then pending: deactivated, a line may become pending again', () => {
    const { gic, written } = bench(LAZY);
    written.length = 0;
    gic.clear(SPI);
    const word = Math.floor(SPI / 32) * 4;
    expect(written).toEqual([DISTRIBUTOR.ICACTIVER + word, DISTRIBUTOR.ICPENDR + word]);
  });

  it('withdraws one interrupt, and leaves the others where they are', () => {
    const { gic, model } = bench(LAZY);
    for (const interrupt of [SPI, SPI + 1]) {
      gic.route(interrupt, { processor: 1, virtual: interrupt }, 'edge');
      expect(gic.inject(interrupt, 1)).toBe(true);
    }
    gic.withdraw(SPI, 1);
    expect(model.readList(1, 0)).toEqual([0, 0]);
    expect(model.readList(1, 1)[0]).toBe(SPI + 1);
  });
});
