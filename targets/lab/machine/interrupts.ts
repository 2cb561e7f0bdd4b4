/**
 * The GIC of the simulated machine: distributor state of SPIs, list registers of each processor, delivery.
 *
 * Register layout as in edges/enforcer/gic.ts. Adversarial where the architecture allows it: a masked interrupt may
 * still be taken until RWP reads 0; a virtual interrupt may sit in a list register for a while. An interrupt left
 * pending is delivered to whoever it is routed to when it is unmasked.
 */

import { CTLR_RWP, DISTRIBUTOR, LR_HIGH, SPI_FIRST, SPI_LAST } from '../../../src/edges/enforcer/gic.ts';
import type { Random } from './random.ts';

/** Bytes of the distributor's registers. */
export const GIC_BYTES = 0x1_0000;
/** List registers of a processor; the architecture allows 1 to 16. */
export const LIST_REGISTERS = 4;

/** What the GIC asks of the rest of the machine. */
export interface GicHost {
  /** A processor takes a physical interrupt: the hypervisor's handler. False: no room, stays pending. */
  taken(interrupt: number, processor: number): boolean;
  /** A virtual CPU takes a virtual interrupt. False: it takes none now. */
  deliver(processor: number, virtual: number): boolean;
  /** Enable state, target or list registers changed: who can be reached by `interrupt` may have. */
  reachChanged(interrupt: number): void;
  /** A list register changed. `physical` is undefined when it became free. */
  listChanged(processor: number, index: number, physical: number | undefined): void;
}

interface Line {
  enabled: boolean;
  /** Disabled by software, not yet everywhere (RWP). */
  lingering: boolean;
  /** Pending latch: an edge seen, or set by software. */
  latched: boolean;
  active: boolean;
  edge: boolean;
  /** Level of the wire. */
  high: boolean;
  processor: number;
}

export class GicModel {
  readonly #random: Random;
  readonly #host: GicHost;
  readonly #lines = new Map<number, Line>();
  readonly #lists = new Map<number, Uint32Array>();
  #control = 0;

  constructor(random: Random, host: GicHost) {
    this.#random = random;
    this.#host = host;
  }

  /** Reads a distributor register by its offset in bytes. */
  read(offset: number): number {
    if (offset === DISTRIBUTOR.CTLR) {
      const isPending = [...this.#lines.values()].some(({ lingering }) => lingering);
      return (this.#control | (isPending ? CTLR_RWP : 0)) >>> 0;
    }
    if (offset >= DISTRIBUTOR.IROUTER) return this.#line((offset - DISTRIBUTOR.IROUTER) >>> 3).processor;
    if (offset >= DISTRIBUTOR.ICFGR) {
      return this.#collect(offset - DISTRIBUTOR.ICFGR, 2, ({ edge }) => (edge ? 2 : 0));
    }
    const register = offset & ~0x7f;
    const flag = FLAGS[register];
    return flag === undefined ? 0 : this.#collect(offset - register, 1, (line) => Number(flag(line)));
  }

  /** Writes a distributor register by its offset in bytes. */
  write(offset: number, value: number): void {
    if (offset === DISTRIBUTOR.CTLR) this.#control = value & 0x7fff_ffff;
    else if (offset >= DISTRIBUTOR.IROUTER) this.#target(offset - DISTRIBUTOR.IROUTER, value);
    else if (offset >= DISTRIBUTOR.ICFGR) this.#configure(offset - DISTRIBUTOR.ICFGR, value);
    else this.#setFlags(offset & ~0x7f, (offset & 0x7f) * 8, value);
  }

  /** Drives a level line. */
  setLevel(interrupt: number, high: boolean): void {
    this.#line(interrupt).high = high;
  }

  /** Sends an edge. */
  pulse(interrupt: number): void {
    this.#line(interrupt).latched = true;
  }

  /** Gives the GIC time: masking completes, interrupts are taken and delivered. */
  step(): void {
    for (const [interrupt, line] of this.#lines) {
      if (isPending(line) && !line.active && (line.enabled || line.lingering)) this.#take(interrupt, line);
      if (line.lingering && this.#random(2) === 1) this.#finishMasking(interrupt, line);
    }
    for (const [processor, list] of this.#lists) {
      for (let index = 0; index < LIST_REGISTERS; index++) this.#offer(processor, list, index);
    }
  }

  /** The guest ends a virtual interrupt: the list register is free, a linked physical one inactive. */
  endOfInterrupt(processor: number, virtual: number): void {
    const list = this.#list(processor);
    for (let index = 0; index < LIST_REGISTERS; index++) {
      const high = list[index * 2 + 1]!;
      if (list[index * 2] !== virtual || (high & LR_HIGH.ACTIVE) === 0) continue;
      if ((high & LR_HIGH.HARDWARE) !== 0) this.#line(high & LR_HIGH.PHYSICAL).active = false;
      this.writeList(processor, index, 0, 0);
    }
  }

  /** Reads a list register: [low, high]. */
  readList(processor: number, index: number): readonly [number, number] {
    const list = this.#list(processor);
    return [list[index * 2]!, list[index * 2 + 1]!];
  }

  /** Writes a list register. */
  writeList(processor: number, index: number, low: number, high: number): void {
    const list = this.#list(processor);
    list[index * 2] = low;
    list[index * 2 + 1] = high;
    const isUsed = (high & (LR_HIGH.PENDING | LR_HIGH.ACTIVE)) !== 0;
    this.#host.listChanged(processor, index, isUsed ? high & LR_HIGH.PHYSICAL : undefined);
  }

  /** The processor that an interrupt can reach now, or undefined. */
  reach(interrupt: number): number | undefined {
    const line = this.#line(interrupt);
    return line.enabled || line.lingering ? line.processor : undefined;
  }

  #take(interrupt: number, line: Line): void {
    if (this.#random(4) === 0) return;
    // Active first: the handler runs between acknowledge and end of interrupt.
    line.active = true;
    const latched = line.latched;
    line.latched = false;
    if (this.#host.taken(interrupt, line.processor)) return;
    line.active = false;
    line.latched = latched;
  }

  #offer(processor: number, list: Uint32Array, index: number): void {
    const high = list[index * 2 + 1]!;
    if ((high & LR_HIGH.PENDING) === 0 || this.#random(4) === 0) return;
    const virtual = list[index * 2]!;
    // Active before the guest's handler runs: it may end the interrupt at once.
    this.writeList(processor, index, virtual, ((high & ~LR_HIGH.PENDING) | LR_HIGH.ACTIVE) >>> 0);
    if (!this.#host.deliver(processor, virtual)) this.writeList(processor, index, virtual, high);
  }

  #finishMasking(interrupt: number, line: Line): void {
    line.lingering = false;
    this.#host.reachChanged(interrupt);
  }

  #target(byte: number, processor: number): void {
    // The upper word of IROUTER holds affinity level 3, which this machine does not have.
    if ((byte & 4) !== 0) return;
    const interrupt = byte >>> 3;
    this.#line(interrupt).processor = processor;
    this.#host.reachChanged(interrupt);
  }

  #configure(byte: number, value: number): void {
    for (let field = 0; field < 16; field++) {
      const interrupt = byte * 4 + field;
      if (interrupt < SPI_FIRST || interrupt > SPI_LAST) continue;
      const edge = ((value >>> (field * 2 + 1)) & 1) === 1;
      if (edge || this.#lines.has(interrupt)) this.#line(interrupt).edge = edge;
    }
  }

  #setFlags(register: number, first: number, value: number): void {
    for (let bit = 0; bit < 32; bit++) {
      const interrupt = first + bit;
      if (((value >>> bit) & 1) === 0 || interrupt < SPI_FIRST || interrupt > SPI_LAST) continue;
      const line = this.#line(interrupt);
      if (register === DISTRIBUTOR.ISPENDR) line.latched = true;
      if (register === DISTRIBUTOR.ICPENDR) line.latched = false;
      if (register === DISTRIBUTOR.ISACTIVER) line.active = true;
      if (register === DISTRIBUTOR.ICACTIVER) line.active = false;
      if (register === DISTRIBUTOR.ISENABLER) {
        line.enabled = true;
        line.lingering = false;
      }
      if (register === DISTRIBUTOR.ICENABLER && line.enabled) {
        line.enabled = false;
        line.lingering = true;
      }
      this.#host.reachChanged(interrupt);
    }
  }

  #collect(byte: number, bits: number, value: (line: Line) => number): number {
    const first = (byte * 8) / bits;
    let word = 0;
    for (let field = 0; field < 32 / bits; field++) {
      const line = this.#lines.get(first + field);
      if (line !== undefined) word |= value(line) << (field * bits);
    }
    return word >>> 0;
  }

  #line(interrupt: number): Line {
    let line = this.#lines.get(interrupt);
    if (line === undefined) {
      line = {
        enabled: false,
        lingering: false,
        latched: false,
        active: false,
        edge: false,
        high: false,
        processor: 0,
      };
      this.#lines.set(interrupt, line);
    }
    return line;
  }

  #list(processor: number): Uint32Array {
    let list = this.#lists.get(processor);
    if (list === undefined) {
      list = new Uint32Array(LIST_REGISTERS * 2);
      this.#lists.set(processor, list);
    }
    return list;
  }
}

function isPending(line: Line): boolean {
  return line.latched || (!line.edge && line.high);
}

const FLAGS: Readonly<Record<number, (line: Line) => boolean>> = {
  [DISTRIBUTOR.ISENABLER]: (line) => line.enabled,
  [DISTRIBUTOR.ICENABLER]: (line) => line.enabled,
  [DISTRIBUTOR.ISPENDR]: isPending,
  [DISTRIBUTOR.ICPENDR]: isPending,
  [DISTRIBUTOR.ISACTIVER]: (line) => line.active,
  [DISTRIBUTOR.ICACTIVER]: (line) => line.active,
};
