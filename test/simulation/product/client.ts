/** A program at a control socket of the product: it says what it wants, and keeps what it was last shown. */

import { type Json, Lines } from '../../../src/common/lines.ts';
import type { ByteStream, ByteStreamListener } from '../../../src/ports/world.ts';
import type { SimulatedProcess } from './process.ts';

/** What daemons show of a bundle; the rest of their views nobody here asks for. */
export interface Shown {
  readonly bundle: string;
  readonly state: string;
  readonly holder: string | null;
  readonly owner: string;
  readonly epoch: number;
  readonly reason: string;
  /** The host’s. */
  readonly incarnation: number | null;
  readonly confirmed: boolean;
  /** An agent’s. */
  readonly role: 'owner' | 'borrower';
  readonly driver: string;
}

export class Client {
  readonly #process: SimulatedProcess;
  readonly #shown = new Map<string, Shown>();
  readonly #onChange: (bundle: string) => void;
  #server: ByteStreamListener | undefined;
  #lines: Lines;
  #ids = 0;

  /** `accept`: of the daemon in `process`. `onChange`: something is shown anew. */
  constructor(
    process: SimulatedProcess,
    accept: (stream: ByteStream) => void,
    onChange: (bundle: string) => void = () => {},
  ) {
    this.#process = process;
    this.#onChange = onChange;
    let client: ByteStreamListener | undefined;
    this.#lines = new Lines(
      {
        open: (listener) => {
          client = listener;
        },
        write: (bytes) => {
          process.enter(() => this.#server?.onData(bytes));
          return true;
        },
        close: () => process.enter(() => this.#server?.onClose('closed')),
      },
      { onLine: (line) => this.#take(line), onBad: () => {}, onClose: () => {} },
    );
    accept({
      open: (listener) => {
        this.#server = listener;
      },
      write: (bytes) => {
        client?.onData(bytes);
        return true;
      },
      close: () => client?.onClose('closed'),
    });
  }

  /** Whether the daemon lives. */
  get isOpen(): boolean {
    return this.#process.isAlive;
  }

  /** Sends a request; what it is answered shows in the bundles. */
  ask(request: Json): void {
    this.#ids += 1;
    this.#lines.send({ id: this.#ids, ...request });
  }

  /** The program ends: what it borrowed goes back. */
  close(): void {
    this.#lines.close();
  }

  /** How a bundle was shown last; undefined when the daemon is dead. */
  shown(bundle: string): Shown | undefined {
    return this.isOpen ? this.#shown.get(bundle) : undefined;
  }

  #take(line: Json): void {
    const { bundles } = line as { bundles?: readonly Shown[] };
    for (const shown of bundles ?? []) this.#shown.set(shown.bundle, shown);
    if (line['event'] !== 'changed') return;
    const shown = line as unknown as Shown;
    this.#shown.set(shown.bundle, shown);
    this.#onChange(shown.bundle);
  }
}
