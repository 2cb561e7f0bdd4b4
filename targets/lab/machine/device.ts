/**
 * What every simulated device offers the machine, and what the machine offers it. Types only.
 *
 * A device knows neither physical addresses nor who may reach it: it is told who accesses it, for the checker.
 */

import type { TransferRequest } from './dma.ts';
import type { VmInstance } from './vm.ts';

/** A device behind its registers. Offsets are in bytes from its first register page; accesses are 32-bit. */
export interface DeviceModel {
  read(offset: number, by: VmInstance): number;
  write(offset: number, value: number, by: VmInstance): void;
  /** Lets time pass in the device. */
  tick(): void;
  /** Pulls the reset line. A transfer under way goes on. Absent: only the driver can reset it. */
  reset?(): void;
}

/** What a device may use of the machine. */
export interface DevicePorts {
  /** Stream IDs of the device, in the order of the bundle definition. */
  readonly streams: readonly number[];
  startTransfer(request: TransferRequest): void;
  /** Drives the level interrupt line. */
  setLevel(high: boolean): void;
  /** Sends an edge on the interrupt line. */
  pulse(): void;
  /** A VM reads something a VM left in the device: `what` names it. */
  residualStateRead(what: string, producer: VmInstance | null, reader: VmInstance): void;
}
