/**
 * A display controller: scans a picture out of its holder's memory by DMA, and can write lines back.
 *
 * Our own device: 4 lines of 4 words, one line a tick, first stream reads, second stream writes back. Its residual
 * states are the framebuffer address, the write-back address and the last line fetched; a reset clears them and the
 * panel.
 */

import type { DeviceModel, DevicePorts } from './device.ts';
import { TRANSFER_WORDS_MAX } from './dma.ts';
import type { VmInstance } from './vm.ts';

/** Register offsets in bytes. */
export const DISPLAY = {
  /** Bit 0: scan out. Bit 1: write every line back. */
  CTRL: 0x00,
  /** IPA of the picture. */
  FB_ADDR: 0x08,
  /** IPA to which lines are written back. */
  WB_ADDR: 0x0c,
  /** Any write resets the device, as its reset line does. */
  RESET: 0x10,
  /** Lines shown since the reset. */
  FRAME_LINES: 0x14,
  /** The last line fetched, 4 words. */
  LINE: 0x100,
} as const;
export const DISPLAY_SCAN = 1;
export const DISPLAY_WRITE_BACK = 2;
/** Lines of a picture; a line is one transfer. */
export const LINES = 4;
export const LINE_WORDS = TRANSFER_WORDS_MAX;
/**
 * Ticks that scan-out pauses after a refused fetch, then it tries again by itself: a display that was not reset
 * may look idle and is not.
 */
export const UNDERRUN_TICKS = 150;

/** What one line of the panel shows, and whose data that is. */
export interface ShownLine {
  readonly words: readonly number[];
  readonly producer: VmInstance | null;
}

const BLACK: ShownLine = { words: [0, 0, 0, 0], producer: null };

export class DisplayModel implements DeviceModel {
  readonly #ports: DevicePorts;
  #control = 0;
  #framebuffer = 0;
  #framebufferBy: VmInstance | null = null;
  #writeBack = 0;
  #writeBackBy: VmInstance | null = null;
  #line = 0;
  #shown = 0;
  #pauseTicks = 0;
  #last: ShownLine = BLACK;
  #panel: ShownLine[] = new Array<ShownLine>(LINES).fill(BLACK);

  constructor(ports: DevicePorts) {
    this.#ports = ports;
  }

  /** What the panel shows now. */
  screen(): readonly ShownLine[] {
    return this.#panel;
  }

  read(offset: number, by: VmInstance): number {
    switch (offset) {
      case DISPLAY.CTRL:
        return this.#control;
      case DISPLAY.FB_ADDR:
        this.#ports.residualStateRead('framebuffer address', this.#framebufferBy, by);
        return this.#framebuffer;
      case DISPLAY.WB_ADDR:
        this.#ports.residualStateRead('write-back address', this.#writeBackBy, by);
        return this.#writeBack;
      case DISPLAY.FRAME_LINES:
        return this.#shown;
    }
    const index = (offset - DISPLAY.LINE) / 4;
    if (index < 0 || index >= LINE_WORDS) return 0;
    this.#ports.residualStateRead('last line', this.#last.producer, by);
    return this.#last.words[index]!;
  }

  write(offset: number, value: number, by: VmInstance): void {
    switch (offset) {
      case DISPLAY.CTRL:
        this.#control = value;
        this.#pauseTicks = 0;
        break;
      case DISPLAY.FB_ADDR:
        this.#framebuffer = value;
        this.#framebufferBy = by;
        break;
      case DISPLAY.WB_ADDR:
        this.#writeBack = value;
        this.#writeBackBy = by;
        break;
      case DISPLAY.RESET:
        this.reset();
        break;
    }
  }

  tick(): void {
    if ((this.#control & DISPLAY_SCAN) === 0 || this.#framebufferBy === null) return;
    if (this.#pauseTicks > 0) {
      this.#pauseTicks--;
      return;
    }
    const line = this.#line;
    this.#line = (line + 1) % LINES;
    this.#ports.startTransfer({
      device: this,
      stream: this.#ports.streams[0]!,
      address: this.#framebuffer + line * LINE_WORDS * 4,
      programmer: this.#framebufferBy,
      done: (words, producer) => this.#fetched(line, words, producer),
    });
  }

  reset(): void {
    this.#control = 0;
    this.#framebuffer = 0;
    this.#framebufferBy = null;
    this.#writeBack = 0;
    this.#writeBackBy = null;
    this.#line = 0;
    this.#shown = 0;
    this.#pauseTicks = 0;
    this.#last = BLACK;
    this.#panel = new Array<ShownLine>(LINES).fill(BLACK);
  }

  #fetched(line: number, words: readonly number[] | undefined, producer: VmInstance | null): void {
    // A line that arrives after a reset goes nowhere: the pipe behind it was cleared.
    if ((this.#control & DISPLAY_SCAN) === 0) return;
    this.#panel[line] = words === undefined ? BLACK : { words, producer };
    if (words === undefined) {
      this.#pauseTicks = UNDERRUN_TICKS;
      return;
    }
    this.#last = { words, producer };
    this.#shown++;
    if (line === LINES - 1) this.#ports.pulse();
    if ((this.#control & DISPLAY_WRITE_BACK) === 0 || this.#writeBackBy === null) return;
    this.#ports.startTransfer({
      device: this,
      stream: this.#ports.streams[1]!,
      address: this.#writeBack + line * LINE_WORDS * 4,
      words,
      programmer: this.#writeBackBy,
      producer,
      done: () => {},
    });
  }
}
