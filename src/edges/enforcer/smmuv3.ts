/**
 * Drives an SMMUv3 through a MachineBus: stream table, command queue, event queue.
 *
 * Commands are collected; `sync` submits them and returns when the SMMU has consumed its own CMD_SYNC: one sync per
 * phase for all streams. An entry changes its VM only by the break-before-make sequence (word 0 invalid, sync, words
 * 7 to 1, sync, word 0, sync), because both the VMID and the table root change.
 */

import { HardwareError, highHalf, type MachineBus } from './bus.ts';
import {
  COMMAND_BYTES,
  COMMAND_ERRORS,
  type Command,
  CR0_CMDQEN,
  CR0_EVTQEN,
  CR0_SMMUEN,
  CR2_PTM,
  CR2_RECINVSID,
  cfgiAll,
  cfgiSte,
  commandSync,
  decodeEvent,
  EVENT_BYTES,
  EVTQ_OVERFLOW,
  GBPA_ABORT,
  GBPA_UPDATE,
  GERROR_CMDQ,
  GERROR_EVTQ_ABORT,
  IRQ_CTRL_ALL,
  levelOneDescriptor,
  REGISTER,
  type SmmuEvent,
  STE_BYTES,
  STE_HALVES,
  STRTAB_BASE_RA_HIGH,
  STRTAB_FORMAT_TWO_LEVEL,
  STRTAB_SPLIT_BITS,
  tlbiAll,
} from './smmuv3-layout.ts';

/**
 * Register reads before a wait fails. Hafnium's driver uses the same number; Linux waits one second, TF-A about a
 * millisecond.
 */
export const POLLS_MAX = 100_000;

/**
 * Location of the SMMU and its memory. Addresses are physical, in bytes; sizes are powers of two. All memory is zero
 * when `start` is called, as after reset.
 */
export interface SmmuLayout {
  readonly registers: number;
  readonly streamTable: number;
  readonly format: 'linear' | 'two-level';
  /** log2 of the number of stream IDs. */
  readonly streamBits: number;
  /** Room for second-level tables, 256 entries of 64 bytes each. Used by the two-level format only. */
  readonly leafTables: number;
  readonly commandQueue: number;
  /** log2 of the number of commands the queue holds. */
  readonly commandBits: number;
  readonly eventQueue: number;
  /** log2 of the number of events the queue holds. */
  readonly eventBits: number;
}

/** Contents of the event queue. `lost`: the SMMU dropped records since the last drain. */
export interface DrainedEvents {
  readonly events: readonly SmmuEvent[];
  readonly lost: boolean;
}

export class Smmuv3 {
  /** CMD_SYNCs that completed. */
  syncs = 0;
  readonly #bus: MachineBus;
  readonly #layout: SmmuLayout;
  /** First-level index of a stream → address of its second-level table. */
  readonly #leaves = new Map<number, number>();
  #producer = 0;

  constructor(bus: MachineBus, layout: SmmuLayout) {
    this.#bus = bus;
    this.#layout = layout;
  }

  /** Physical address of its registers, which identifies it in a bundle. */
  get registers(): number {
    return this.#layout.registers;
  }

  /**
   * Brings the SMMU from reset to operation with every stream of `streams` in the table and blocked. Nothing
   * passes before that: GBPA aborts first, as TF-A does. Throws a HardwareError when the SMMU does not answer.
   */
  start(streams: Iterable<number>): void {
    const layout = this.#layout;
    this.#write(REGISTER.GBPA, GBPA_ABORT | GBPA_UPDATE);
    this.#await('GBPA update', () => (this.#read(REGISTER.GBPA) & GBPA_UPDATE) === 0);
    this.#setControl(0);
    this.#write(REGISTER.CR2, CR2_PTM | CR2_RECINVSID);
    const twoLevel = layout.format === 'two-level';
    if (twoLevel) for (const stream of streams) this.#addLeaf(stream);
    this.#write64(REGISTER.STRTAB_BASE, layout.streamTable, STRTAB_BASE_RA_HIGH);
    this.#write(
      REGISTER.STRTAB_BASE_CFG,
      layout.streamBits | (twoLevel ? STRTAB_FORMAT_TWO_LEVEL | (STRTAB_SPLIT_BITS << 6) : 0),
    );
    this.#write64(REGISTER.CMDQ_BASE, layout.commandQueue + layout.commandBits, 0);
    this.#write(REGISTER.CMDQ_PROD, 0);
    this.#write(REGISTER.CMDQ_CONS, 0);
    this.#write64(REGISTER.EVTQ_BASE, layout.eventQueue + layout.eventBits, 0);
    this.#write(REGISTER.EVTQ_PROD, 0);
    this.#write(REGISTER.EVTQ_CONS, 0);
    this.#setControl(CR0_CMDQEN);
    this.push(cfgiAll());
    this.push(tlbiAll());
    this.sync();
    this.#write(REGISTER.IRQ_CTRL, IRQ_CTRL_ALL);
    this.#setControl(CR0_CMDQEN | CR0_EVTQEN | CR0_SMMUEN);
  }

  /**
   * Blocks a stream in memory: V=0, which records accesses as C_BAD_STE. Effective after a CFGI_STE for the stream
   * (`push(cfgiSte(stream))`) and the next `sync`.
   */
  block(stream: number): void {
    this.#bus.write64(this.entryAddress(stream), 0, 0);
  }

  /** Writes words 7 to 1 of a blocked stream's new entry. To be followed by `sync`, then `enable`. */
  prepare(stream: number, entry: Uint32Array): void {
    const address = this.entryAddress(stream);
    if ((this.#bus.read32(address) & 1) !== 0) {
      throw new HardwareError(`stream 0x${stream.toString(16)}: entry is valid, block it first`);
    }
    for (let word = STE_HALVES / 2 - 1; word > 0; word--) {
      this.#bus.write64(address + word * 8, entry[word * 2]!, entry[word * 2 + 1]!);
    }
    this.push(cfgiSte(stream));
  }

  /** Writes word 0 of a prepared entry. Effective at the next `sync` at the latest. */
  enable(stream: number, entry: Uint32Array): void {
    this.#bus.write64(this.entryAddress(stream), entry[0]!, entry[1]!);
    this.push(cfgiSte(stream));
  }

  /** Reads the entry of a stream as 64 bytes. */
  readEntry(stream: number): Uint8Array {
    const halves = new Uint32Array(STE_HALVES);
    const address = this.entryAddress(stream);
    for (let half = 0; half < STE_HALVES; half++) halves[half] = this.#bus.read32(address + half * 4);
    return new Uint8Array(halves.buffer);
  }

  /** Adds a command to the queue; waits when it is full. Throws a HardwareError as `sync` does. */
  push(command: Command): void {
    if (this.#used() === 1 << this.#layout.commandBits) {
      this.#ring();
      this.#awaitCommands('room in the command queue', () => this.#used() < 1 << this.#layout.commandBits);
    }
    const address = this.#commandAddress(this.#producer);
    this.#bus.write64(address, command[0], command[1]);
    this.#bus.write64(address + 8, command[2], command[3]);
    this.#producer = (this.#producer + 1) & this.#pointerMask();
  }

  /**
   * Submits all commands with a CMD_SYNC at the end, and waits until it is consumed. Throws a HardwareError when the
   * queue halts on a command or the poll limit is reached; the commands of the failed batch must be repeated.
   */
  sync(): void {
    this.push(commandSync());
    this.#ring();
    const target = this.#producer;
    this.#awaitCommands('CMD_SYNC', () => (this.#read(REGISTER.CMDQ_CONS) & this.#pointerMask()) === target);
    this.syncs++;
  }

  /** Submits the commands without a CMD_SYNC and without waiting; they take effect at some later time. */
  ringOnly(): void {
    this.#ring();
  }

  /** Reads up to `max` records from the event queue. */
  drainEvents(max: number): DrainedEvents {
    const mask = (2 << this.#layout.eventBits) - 1;
    const produced = this.#read(REGISTER.EVTQ_PROD);
    let consumer = this.#read(REGISTER.EVTQ_CONS);
    const lost = ((produced ^ consumer) & EVTQ_OVERFLOW) !== 0 || this.#acknowledgeEventAbort();
    consumer &= mask;
    const events: SmmuEvent[] = [];
    while (consumer !== (produced & mask) && events.length < max) {
      const address = this.#layout.eventQueue + (consumer & (mask >> 1)) * EVENT_BYTES;
      const halves: number[] = [];
      for (let half = 0; half < EVENT_BYTES / 4; half++) halves.push(this.#bus.read32(address + half * 4));
      events.push(decodeEvent(halves));
      consumer = (consumer + 1) & mask;
    }
    // Copying the overflow flag acknowledges it, and lets the SMMU report the next overflow.
    if (events.length > 0 || lost) {
      this.#write(REGISTER.EVTQ_CONS, (consumer | (produced & EVTQ_OVERFLOW)) >>> 0);
    }
    return { events, lost };
  }

  /** Physical address of a stream's entry. Throws a HardwareError for a stream outside the table. */
  entryAddress(stream: number): number {
    const { streamTable, streamBits, format } = this.#layout;
    const leaf = this.#leaves.get(stream >>> STRTAB_SPLIT_BITS);
    const isInside = Number.isInteger(stream) && stream >= 0 && stream < 2 ** streamBits;
    if (!isInside || (format === 'two-level' && leaf === undefined)) {
      throw new HardwareError(`stream 0x${stream.toString(16)} is not in the stream table`);
    }
    if (leaf === undefined) return streamTable + stream * STE_BYTES;
    return leaf + (stream & ((1 << STRTAB_SPLIT_BITS) - 1)) * STE_BYTES;
  }

  #addLeaf(stream: number): void {
    const index = stream >>> STRTAB_SPLIT_BITS;
    if (this.#leaves.has(index)) return;
    const table = this.#layout.leafTables + this.#leaves.size * (STE_BYTES << STRTAB_SPLIT_BITS);
    const [low, high] = levelOneDescriptor(table);
    this.#bus.write64(this.#layout.streamTable + index * 8, low, high);
    this.#leaves.set(index, table);
  }

  #setControl(value: number): void {
    this.#write(REGISTER.CR0, value);
    this.#await(`CR0 = 0x${value.toString(16)}`, () => this.#read(REGISTER.CR0ACK) === value);
  }

  #ring(): void {
    this.#write(REGISTER.CMDQ_PROD, this.#producer);
  }

  /** Number of commands that the SMMU has not consumed. */
  #used(): number {
    return (this.#producer - this.#read(REGISTER.CMDQ_CONS)) & this.#pointerMask();
  }

  /** Mask of index and wrap bit: twice the queue length minus one. */
  #pointerMask(): number {
    return (2 << this.#layout.commandBits) - 1;
  }

  #commandAddress(pointer: number): number {
    return this.#layout.commandQueue + (pointer & (this.#pointerMask() >> 1)) * COMMAND_BYTES;
  }

  #awaitCommands(what: string, isDone: () => boolean): void {
    this.#await(what, () => {
      this.#checkErrors();
      return isDone();
    });
  }

  /**
   * A halted queue continues only after the error is acknowledged, and stops at the same command unless it is
   * replaced; so it becomes a CMD_SYNC. The error names the failed command.
   */
  #checkErrors(): void {
    const gerror = this.#read(REGISTER.GERROR);
    const active = gerror ^ this.#read(REGISTER.GERRORN);
    if ((active & GERROR_CMDQ) === 0) return;
    const consumer = this.#read(REGISTER.CMDQ_CONS);
    const code = (consumer >>> 24) & 0x7f;
    const address = this.#commandAddress(consumer);
    const opcode = this.#bus.read32(address) & 0xff;
    const [low, high] = commandSync();
    this.#bus.write64(address + 8, 0, 0);
    this.#bus.write64(address, low, high);
    this.#write(REGISTER.GERRORN, gerror);
    throw new HardwareError(
      `SMMU command queue halted: ${COMMAND_ERRORS[code] ?? `error ${code}`} at command 0x${opcode.toString(16)}`,
    );
  }

  /** Returns whether the SMMU could not write a record, which it reports as a global error. */
  #acknowledgeEventAbort(): boolean {
    const gerror = this.#read(REGISTER.GERROR);
    const acknowledged = this.#read(REGISTER.GERRORN);
    if (((gerror ^ acknowledged) & GERROR_EVTQ_ABORT) === 0) return false;
    this.#write(REGISTER.GERRORN, acknowledged ^ GERROR_EVTQ_ABORT);
    return true;
  }

  #await(what: string, isDone: () => boolean): void {
    for (let polls = 0; polls < POLLS_MAX; polls++) {
      if (isDone()) return;
      this.#bus.poll();
    }
    throw new HardwareError(`SMMU: no ${what} within ${POLLS_MAX} polls`);
  }

  #read(offset: number): number {
    return this.#bus.read32(this.#layout.registers + offset);
  }

  #write(offset: number, value: number): void {
    this.#bus.write32(this.#layout.registers + offset, value >>> 0);
  }

  #write64(offset: number, value: number, extraHigh: number): void {
    const address = this.#layout.registers + offset;
    this.#bus.write64(address, value >>> 0, (highHalf(value) | extraHigh) >>> 0);
  }
}

/** Returns the halves of an entry given as bytes, as `readEntry` does: all of it, or its first words. */
export function entryHalves(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const halves = new Uint32Array(bytes.length / 4);
  for (let half = 0; half < halves.length; half++) halves[half] = view.getUint32(half * 4, true);
  return halves;
}
