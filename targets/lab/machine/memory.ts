/**
 * Physical memory of the simulated machine: sparse 4 KiB pages, zero until written.
 *
 * Writes into the hypervisor's own memory are shown to an observer after they took effect, because tables live
 * there and the checker looks at every intermediate state of them.
 */

import { PAGE_BYTES } from '../../../src/edges/enforcer/stage2.ts';

const WORDS = PAGE_BYTES / 4;

export class Memory {
  readonly #pages = new Map<number, Uint32Array>();
  readonly #watchFrom: number;
  readonly #onWrite: (address: number) => void;

  /** Reports each write at or above `watchFrom`; 64-bit writes once, by their address. */
  constructor(watchFrom: number, onWrite: (address: number) => void) {
    this.#watchFrom = watchFrom;
    this.#onWrite = onWrite;
  }

  /** Reads an aligned 32-bit word. */
  read32(address: number): number {
    const page = this.#pages.get(Math.floor(address / PAGE_BYTES));
    return page === undefined ? 0 : page[(address % PAGE_BYTES) >>> 2]!;
  }

  /** Writes an aligned 32-bit word. */
  write32(address: number, value: number): void {
    this.#page(address)[(address % PAGE_BYTES) >>> 2] = value;
    if (address >= this.#watchFrom) this.#onWrite(address);
  }

  /** Writes an aligned 64-bit word at once. */
  write64(address: number, low: number, high: number): void {
    const page = this.#page(address);
    const index = (address % PAGE_BYTES) >>> 2;
    page[index] = low;
    page[index + 1] = high;
    if (address >= this.#watchFrom) this.#onWrite(address);
  }

  /** Zeroes whole pages, as a hypervisor does before it gives memory to another VM. */
  scrub(address: number, bytes: number): void {
    for (let at = address; at < address + bytes; at += PAGE_BYTES) {
      this.#pages.delete(Math.floor(at / PAGE_BYTES));
    }
  }

  #page(address: number): Uint32Array {
    const number = Math.floor(address / PAGE_BYTES);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint32Array(WORDS);
      this.#pages.set(number, page);
    }
    return page;
  }
}
