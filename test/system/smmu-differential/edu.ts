/**
 * QEMU's device `edu` as a DMA master: when told to, it moves words between its buffer and an address, by the SMMU.
 *
 * Registers: docs/specs/edu.rst of QEMU. A refused transfer of more than four bytes is tried again word by word and
 * leaves an event for each: so every transfer that may be refused is one aligned word.
 */

import { highHalf } from '../../../src/edges/enforcer/bus.ts';
import { BUS_SLOT, ECAM, PCI_WINDOW, type Qtest } from './qtest.ts';

/** Vendor and device ID. */
const IDENTITY = 0x11e8_1234;
/** Memory space on, bus master on. */
const COMMAND_MEMORY_MASTER = 6;
const BAR_BYTES = 0x10_0000;
/** Register offsets in bytes, 64 bits each. */
const DMA_SOURCE = 0x80;
const DMA_TARGET = 0x88;
const DMA_COUNT = 0x90;
const DMA_COMMAND = 0x98;
const RUN = 1;
const TO_MEMORY = 2;
/** Where its buffer of 4 KiB begins in its own address space. */
const BUFFER = 0x4_0000;
/** Looks at a running transfer: the clock jumps as soon as QEMU is idle, which is after one or two. */
const LOOKS_MAX = 100_000;

/** Gives every stream's device its registers, and its bus the number that is in the stream ID. */
export function plug(qemu: Qtest, streams: readonly number[]): Edu[] {
  const buses = [...new Set(streams.map((stream) => stream >>> 8))].filter((bus) => bus !== 0);
  const edus: Edu[] = [];
  for (const stream of streams.filter((stream) => stream >>> 8 === 0))
    edus.push(new Edu(qemu, stream, edus.length));
  buses.forEach((bus, index) => {
    const port = ECAM + ((BUS_SLOT + index) << 15);
    const onBus = streams.filter((stream) => stream >>> 8 === bus);
    // Secondary and subordinate bus; then the window of what is behind it, base and limit in MiB.
    qemu.write32(port + 0x18, (bus << 16) | (bus << 8));
    const first = PCI_WINDOW + edus.length * BAR_BYTES;
    qemu.write32(port + 0x20, (first + (onBus.length - 1) * BAR_BYTES) | (first >>> 16));
    qemu.write32(port + 4, COMMAND_MEMORY_MASTER);
    for (const stream of onBus) edus.push(new Edu(qemu, stream, edus.length));
  });
  return streams.map((stream) => edus.find((edu) => edu.stream === stream)!);
}

/** Words of the buffer. */
export const EDU_WORDS = 1024;

export class Edu {
  readonly stream: number;
  readonly #qemu: Qtest;
  readonly #registers: number;

  /** `index`: how many devices have a window already. Throws an Error when there is no such device. */
  constructor(qemu: Qtest, stream: number, index: number) {
    this.#qemu = qemu;
    this.stream = stream;
    const configuration = ECAM + stream * 4096;
    const found = qemu.read32(configuration);
    if (found !== IDENTITY)
      throw new Error(`no edu at stream 0x${stream.toString(16)}: 0x${found.toString(16)}`);
    this.#registers = PCI_WINDOW + index * BAR_BYTES;
    qemu.write32(configuration + 0x10, this.#registers);
    qemu.write32(configuration + 4, COMMAND_MEMORY_MASTER);
  }

  /** Takes the words from `address` into its whole buffer. */
  fill(address: number): void {
    this.#run(address, BUFFER, EDU_WORDS * 4, 0);
  }

  /** Takes the word at `address` into a word of the buffer. Refused: QEMU gives a read that failed as 0. */
  read(address: number, word: number): void {
    this.#run(address, BUFFER + word * 4, 4, 0);
  }

  /** Puts a word of the buffer at `address`. */
  write(address: number, word: number): void {
    this.#run(BUFFER + word * 4, address, 4, TO_MEMORY);
  }

  #run(source: number, target: number, bytes: number, direction: number): void {
    const qemu = this.#qemu;
    const at = this.#registers;
    qemu.write64(at + DMA_SOURCE, source % 2 ** 32, highHalf(source));
    qemu.write64(at + DMA_TARGET, target % 2 ** 32, highHalf(target));
    qemu.write64(at + DMA_COUNT, bytes, 0);
    qemu.write64(at + DMA_COMMAND, RUN | direction, 0);
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      if ((qemu.read32(at + DMA_COMMAND) & RUN) === 0) return;
    }
    throw new Error(`edu: a transfer is not done after ${LOOKS_MAX} looks`);
  }
}
