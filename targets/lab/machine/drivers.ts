/**
 * Small guest drivers for the simulated machine: touch and display, honest and misbehaving.
 *
 * A driver is a generator that yields one access at a time, so the same code runs three ways: `runProgram` drives
 * it over a VmContext in this process; a test steps it between any two writes of the hypervisor; and a process of
 * its own drives it over a socket with `runRemotely`, awaiting each answer. Drivers know IPAs and virtual
 * interrupts, never physical numbers, and have no way to report themselves.
 */

import { DISPLAY, DISPLAY_SCAN, DISPLAY_WRITE_BACK, LINE_WORDS, LINES } from './display.ts';
import { TOUCH, TOUCH_DMA, TOUCH_SCAN } from './touch.ts';
import { type AccessResult, RAM_IPA, type VmContext } from './vm.ts';

/** One access a driver makes. `value` is absent for a read. */
export interface GuestAccess {
  readonly kind: 'mmio' | 'ram' | 'endOfInterrupt';
  /** IPA, or the virtual interrupt that ends. */
  readonly at: number;
  readonly value?: number;
}

/** A piece of guest code: yields accesses, is sent what they gave, returns a result. */
export type Program<T> = Generator<GuestAccess, T, number>;

/** An access was answered by an abort, or its VM does not run. A kernel would oops here. */
export class GuestFault extends Error {
  override readonly name = 'GuestFault';
}

/** A context at the far end of a socket: the methods of VmContext, each answer awaited. */
export interface RemoteContext {
  access(access: GuestAccess): Promise<AccessResult>;
}

/** Carries out one access in this process. */
export function accessContext(context: VmContext, { kind, at, value }: GuestAccess): AccessResult {
  if (kind === 'endOfInterrupt') {
    context.endOfInterrupt(at);
    return { ok: true, value: 0 };
  }
  if (kind === 'mmio') return value === undefined ? context.mmioRead(at) : context.mmioWrite(at, value);
  return value === undefined ? context.ramRead(at) : context.ramWrite(at, value);
}

/** Runs a program to its end in this process. Throws a GuestFault as the program does. */
export function runProgram<T>(context: VmContext, program: Program<T>): T {
  let step = program.next();
  while (!step.done) step = resume(program, accessContext(context, step.value));
  return step.value;
}

/** Runs a program to its end against a context elsewhere. */
export async function runRemotely<T>(context: RemoteContext, program: Program<T>): Promise<T> {
  let step = program.next();
  while (!step.done) step = resume(program, await context.access(step.value));
  return step.value;
}

/** Lets a program make its next access. `first`: it has not made one yet. Returns the step, for the next call. */
export function stepProgram<T>(
  context: VmContext,
  program: Program<T>,
  last: IteratorResult<GuestAccess, T> | undefined,
): IteratorResult<GuestAccess, T> {
  if (last === undefined) return program.next();
  return last.done ? last : resume(program, accessContext(context, last.value));
}

function resume<T>(program: Program<T>, result: AccessResult): IteratorResult<GuestAccess, T> {
  if (result.ok) return program.next(result.value);
  return program.throw(new GuestFault(result.error));
}

/** A report as the driver gives it to its users. */
export interface TouchReport {
  readonly x: number;
  readonly y: number;
  readonly down: boolean;
}

/** Where a touch driver finds things: IPAs in bytes, and its virtual interrupt. */
export interface TouchView {
  readonly mmio: number;
  readonly interrupt: number;
}

/** IPA of the ring, in the VM's own RAM. */
export const RING_IPA = RAM_IPA + 0x4000;
/** Reports the ring holds. */
export const RING_REPORTS = 8;
/** IPA of the picture, in the VM's own RAM. */
export const FRAMEBUFFER_IPA = RAM_IPA + 0x8000;
/** IPA to which the display writes lines back. */
export const WRITE_BACK_IPA = RAM_IPA + 0xc000;

/** A touch driver: interrupt driven, reports by DMA ring. */
export class TouchDriver {
  readonly #view: TouchView;
  #tail = 0;
  #isSignalled = false;

  constructor(view: TouchView) {
    this.#view = view;
  }

  /** Interrupt handler: to be hung into `context.onInterrupt`. Returns whether it was this driver's. */
  interrupt(virtual: number): boolean {
    if (virtual !== this.#view.interrupt) return false;
    this.#isSignalled = true;
    return true;
  }

  /** Takes the hardware: ring, DMA, scanning. Also reads the device once, for an edge may have been lost. */
  *resume(): Program<void> {
    this.#tail = 0;
    // What another left there would be read here: the checker sees it.
    yield { kind: 'mmio', at: this.#view.mmio + TOUCH.RING_BASE };
    for (let slot = 0; slot < RING_REPORTS; slot++) {
      yield { kind: 'ram', at: RING_IPA + slot * 16 + 12, value: 0 };
    }
    yield this.#write(TOUCH.RING_BASE, RING_IPA);
    yield this.#write(TOUCH.RING_COUNT, RING_REPORTS);
    yield this.#write(TOUCH.CTRL, TOUCH_SCAN | TOUCH_DMA);
  }

  /** Lets go of the hardware: no scanning, no DMA, no interrupt. */
  *suspend(): Program<void> {
    yield this.#write(TOUCH.CTRL, 0);
    yield this.#write(TOUCH.RING_COUNT, 0);
    yield this.#write(TOUCH.IRQ_ACK, 1);
    if (this.#isSignalled) yield { kind: 'endOfInterrupt', at: this.#view.interrupt };
    this.#isSignalled = false;
  }

  /** Takes the reports that arrived since the last call, and ends the interrupt if there was one. */
  *poll(): Program<readonly TouchReport[]> {
    if (this.#isSignalled) {
      this.#isSignalled = false;
      yield this.#write(TOUCH.IRQ_ACK, 1);
      yield { kind: 'endOfInterrupt', at: this.#view.interrupt };
    }
    const reports: TouchReport[] = [];
    while (reports.length < RING_REPORTS) {
      const slot = RING_IPA + this.#tail * 16;
      if ((yield { kind: 'ram', at: slot + 12 }) !== 1) break;
      const word = yield { kind: 'ram', at: slot };
      yield { kind: 'ram', at: slot + 12, value: 0 };
      this.#tail = (this.#tail + 1) % RING_REPORTS;
      reports.push({ x: (word >>> 16) & 0x7fff, y: word & 0xffff, down: word >>> 31 === 1 });
    }
    return reports;
  }

  /** Misbehaves: says it is suspended, keeps reading the registers. Returns what it read. */
  *poke(): Program<number> {
    yield this.#write(TOUCH.CTRL, TOUCH_SCAN);
    return yield { kind: 'mmio', at: this.#view.mmio + TOUCH.FIFO };
  }

  /** Misbehaves: says it is suspended, leaves scanning and the DMA ring armed. */
  *fakeSuspend(): Program<void> {
    if (this.#isSignalled) yield { kind: 'endOfInterrupt', at: this.#view.interrupt };
    this.#isSignalled = false;
  }

  #write(register: number, value: number): GuestAccess {
    return { kind: 'mmio', at: this.#view.mmio + register, value };
  }
}

/** Where a display driver finds things. */
export interface DisplayView {
  readonly mmio: number;
  readonly interrupt: number;
}

/** A display driver: shows one picture of 16 words. */
export class DisplayDriver {
  readonly #view: DisplayView;
  #isSignalled = false;

  constructor(view: DisplayView) {
    this.#view = view;
  }

  /** Interrupt handler: to be hung into `context.onInterrupt`. Returns whether it was this driver's. */
  interrupt(virtual: number): boolean {
    if (virtual !== this.#view.interrupt) return false;
    this.#isSignalled = true;
    return true;
  }

  /** Takes the hardware: every DMA address is written anew, then scan-out starts, with lines written back. */
  *resume(): Program<void> {
    yield this.#write(DISPLAY.FB_ADDR, FRAMEBUFFER_IPA);
    yield this.#write(DISPLAY.WB_ADDR, WRITE_BACK_IPA);
    yield this.#write(DISPLAY.CTRL, DISPLAY_SCAN | DISPLAY_WRITE_BACK);
  }

  /** Lets go of the hardware: scan-out stops. */
  *suspend(): Program<void> {
    yield this.#write(DISPLAY.CTRL, 0);
    yield* this.serve();
  }

  /** Draws a picture of one colour word into the framebuffer. */
  *show(word: number): Program<void> {
    for (let index = 0; index < LINES * LINE_WORDS; index++) {
      yield { kind: 'ram', at: FRAMEBUFFER_IPA + index * 4, value: word };
    }
  }

  /** Ends a frame interrupt if there was one. */
  *serve(): Program<void> {
    if (!this.#isSignalled) return;
    this.#isSignalled = false;
    yield { kind: 'endOfInterrupt', at: this.#view.interrupt };
  }

  /** Misbehaves: looks at the framebuffer address and the last line after it let go. */
  *peek(): Program<readonly number[]> {
    const seen: number[] = [];
    seen.push(yield { kind: 'mmio', at: this.#view.mmio + DISPLAY.FB_ADDR });
    for (let index = 0; index < LINE_WORDS; index++) {
      seen.push(yield { kind: 'mmio', at: this.#view.mmio + DISPLAY.LINE + index * 4 });
    }
    return seen;
  }

  #write(register: number, value: number): GuestAccess {
    return { kind: 'mmio', at: this.#view.mmio + register, value };
  }
}
