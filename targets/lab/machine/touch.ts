/**
 * A touch controller: reports go into a FIFO and, when armed, by DMA into a ring in its holder's memory.
 *
 * Our own device, laid out after common I2C controllers with a DMA-capable bus engine. Its residual state is the report
 * FIFO (and the ring address); a reset clears both. A finger that is down is detected again by whoever enables
 * scanning next: that is physics, not residual state, and the reason why a give-back waits until the panel is
 * untouched.
 */

import type { DeviceModel, DevicePorts } from './device.ts';
import type { VmInstance } from './vm.ts';

/** Register offsets in bytes. */
export const TOUCH = {
  /** Bit 0: scan. Bit 1: copy reports by DMA. */
  CTRL: 0x00,
  /** Bit 0: FIFO holds a report. */
  STATUS: 0x04,
  /** Any write ends the interrupt. */
  IRQ_ACK: 0x08,
  /** Takes the oldest report: bit 31 down, 30:16 x, 15:0 y; 0 when empty. */
  FIFO: 0x0c,
  /** IPA of the ring, 16 bytes a report. */
  RING_BASE: 0x10,
  /** Reports the ring holds. */
  RING_COUNT: 0x14,
  /** Ring slot that is written next. */
  RING_HEAD: 0x18,
  /** Any write resets the device, as its reset line does. */
  RESET: 0x20,
} as const;
export const TOUCH_SCAN = 1;
export const TOUCH_DMA = 2;
/** Reports the FIFO holds; the oldest is dropped when one more comes. */
export const FIFO_REPORTS = 16;

interface Report {
  readonly word: number;
  readonly producer: VmInstance;
}

/** A finger that was put down under one holder and reported to another (M9). */
export interface CarriedContact {
  readonly x: number;
  readonly y: number;
  readonly from: VmInstance | null;
  readonly to: VmInstance;
}

export class TouchModel implements DeviceModel {
  /** Fingers that were carried across a change of hands. */
  readonly carried: CarriedContact[] = [];
  readonly #ports: DevicePorts;
  #contact: { readonly x: number; readonly y: number; readonly under: VmInstance | null } | null = null;
  #scanner: VmInstance | null = null;
  #control = 0;
  #fifo: Report[] = [];
  #ringBase = 0;
  #ringCount = 0;
  #ringHead = 0;
  #programmer: VmInstance | null = null;
  #waiting: Report[] = [];

  constructor(ports: DevicePorts) {
    this.#ports = ports;
  }

  /** A finger moves: the world outside. */
  contact(x: number, y: number, down: boolean): void {
    const under = this.#contact?.under ?? this.#scanner;
    this.#contact = down ? { x, y, under } : null;
    if (this.#scanner !== null) this.#report(x, y, down, this.#scanner);
  }

  read(offset: number, by: VmInstance): number {
    switch (offset) {
      case TOUCH.CTRL:
        return this.#control;
      case TOUCH.STATUS:
        return Number(this.#fifo.length > 0);
      case TOUCH.FIFO: {
        const report = this.#fifo.shift();
        if (report === undefined) return 0;
        this.#ports.residualStateRead('report FIFO', report.producer, by);
        return report.word;
      }
      case TOUCH.RING_BASE:
        this.#ports.residualStateRead('ring address', this.#ringBase === 0 ? null : this.#programmer, by);
        return this.#ringBase;
      case TOUCH.RING_COUNT:
        return this.#ringCount;
      case TOUCH.RING_HEAD:
        return this.#ringHead;
      default:
        return 0;
    }
  }

  write(offset: number, value: number, by: VmInstance): void {
    switch (offset) {
      case TOUCH.CTRL:
        this.#setControl(value, by);
        break;
      case TOUCH.IRQ_ACK:
        this.#ports.setLevel(false);
        break;
      case TOUCH.RING_BASE:
        this.#ringBase = value;
        this.#programmer = by;
        break;
      case TOUCH.RING_COUNT:
        this.#ringCount = value;
        break;
      case TOUCH.RESET:
        this.reset();
        break;
    }
  }

  tick(): void {
    const report = this.#waiting.shift();
    if (report === undefined || this.#programmer === null || this.#ringCount === 0) return;
    const slot = this.#ringHead;
    this.#ringHead = (slot + 1) % this.#ringCount;
    this.#ports.startTransfer({
      device: this,
      stream: this.#ports.streams[0]!,
      address: this.#ringBase + slot * 16,
      words: [report.word, slot, 0, 1],
      programmer: this.#programmer,
      producer: report.producer,
      done: () => this.#ports.setLevel(true),
    });
  }

  reset(): void {
    this.#control = 0;
    this.#scanner = null;
    this.#fifo = [];
    this.#waiting = [];
    this.#ringBase = 0;
    this.#ringCount = 0;
    this.#ringHead = 0;
    this.#programmer = null;
    this.#ports.setLevel(false);
  }

  #setControl(value: number, by: VmInstance): void {
    const starts = (value & TOUCH_SCAN) !== 0 && (this.#control & TOUCH_SCAN) === 0;
    this.#control = value;
    this.#scanner = (value & TOUCH_SCAN) !== 0 ? by : null;
    if (!starts || this.#contact === null) return;
    const { x, y, under } = this.#contact;
    if (under !== null && under !== by) this.carried.push({ x, y, from: under, to: by });
    this.#report(x, y, true, by);
  }

  #report(x: number, y: number, down: boolean, producer: VmInstance): void {
    const word = ((down ? 0x8000_0000 : 0) | ((x & 0x7fff) << 16) | (y & 0xffff)) >>> 0;
    const report = { word, producer };
    if ((this.#control & TOUCH_DMA) !== 0) {
      if (this.#waiting.length < FIFO_REPORTS) this.#waiting.push(report);
      return;
    }
    if (this.#fifo.length === FIFO_REPORTS) this.#fifo.shift();
    this.#fifo.push(report);
    this.#ports.setLevel(true);
  }
}
