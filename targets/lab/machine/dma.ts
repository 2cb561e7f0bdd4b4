/**
 * DMA of all devices: transfers that take time, go through the SMMU, and land later.
 *
 * A transfer may be under way across a move: `waiting` in the device (not yet translated; a reset does not recall
 * it), or `translated` (it will land where the old tables said; a CMD_SYNC waits for it). Each carries the VM
 * that programmed it and the VM whose data it moves, for the checker alone.
 */

import type { Checker } from './checker.ts';
import type { Memory } from './memory.ts';
import type { Random } from './random.ts';
import type { Smmu } from './smmu.ts';
import type { VmInstance } from './vm.ts';

/** Most words of one transfer; with its alignment it never crosses a page. */
export const TRANSFER_WORDS_MAX = 4;
/** Most ticks a common transfer waits in its device; one in four is slow and may outlive a whole remap. */
const WAIT_TICKS_MAX = 6;
const SLOW_TICKS_MAX = 100;

/** What a device asks for. Address: an IPA, aligned to 16 bytes. */
export interface TransferRequest {
  readonly device: object;
  readonly stream: number;
  readonly address: number;
  /** Words to write; absent for a read of `TRANSFER_WORDS_MAX` words. */
  readonly words?: readonly number[];
  /** The VM that programmed the address. */
  readonly programmer: VmInstance;
  /** The VM whose data is written, where it is not the programmer's. */
  readonly producer?: VmInstance | null;
  /** Called when it landed; `words` are undefined when it was refused. */
  readonly done: (words: readonly number[] | undefined, producer: VmInstance | null) => void;
}

interface Transfer {
  readonly id: number;
  readonly request: TransferRequest;
  ticks: number;
  /** Where it goes, once translated. */
  physical: number | undefined;
}

/** What lies behind the SMMU besides memory: device registers. */
export interface RegisterSpace {
  /** Reads or writes a register by physical address; undefined where there is none. */
  access(physical: number, value: number | undefined, by: VmInstance): number | undefined;
}

export class Interconnect {
  readonly #memory: Memory;
  readonly #smmu: Smmu;
  readonly #random: Random;
  readonly #checker: Checker;
  readonly #registers: RegisterSpace;
  #transfers: Transfer[] = [];
  #count = 0;

  constructor(memory: Memory, smmu: Smmu, random: Random, checker: Checker, registers: RegisterSpace) {
    this.#memory = memory;
    this.#smmu = smmu;
    this.#random = random;
    this.#checker = checker;
    this.#registers = registers;
  }

  /** Starts a transfer. */
  start(request: TransferRequest): void {
    const ticks = this.#random((this.#random(4) === 3 ? SLOW_TICKS_MAX : WAIT_TICKS_MAX) + 1);
    this.#transfers.push({ id: this.#count++, request, ticks, physical: undefined });
  }

  /** Whether a transfer of a device is under way. */
  isBusy(device: object): boolean {
    return this.#transfers.some(({ request }) => request.device === device);
  }

  /** Lets time pass for every transfer. */
  tick(): void {
    for (const transfer of [...this.#transfers]) {
      if (transfer.ticks > 0) transfer.ticks--;
      else if (transfer.physical === undefined) this.#translate(transfer);
      else this.#land(transfer);
    }
  }

  /** Completes what was translated: a CMD_SYNC does not complete before. */
  completeTranslated(): void {
    for (const transfer of [...this.#transfers]) {
      if (transfer.physical !== undefined) this.#land(transfer);
    }
  }

  #translate(transfer: Transfer): void {
    const { stream, address, words } = transfer.request;
    const result = this.#smmu.translate(stream, address, words !== undefined);
    if (!result.ok) {
      this.#remove(transfer);
      transfer.request.done(undefined, null);
      return;
    }
    transfer.physical = result.physical;
    transfer.ticks = this.#random(3);
    this.#checker.transactionUnderWay(transfer.id, stream, result.vmid);
  }

  #land(transfer: Transfer): void {
    // Tests call in from `done`, and a write to a register may complete another transfer: remove first.
    if (!this.#remove(transfer)) return;
    const { request } = transfer;
    const physical = transfer.physical!;
    const owner = this.#checker.ramOwner(physical);
    this.#checker.transactionDone(transfer.id);
    this.#checker.dmaLanded(request.stream, request.programmer, owner, request.words !== undefined);
    const producer = request.words === undefined ? owner : (request.producer ?? request.programmer);
    request.done(this.#move(physical, request), producer ?? null);
  }

  #move(physical: number, { words, programmer }: TransferRequest): readonly number[] {
    const moved: number[] = [];
    for (let index = 0; index < (words?.length ?? TRANSFER_WORDS_MAX); index++) {
      const at = physical + index * 4;
      const value = words?.[index];
      const register = this.#registers.access(at, value, programmer);
      if (register !== undefined) moved.push(register);
      else if (value === undefined) moved.push(this.#memory.read32(at));
      else {
        this.#memory.write32(at, value);
        moved.push(value);
      }
    }
    return moved;
  }

  #remove(transfer: Transfer): boolean {
    const index = this.#transfers.indexOf(transfer);
    if (index < 0) return false;
    this.#transfers.splice(index, 1);
    return true;
  }
}
