/** A tap between a host and `baton-kvm`: it tells what is ordered, and how long it takes. */

import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Json } from '../../../src/common/lines.ts';
import type { EnforcerCall } from '../../../src/ports/enforcer.ts';

export type Op = EnforcerCall['op'];

/** Stands between host and `baton-kvm`, and hands everything on. */
export class Tap {
  /** How long the runs took that began with a call, in ms, seen from here. */
  readonly tookMs: { readonly op: Op; readonly ms: number }[] = [];
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #open = new Map<number, { readonly op: Op; readonly startMs: number }>();
  readonly #waiting: { readonly op: Op; readonly done: () => void }[] = [];

  constructor(path: string, behind: string) {
    this.path = path;
    this.#server = createServer((host) => {
      const kvm = createConnection(behind);
      this.#join(host, kvm, (line) => this.#onRequest(line));
      this.#join(kvm, host, (line) => this.#onAnswer(line));
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.path, resolve));
  }

  /** Resolves as soon as the host has ordered a run that begins with `op`, and before it is answered. */
  ordered(op: Op): Promise<void> {
    return new Promise((done) => this.#waiting.push({ op, done }));
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #join(from: Socket, to: Socket, look: (line: Json) => void): void {
    let text = '';
    this.#sockets.add(from);
    from.on('error', () => {});
    from.on('close', () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    from.on('data', (bytes: Buffer) => {
      to.write(bytes);
      const lines = (text + bytes.toString()).split('\n');
      text = lines.pop()!;
      for (const line of lines) if (line !== '') look(JSON.parse(line) as Json);
    });
  }

  #onRequest({ id, calls }: Json): void {
    const op = (calls as EnforcerCall[] | undefined)?.[0]?.op;
    if (op === undefined) return;
    this.#open.set(Number(id), { op, startMs: performance.now() });
    const index = this.#waiting.findIndex((waiter) => waiter.op === op);
    if (index >= 0) this.#waiting.splice(index, 1)[0]!.done();
  }

  #onAnswer({ id }: Json): void {
    const open = this.#open.get(Number(id));
    if (!open) return;
    this.#open.delete(Number(id));
    this.tookMs.push({ op: open.op, ms: performance.now() - open.startMs });
  }
}
