/**
 * A general DMA engine that belongs to the owner VM and is never lent: the second DMA master of M3.
 *
 * It copies four words from one IPA to another under the owner's translations, so it can aim at register pages
 * that the owner sees. One stream, no interrupt, no residual state: it never changes hands.
 */

import type { DeviceModel, DevicePorts } from './device.ts';
import type { VmInstance } from './vm.ts';

/** Register offsets in bytes. */
export const ENGINE = {
  SOURCE: 0x00,
  TARGET: 0x04,
  /** Any write starts a copy. */
  GO: 0x08,
  /** Copies that ended, refused ones too. */
  DONE: 0x0c,
} as const;

export class EngineModel implements DeviceModel {
  readonly #ports: DevicePorts;
  #source = 0;
  #target = 0;
  #done = 0;

  constructor(ports: DevicePorts) {
    this.#ports = ports;
  }

  read(offset: number): number {
    if (offset === ENGINE.SOURCE) return this.#source;
    if (offset === ENGINE.TARGET) return this.#target;
    return offset === ENGINE.DONE ? this.#done : 0;
  }

  write(offset: number, value: number, by: VmInstance): void {
    if (offset === ENGINE.SOURCE) this.#source = value;
    if (offset === ENGINE.TARGET) this.#target = value;
    if (offset === ENGINE.GO) this.#copy(this.#source, this.#target, by);
  }

  tick(): void {}

  reset(): void {
    this.#source = 0;
    this.#target = 0;
    this.#done = 0;
  }

  #copy(source: number, target: number, by: VmInstance): void {
    const stream = this.#ports.streams[0]!;
    const finish = (): void => {
      this.#done++;
    };
    this.#ports.startTransfer({
      device: this,
      stream,
      address: source,
      programmer: by,
      done: (words) => {
        if (words === undefined) finish();
        else {
          const request = { device: this, stream, address: target, words, programmer: by };
          this.#ports.startTransfer({ ...request, done: finish });
        }
      },
    });
  }
}
