/**
 * A finger at the tablet of the emulated machine, from outside it (QMP), and the judge of who felt it: it goes only
 * by what the guests' own input devices reported.
 */

import { connect, type Socket } from 'node:net';
import { paced } from '../../support/pace.ts';

/** Time between two places, in ms: some 60 Hz, less where each event takes the emulated machine longer. */
const STEP_MS = paced(16);
/** QEMU's tablet has places 0 to 32767; each is used once, so that every report tells when it was made. */
const PLACES = 0x7fff;

/** Moves to the next place every few milliseconds, whoever holds the tablet. */
export class Finger {
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  #place = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#timer = setInterval(() => this.#move(), STEP_MS);
  }

  /** `qmp`: QEMU's control socket, which nobody else uses. */
  static async on(qmp: string): Promise<Finger> {
    const socket = connect(qmp);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    socket.on('error', () => {});
    // Answers are of no use here; events of QEMU neither.
    socket.resume();
    socket.write('{"execute":"qmp_capabilities"}\n');
    return new Finger(socket);
  }

  /** The place that it is at. */
  get place(): number {
    return this.#place;
  }

  lift(): void {
    clearInterval(this.#timer);
    this.#socket.destroy();
  }

  #move(): void {
    if (this.#place === PLACES) return;
    const events = [{ type: 'abs', data: { axis: 'x', value: ++this.#place } }];
    this.#socket.write(`${JSON.stringify({ execute: 'input-send-event', arguments: { events } })}\n`);
  }
}

/** What a guest felt, in the order in which it felt it. */
export interface Felt {
  readonly vm: string;
  readonly place: number;
}

/** Who may feel from now on, as the host told it when the finger was at `place`. */
export interface Told {
  readonly holder: string | undefined;
  readonly place: number;
  readonly atMs: number;
}

/**
 * How long the host's word may be on its way behind a touch that follows from it, in ms: a resumed driver takes
 * longer.
 */
const WORD_MS = paced(1_000);

/**
 * Touches of guests that could not have had them: made after the host had told that somebody else holds, or nobody,
 * and felt before the one who felt them held again. `turnsOf` alone would take what an old holder still feels for a
 * turn that lasts longer.
 */
export function straysOf(felt: readonly (Felt & { readonly atMs: number })[], told: readonly Told[]): Felt[] {
  return felt.flatMap(({ vm, place, atMs }) => {
    const since = told.filter((each) => each.place < place).length - 1;
    const may = told.filter((each, index) => index >= since && each.atMs <= atMs + WORD_MS);
    return since < 0 || may.some(({ holder }) => holder === vm) ? [] : [{ vm, place }];
  });
}

/** Touches of one guest in a row, without one of the other between them. */
export interface Turn {
  readonly vm: string;
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/**
 * Puts what both guests felt into the order of the finger, and returns whose turn it was. Throws when a place was
 * felt twice: then both had the tablet, or somebody got what was another's.
 */
export function turnsOf(felt: readonly Felt[]): readonly Turn[] {
  const turns: Turn[] = [];
  let last = -1;
  for (const { vm, place } of [...felt].sort((a, b) => a.place - b.place)) {
    if (place === last) throw new Error(`place ${place} was felt twice`);
    last = place;
    const turn = turns.at(-1);
    if (turn?.vm === vm) turns[turns.length - 1] = { ...turn, to: place, count: turn.count + 1 };
    else turns.push({ vm, from: place, to: place, count: 1 });
  }
  return turns;
}
