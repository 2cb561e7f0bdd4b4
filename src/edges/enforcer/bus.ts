/**
 * What the emitters (smmuv3, stage2, gic) need of a machine: one physical address space and a few instructions.
 *
 * It has two implementations: the simulated machine, and a real model such as QEMU's through blocking reads of its
 * qtest channel. Calls are synchronous, as a hypervisor's own register accesses are. Values are unsigned 32-bit
 * halves, so that no engine needs 64-bit integers; addresses are below 2^48 and thus exact.
 */

/** Memory and memory-mapped registers, by physical address in bytes. Accesses are naturally aligned. */
export interface MachineBus {
  /** Reads 32 bits, little-endian. */
  read32(address: number): number;
  /** Writes 32 bits. */
  write32(address: number, value: number): void;
  /** Writes 64 bits as one single-copy atomic store, after every earlier store is visible. */
  write64(address: number, low: number, high: number): void;
  /** Called between two polls of a register. May give the machine time to work. */
  poll(): void;
}

/** Processor operations that the hypervisor performs by instructions, not by stores. */
export interface ProcessorPort {
  /**
   * Invalidates the stage-2 translations of one VMID on every processor (TLBI VMALLS12E1IS in the context of
   * that VMID, then DSB and ISB). Complete on return. SMMUs are not reached: they are assumed to be without BTM.
   */
  invalidateStage2(vmid: number): void;
  /** How many list registers a processor has (ICH_VTR_EL2.ListRegs + 1). */
  readonly listRegisters: number;
  /** Reads ICH_LR<index>_EL2 of a processor whose virtual CPU was made to exit first: [low, high]. */
  readListRegister(processor: number, index: number): readonly [low: number, high: number];
  /** Writes ICH_LR<index>_EL2 of a processor whose virtual CPU was made to exit first. */
  writeListRegister(processor: number, index: number, low: number, high: number): void;
}

/** Hardware did not respond in time, or reported a failure. The message is for people. */
export class HardwareError extends Error {
  override readonly name = 'HardwareError';
}

/** Upper half of a number below 2^53, as an unsigned 32-bit value. */
export function highHalf(value: number): number {
  return Math.floor(value / 0x1_0000_0000);
}

/** The number whose halves are `low` and `high`. Exact while `high` is below 2^21. */
export function joinHalves(low: number, high: number): number {
  return high * 0x1_0000_0000 + (low >>> 0);
}
