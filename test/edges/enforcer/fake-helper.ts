/** A tiny platform helper behind a UNIX socket, as docs/PLATFORMS.md describes it: keeps who holds what. */

import { createServer, type Server, type Socket } from 'node:net';
import { type BundleDefinition, resourcesOf } from '../../../src/core/protocol/bundle.ts';
import type { EnforcerCall } from '../../../src/ports/enforcer.ts';

type Line = Readonly<Record<string, unknown>>;
type Answer = Line & { readonly ok: boolean };

export const HELLO = {
  name: 'kvm',
  kind: 'central',
  evidence: 'observed',
  machineBoot: 'b1',
  running: ['android', 'vault'],
  capabilities: { forceRevoke: true, reset: true, faultReport: true },
};

export class FakeHelper {
  /** What the host sent, besides hello. */
  readonly lines: Line[] = [];
  /** What hello is answered with. */
  hello: Line = HELLO;
  /** Told again to whoever listens. */
  unacknowledged: Line[] = [];
  /** Answers to runs are kept back. */
  isSilent = false;
  readonly #bundle: BundleDefinition;
  readonly #holders = new Map<string, string>();
  readonly #unsettled = new Set<string>();
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;

  constructor(bundle: BundleDefinition) {
    this.#bundle = bundle;
    this.#server = createServer((socket) => {
      let waiting = '';
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('data', (bytes) => {
        const lines = (waiting + bytes.toString()).split('\n');
        waiting = lines.pop()!;
        for (const line of lines) if (line !== '') this.#take(socket, JSON.parse(line) as Line);
      });
    });
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve) => this.#server.listen(path, resolve));
  }

  /** Tells every host something. */
  tell(line: Line): void {
    for (const socket of this.#sockets) send(socket, line);
  }

  /** Ends the connections, as a helper that dies does. */
  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  stop(): void {
    this.hangUp();
    this.#server.close();
  }

  #take(socket: Socket, line: Line): void {
    const { id } = line;
    if (line['do'] === 'hello') return send(socket, { id, ...this.hello });
    this.lines.push(line);
    if (line['do'] === 'listen') for (const event of this.unacknowledged) send(socket, event);
    if (line['do'] !== 'run' || this.isSilent) return;
    const answers: Answer[] = [];
    for (const call of line['calls'] as EnforcerCall[]) {
      answers.push(this.#answer(String(line['bundle']), call));
      if (!answers.at(-1)!.ok) break;
    }
    send(socket, { id, answers, faults: [] });
  }

  #answer(bundle: string, call: EnforcerCall): Answer {
    if (bundle !== this.#bundle.id) return { ok: false, error: `no bundle is called ${bundle}` };
    if (call.op === 'settle') {
      this.#unsettled.clear();
      return { ok: true, syncs: 1 };
    }
    if (call.op === 'reset' || call.op === 'drained') {
      const isKnown = this.#bundle.devices.some(({ id }) => id === call.device);
      return isKnown ? { ok: true, idle: true } : { ok: false, error: `no device is called ${call.device}` };
    }
    const { resource } = call;
    if (!resourcesOf(this.#bundle).some(({ id }) => id === resource))
      return { ok: false, error: `no resource is called ${resource}` };
    if (call.op === 'inspect') return { ok: true, reach: this.#holders.get(resource) ?? 'blocked' };
    if (call.op === 'grant') return this.#grant(resource, call.vm);
    if (this.#holders.delete(resource)) this.#unsettled.add(resource);
    return { ok: true };
  }

  #grant(resource: string, vm: string): Answer {
    const holder = this.#holders.get(resource);
    if (!HELLO.running.includes(vm)) return { ok: false, error: `no VM runs that is called ${vm}` };
    if (holder !== undefined && holder !== vm)
      return { ok: false, error: `${resource} is held by ${holder}` };
    if (this.#unsettled.has(resource)) return { ok: false, error: `${resource} is fenced, not settled` };
    this.#holders.set(resource, vm);
    return { ok: true };
  }
}

function send(socket: Socket, line: Line): void {
  socket.write(`${JSON.stringify(line)}\n`);
}
