/**
 * The QMP connection of one QEMU: dials and redials, runs commands with a deadline, and tracks whether its guest
 * runs.
 *
 * A guest runs as long as its QMP answers. SHUTDOWN, RESET, a closed connection, a missed deadline and a refused
 * status end it. A QEMU that only hangs returns as a new incarnation, which is the safe error. (QMP: a greeting,
 * `qmp_capabilities`, then commands with an `id` and events; see QEMU's docs/interop/qmp-spec.)
 */

import { type Json, Lines } from '../../../../common/lines.ts';
import type { VmId } from '../../../../core/protocol/ids.ts';
import type { ByteStream, Clock, Log, StreamNetwork } from '../../../../ports/world.ts';

/** Pause before an absent QEMU is redialled, in ms: a starting VM is seen this much later. */
export const REDIAL_MS = 500;
/** Most unanswered commands; more are refused. */
const OPEN_MAX = 64;
/** Of these, most from all callers of one QEMU together; the others are the link's own. */
export const CALLERS_MAX = OPEN_MAX - 8;
/** Longest error text of a QEMU that is kept, in characters. */
const TEXT_MAX = 200;

/** `waiting`: before its first instruction (`-S`); `none`: there is no guest, or it cannot be reached. */
export type GuestState = 'none' | 'waiting' | 'running';

/** The answer to one command. */
export type QmpAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: string };

export interface QmpParts {
  readonly vm: VmId;
  readonly address: string;
  /** Time limit of one answer, and of the greeting. */
  readonly limitMs: number;
  readonly network: Pick<StreamNetwork, 'connect'>;
  readonly clock: Clock;
  readonly log: Log;
  /** A guest started or ended. */
  readonly onState: (state: GuestState) => void;
}

/** Values of `query-status` without a guest that runs or may continue. */
const NOT_RUNNING = ['shutdown', 'guest-panicked', 'internal-error', 'inmigrate', 'postmigrate', 'preconfig'];

interface Open {
  readonly done: (answer: QmpAnswer) => void;
  readonly stopTimer: () => void;
}

export class QmpLink {
  readonly #parts: QmpParts;
  readonly #open = new Map<number, Open>();
  #state: GuestState = 'none';
  /** The present connection or attempt. */
  #lines: Lines | undefined;
  #attempt = 0;
  #lastId = 0;
  #stopTimer = () => {};
  #isClosed = false;
  /** The last logged error; it is not repeated every half second. */
  #told = '';
  /** Called once, after the first attempt. */
  #onFirst: (() => void) | undefined;

  constructor(parts: QmpParts) {
    this.#parts = parts;
  }

  get state(): GuestState {
    return this.#state;
  }

  /** Starts dialling. `done`: the first attempt has finished. */
  start(done: () => void): void {
    this.#onFirst = done;
    this.#dial();
  }

  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
    this.#drop('closed by us');
  }

  /** Sends a command; calls `done` once, within the deadline. */
  execute(command: string, args: Json | undefined, done: (answer: QmpAnswer) => void): void {
    const { vm, clock, limitMs } = this.#parts;
    if (!this.#lines) return done({ ok: false, error: `${vm}: no QMP connection` });
    if (this.#open.size >= OPEN_MAX)
      return done({ ok: false, error: `${vm}: ${OPEN_MAX} commands wait already` });
    this.#lastId += 1;
    const id = this.#lastId;
    const stopTimer = clock.after(limitMs, () =>
      this.#lost(`QMP did not answer ${command} within ${limitMs} ms`),
    );
    this.#open.set(id, { done, stopTimer });
    this.#lines.send({ execute: command, ...(args ? { arguments: args } : {}), id });
  }

  /** Starts a guest that waits before its first instruction. */
  release(): void {
    if (this.#state !== 'waiting') return;
    this.execute('cont', undefined, (answer) => {
      if (!answer.ok) this.#parts.log('error', `cont failed: ${answer.error}`, { vm: this.#parts.vm });
    });
  }

  #dial(): void {
    const { network, clock, address, limitMs } = this.#parts;
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#stopTimer = clock.after(limitMs, () => this.#lost(`no QMP greeting within ${limitMs} ms`));
    network.connect(address, (stream) => {
      const isLate = attempt !== this.#attempt || this.#isClosed;
      if (stream instanceof Error) return isLate ? undefined : this.#lost(stream.message);
      if (isLate) return stream.close();
      this.#converse(stream, attempt);
    });
  }

  #converse(stream: ByteStream, attempt: number): void {
    const isOurs = () => attempt === this.#attempt;
    this.#lines = new Lines(stream, {
      onLine: (line) => isOurs() && this.#take(line),
      onBad: (error) => isOurs() && this.#lost(`no QMP: ${error}`),
      onClose: (reason) => isOurs() && this.#lost(reason),
    });
  }

  #take(line: Json): void {
    if ('QMP' in line) {
      this.#stopTimer();
      this.#ask('qmp_capabilities', () => this.#assess());
    } else if (typeof line['event'] === 'string') {
      this.#event(line['event']);
    } else if (typeof line['id'] === 'number') {
      const open = this.#open.get(line['id']);
      this.#open.delete(line['id']);
      open?.stopTimer();
      open?.done(answerOf(line));
    }
  }

  #event(name: string): void {
    if (name === 'SHUTDOWN') this.#become('none', 'the guest has shut down');
    if (name === 'RESET') {
      this.#become('none', 'the guest was reset');
      this.#assess();
    }
    if (name === 'RESUME' && this.#state === 'waiting') this.#state = 'running';
    else if (name === 'RESUME' && this.#state === 'none') this.#assess();
  }

  /** Queries whether there is a guest. */
  #assess(): void {
    this.#ask('query-status', (value) => {
      if (this.#state !== 'none') return;
      const status = statusOf(value);
      this.#told = '';
      this.#become(
        status === 'prelaunch' ? 'waiting' : NOT_RUNNING.includes(status) ? 'none' : 'running',
        status,
      );
      this.#first();
    });
  }

  /** Runs a required query. A QEMU that answers with an error is unusable, and the query would not be repeated. */
  #ask(command: string, done: (value: unknown) => void): void {
    const attempt = this.#attempt;
    this.execute(command, undefined, (answer) => {
      if (answer.ok) done(answer.value);
      // Otherwise the connection was dropped, which is handled elsewhere.
      else if (attempt === this.#attempt) this.#lost(`${command}: ${answer.error}`);
    });
  }

  #become(state: GuestState, why: string): void {
    if (state === this.#state) return;
    this.#state = state;
    const { vm, log, onState } = this.#parts;
    log('info', state === 'none' ? 'VM ended' : 'VM found', { vm, why });
    onState(state);
  }

  /** The connection failed or was never made: retry. */
  #lost(reason: string): void {
    const { clock, log, vm, address } = this.#parts;
    if (this.#told !== reason && !this.#isClosed) log('warn', `no QMP: ${reason}`, { vm, address });
    this.#told = reason;
    this.#drop(reason);
    if (!this.#isClosed) this.#stopTimer = clock.after(REDIAL_MS, () => this.#dial());
    this.#first();
  }

  #drop(reason: string): void {
    this.#stopTimer();
    // Later data of the old connection is ignored.
    this.#attempt += 1;
    const lines = this.#lines;
    this.#lines = undefined;
    lines?.close();
    const waiting = [...this.#open.values()];
    this.#open.clear();
    this.#become('none', reason);
    for (const { done, stopTimer } of waiting) {
      stopTimer();
      done({ ok: false, error: `${this.#parts.vm}: ${reason}` });
    }
  }

  #first(): void {
    const told = this.#onFirst;
    this.#onFirst = undefined;
    told?.();
  }
}

function answerOf(line: Json): QmpAnswer {
  if ('return' in line) return { ok: true, value: line['return'] };
  const { desc } = (line['error'] ?? {}) as { desc?: unknown };
  return {
    ok: false,
    error: typeof desc === 'string' ? desc.slice(0, TEXT_MAX) : 'refused without a reason',
  };
}

function statusOf(value: unknown): string {
  const status = (value as { status?: unknown } | null)?.status;
  return typeof status === 'string' ? status : 'internal-error';
}
