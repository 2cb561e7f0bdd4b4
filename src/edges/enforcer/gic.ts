/**
 * Drives the distributor of a GICv3 for shared interrupts (SPIs), and the list registers by which a hypervisor
 * delivers them to virtual CPUs.
 *
 * Offsets and bits: torvalds/linux include/linux/irqchip/arm-gic-v3.h (GICD_*, ICH_LR_*). Clearing order is active,
 * then pending: an interrupt that is deactivated may become pending again, the reverse hides one. LPIs and MSIs are
 * out of scope.
 */

import { HardwareError, type MachineBus, type ProcessorPort } from './bus.ts';
import { POLLS_MAX } from './smmuv3.ts';

/** Distributor register offsets in bytes. One bit per interrupt, ICFGR two bits, IROUTER eight bytes. */
export const DISTRIBUTOR = {
  CTLR: 0x0000,
  ISENABLER: 0x0100,
  ICENABLER: 0x0180,
  ISPENDR: 0x0200,
  ICPENDR: 0x0280,
  ISACTIVER: 0x0300,
  ICACTIVER: 0x0380,
  ICFGR: 0x0c00,
  IROUTER: 0x6000,
} as const;
/** Register write pending: clearing an enable bit is complete when this is 0. */
export const CTLR_RWP = 0x8000_0000;
/** ARE_NS and group 1 on. */
export const CTLR_RUN = (1 << 4) | (1 << 1);

/** Fields of the upper half of a list register. The lower half is the virtual INTID. */
export const LR_HIGH = {
  /** Physical INTID 44:32. */
  PHYSICAL: 0x1fff,
  /** Group 1 (bit 60). */
  GROUP: 1 << 28,
  /** Linked to the physical interrupt, which the guest's end of interrupt deactivates (bit 61). */
  HARDWARE: 1 << 29,
  PENDING: 1 << 30,
  ACTIVE: 0x8000_0000,
} as const;

/** First and last INTID of an SPI. */
export const SPI_FIRST = 32;
export const SPI_LAST = 1019;

/** State of an interrupt at the distributor. `processor`: the affinity that it is routed to. */
export interface InterruptState {
  readonly enabled: boolean;
  readonly pending: boolean;
  readonly active: boolean;
  readonly edge: boolean;
  readonly processor: number;
}

/** Target of an interrupt: the processor of a VM, and the virtual INTID there. */
export interface Route {
  readonly processor: number;
  readonly virtual: number;
}

export class Gic {
  readonly #bus: MachineBus;
  readonly #processors: ProcessorPort;
  readonly #base: number;
  readonly #routes = new Map<number, Route>();

  constructor(bus: MachineBus, processors: ProcessorPort, base: number) {
    this.#bus = bus;
    this.#processors = processors;
    this.#base = base;
  }

  /** Switches the distributor on. Every SPI is disabled after reset. */
  start(): void {
    this.#bus.write32(this.#base + DISTRIBUTOR.CTLR, CTLR_RUN);
  }

  /** Masks an interrupt. Complete after `settle`. */
  mask(interrupt: number): void {
    this.#writeBit(DISTRIBUTOR.ICENABLER, interrupt);
  }

  /** Waits until all masking is complete. Throws a HardwareError at the poll limit. */
  settle(): void {
    for (let polls = 0; polls < POLLS_MAX; polls++) {
      if ((this.#bus.read32(this.#base + DISTRIBUTOR.CTLR) & CTLR_RWP) >>> 0 === 0) return;
      this.#bus.poll();
    }
    throw new HardwareError(`GIC: writes still pending after ${POLLS_MAX} polls`);
  }

  /**
   * Removes an interrupt from the list registers of `processor`: its virtual CPU no longer sees it, and cannot
   * deactivate it by an end of interrupt when it already belongs to the next holder.
   */
  withdraw(interrupt: number, processor: number): void {
    for (let index = 0; index < this.#processors.listRegisters; index++) {
      const [, high] = this.#processors.readListRegister(processor, index);
      const isUsed = (high & (LR_HIGH.PENDING | LR_HIGH.ACTIVE)) !== 0;
      if (!isUsed || (high & LR_HIGH.PHYSICAL) !== interrupt) continue;
      this.#processors.writeListRegister(processor, index, 0, 0);
    }
  }

  /** Clears an interrupt: active, then pending. A level line that is still high stays pending. */
  clear(interrupt: number): void {
    this.#writeBit(DISTRIBUTOR.ICACTIVER, interrupt);
    this.#writeBit(DISTRIBUTOR.ICPENDR, interrupt);
  }

  /** Sets trigger and target of a masked interrupt. Throws a HardwareError when it is enabled. */
  route(interrupt: number, route: Route, trigger: 'edge' | 'level'): void {
    if (this.state(interrupt).enabled) {
      throw new HardwareError(`interrupt ${interrupt} is enabled, mask it before it is routed`);
    }
    const config = this.#base + DISTRIBUTOR.ICFGR + Math.floor(interrupt / 16) * 4;
    const shift = (interrupt % 16) * 2 + 1; // the upper of two bits: 1 edge, 0 level
    const others = this.#bus.read32(config) & ~(1 << shift);
    this.#bus.write32(config, (others | (trigger === 'edge' ? 1 << shift : 0)) >>> 0);
    this.#bus.write64(this.#base + DISTRIBUTOR.IROUTER + interrupt * 8, route.processor, 0);
    this.#routes.set(interrupt, route);
  }

  /** Unmasks an interrupt. */
  unmask(interrupt: number): void {
    this.#writeBit(DISTRIBUTOR.ISENABLER, interrupt);
  }

  /** Reads an interrupt's state back. */
  state(interrupt: number): InterruptState {
    const config = this.#bus.read32(this.#base + DISTRIBUTOR.ICFGR + Math.floor(interrupt / 16) * 4);
    return {
      enabled: this.#readBit(DISTRIBUTOR.ISENABLER, interrupt),
      pending: this.#readBit(DISTRIBUTOR.ISPENDR, interrupt),
      active: this.#readBit(DISTRIBUTOR.ISACTIVER, interrupt),
      edge: ((config >>> ((interrupt % 16) * 2 + 1)) & 1) === 1,
      processor: this.#bus.read32(this.#base + DISTRIBUTOR.IROUTER + interrupt * 8),
    };
  }

  /** Returns where the hypervisor delivers an interrupt, if anywhere. */
  routeOf(interrupt: number): Route | undefined {
    return this.#routes.get(interrupt);
  }

  /**
   * The hypervisor's interrupt handler: the processor acknowledged `interrupt`, which is now active. Puts it into a
   * free list register, linked to the physical interrupt. Returns false when none is free; it then stays pending.
   */
  inject(interrupt: number, processor: number): boolean {
    const route = this.#routes.get(interrupt);
    if (route === undefined || route.processor !== processor) return false;
    for (let index = 0; index < this.#processors.listRegisters; index++) {
      const [, high] = this.#processors.readListRegister(processor, index);
      if ((high & (LR_HIGH.PENDING | LR_HIGH.ACTIVE)) !== 0) continue;
      const state = LR_HIGH.PENDING | LR_HIGH.HARDWARE | LR_HIGH.GROUP;
      this.#processors.writeListRegister(processor, index, route.virtual, (state | interrupt) >>> 0);
      return true;
    }
    return false;
  }

  #writeBit(register: number, interrupt: number): void {
    const address = this.#base + register + Math.floor(interrupt / 32) * 4;
    this.#bus.write32(address, (1 << (interrupt % 32)) >>> 0);
  }

  #readBit(register: number, interrupt: number): boolean {
    const word = this.#bus.read32(this.#base + register + Math.floor(interrupt / 32) * 4);
    return ((word >>> (interrupt % 32)) & 1) === 1;
  }
}
