/** QEMUs that speak QMP, and programs that feed input, over streams in memory on a virtual clock. */

import { encodeLine, type Json, Lines } from '../../../src/common/lines.ts';
import type { ByteStream, ByteStreamListener, StreamNetwork } from '../../../src/ports/world.ts';
import type { VirtualClock } from '../../../targets/lab/virtual-clock.ts';

/** Two connected ends; what is written arrives a millisecond later. */
function pipe(clock: VirtualClock): [ByteStream, ByteStream] {
  const listeners: (ByteStreamListener | undefined)[] = [undefined, undefined];
  let isClosed = false;
  const end = (self: 0 | 1): ByteStream => ({
    open: (listener) => {
      listeners[self] = listener;
    },
    write: (bytes) => {
      if (isClosed) return false;
      clock.after(1, () => listeners[1 - self]?.onData(bytes));
      return true;
    },
    close: () => {
      if (isClosed) return;
      isClosed = true;
      clock.after(1, () => {
        for (const listener of listeners) listener?.onClose('closed');
      });
    },
  });
  return [end(0), end(1)];
}

/** Addresses, who listens at them, and who hangs there. */
export class FakeStreams implements StreamNetwork {
  readonly listeners = new Map<string, (stream: ByteStream) => void>();
  /** Addresses at which nobody ever answers. */
  readonly silent = new Set<string>();
  /** Addresses at which a connection takes so many milliseconds. */
  readonly slow = new Map<string, number>();
  dials = 0;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  connect(address: string, done: (result: ByteStream | Error) => void): void {
    this.dials += 1;
    if (this.silent.has(address)) return;
    const listener = this.listeners.get(address);
    if (!listener) return done(new Error(`${address}: ECONNREFUSED`));
    const [ours, theirs] = pipe(this.#clock);
    listener(theirs);
    const delayMs = this.slow.get(address);
    if (delayMs === undefined) done(ours);
    else this.#clock.after(delayMs, () => done(ours));
  }

  listen(
    address: string,
    onConnection: (stream: ByteStream) => void,
    done: (error: Error | undefined) => void,
  ): () => void {
    if (this.listeners.has(address)) done(new Error(`${address}: EADDRINUSE`));
    else {
      this.listeners.set(address, onConnection);
      done(undefined);
    }
    return () => this.listeners.delete(address);
  }
}

/** What a QEMU does with a command: an answer, an error, silence, or an answer when the test says so. */
export type Reaction = 'answer' | 'error' | 'silence' | 'later';

/** A QEMU with its QMP socket. */
export class FakeQemu {
  /** Events that its guest got, as short texts. */
  readonly seen: string[] = [];
  readonly commands: string[] = [];
  status: string;
  /** By command; `*` for all. */
  readonly reactions = new Map<string, Reaction>();
  greets = true;
  /** Commands that are answered later. */
  readonly #held: (() => void)[] = [];
  readonly #network: FakeStreams;
  readonly #address: string;
  readonly #connections = new Set<{ lines: Lines; stream: ByteStream }>();

  constructor(network: FakeStreams, address: string, status = 'running') {
    this.#network = network;
    this.#address = address;
    this.status = status;
    this.start();
  }

  get connections(): number {
    return this.#connections.size;
  }

  start(): void {
    this.#network.listen(
      this.#address,
      (stream) => this.#accept(stream),
      () => {},
    );
  }

  /** The process is gone. */
  die(): void {
    this.#network.listeners.delete(this.#address);
    for (const { stream } of [...this.#connections]) stream.close();
  }

  emit(event: string): void {
    this.say({ event, data: {}, timestamp: { seconds: 1, microseconds: 0 } });
  }

  say(value: Json): void {
    for (const { lines } of this.#connections) lines.send(value);
  }

  /** Bytes that are no QMP. */
  babble(text: string): void {
    const bytes = Uint8Array.from(text, (char) => char.charCodeAt(0));
    for (const { stream } of this.#connections) stream.write(bytes);
  }

  #accept(stream: ByteStream): void {
    const lines = new Lines(stream, {
      onLine: (line) => this.#take(lines, line),
      onBad: () => {},
      onClose: () => this.#connections.delete(connection),
    });
    const connection = { lines, stream };
    this.#connections.add(connection);
    if (this.greets) lines.send({ QMP: { version: {}, capabilities: ['oob'] } });
  }

  #take(lines: Lines, line: Json): void {
    const command = String(line['execute']);
    this.commands.push(command);
    const reaction = this.reactions.get(command) ?? this.reactions.get('*') ?? 'answer';
    if (reaction === 'silence') return;
    if (reaction === 'later') return void this.#held.push(() => this.#answer(lines, line, command));
    if (reaction === 'error') {
      lines.send({ id: line['id'], error: { class: 'GenericError', desc: `${command} is not for us` } });
      return;
    }
    this.#answer(lines, line, command);
  }

  /** Answers what was to be answered later. */
  catchUp(): void {
    this.reactions.clear();
    for (const answer of this.#held.splice(0)) answer();
  }

  #answer(lines: Lines, line: Json, command: string): void {
    if (command === 'cont') {
      this.status = 'running';
      this.emit('RESUME');
    }
    if (command === 'input-send-event') {
      const { events } = line['arguments'] as { events: { type: string; data: Json }[] };
      this.seen.push(...events.map(textOf));
    }
    lines.send({ id: line['id'], return: command === 'query-status' ? { status: this.status } : {} });
  }
}

function textOf({ type, data }: { type: string; data: Json }): string {
  if (type === 'rel' || type === 'abs') return `${data['axis']}=${data['value']}`;
  const name = type === 'btn' ? data['button'] : (data['key'] as Json)['data'];
  return `${data['down'] ? '+' : '-'}${name}`;
}

/** A program that reads a device and feeds what it reads. */
export class Feeder {
  readonly stream: ByteStream;
  isClosed = false;

  constructor(network: FakeStreams, address: string) {
    let made: ByteStream | Error | undefined;
    network.connect(address, (result) => {
      made = result;
    });
    if (made === undefined || made instanceof Error) throw made ?? new Error(`${address}: silent`);
    this.stream = made;
    this.stream.open({
      onData: () => {},
      onClose: () => {
        this.isClosed = true;
      },
    });
  }

  send(...events: object[]): void {
    this.stream.write(encodeLine({ events }));
  }
}

export const key = (data: string, down: boolean) => ({
  type: 'key',
  data: { down, key: { type: 'qcode', data } },
});
export const touch = (down: boolean) => ({ type: 'btn', data: { down, button: 'left' } });
export const abs = (axis: 'x' | 'y', value: number) => ({ type: 'abs', data: { axis, value } });
