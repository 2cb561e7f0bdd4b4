/**
 * A keypad whose memory of the last key only its driver can clear: it has no reset line.
 *
 * Stands for devices like the touch chip of a phone whose firmware resets by a command sequence alone. Its one
 * residual state, the last key, is declared `clearedBy: 'driver'`. Registers, no DMA, one edge interrupt.
 */

import type { DeviceModel, DevicePorts } from './device.ts';
import type { VmInstance } from './vm.ts';

/** Register offsets in bytes. */
export const KEYS = {
  /** Bit 0: scan. */
  CTRL: 0x00,
  /** Code of the last key pressed. Stays until the unlock sequence clears it. */
  LAST: 0x04,
  /** Firmware command: 0x5a, then 0xa5, clears everything. */
  COMMAND: 0x08,
} as const;
export const KEYS_UNLOCK = 0x5a;
export const KEYS_CLEAR = 0xa5;

export class KeysModel implements DeviceModel {
  readonly #ports: DevicePorts;
  #scanner: VmInstance | null = null;
  #last = 0;
  #producer: VmInstance | null = null;
  #isUnlocked = false;

  constructor(ports: DevicePorts) {
    this.#ports = ports;
  }

  /** A key is pressed: the world outside. */
  press(code: number): void {
    if (this.#scanner === null) return;
    this.#last = code;
    this.#producer = this.#scanner;
    this.#ports.pulse();
  }

  read(offset: number, by: VmInstance): number {
    if (offset === KEYS.CTRL) return Number(this.#scanner !== null);
    if (offset !== KEYS.LAST) return 0;
    this.#ports.residualStateRead('last key', this.#producer, by);
    return this.#last;
  }

  write(offset: number, value: number, by: VmInstance): void {
    if (offset === KEYS.CTRL) this.#scanner = (value & 1) !== 0 ? by : null;
    if (offset !== KEYS.COMMAND) return;
    if (this.#isUnlocked && value === KEYS_CLEAR) {
      this.#last = 0;
      this.#producer = null;
      this.#scanner = null;
    }
    this.#isUnlocked = value === KEYS_UNLOCK;
  }

  tick(): void {}
}
