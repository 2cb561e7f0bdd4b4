/**
 * A VMM that offers vsock over UNIX sockets, as Firecracker and Cloud Hypervisor do. Its guest is whoever listens at,
 * and connects to, sockets of this process: `CONNECT PORT` on its socket leads to the guest's listener, and `dial` of
 * the guest to the host's.
 */

import { connect, createServer, type Server, type Socket } from 'node:net';

export class FakeVmm {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** What listens in the guest, by port. */
  readonly guest = new Map<number, (socket: Socket) => void>();
  /** Answers something else than `OK`, or nothing for ever. */
  wrongAnswer: string | undefined;

  constructor(path: string) {
    this.path = path;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
  }

  listen(): Promise<void> {
    return new Promise((done) => this.#server.listen(this.path, done));
  }

  /** A connection of the guest to a port of the host. */
  dial(port: number): Socket {
    return this.#kept(connect(`${this.path}_${port}`));
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #kept(socket: Socket): Socket {
    this.#sockets.add(socket.on('error', () => {}));
    return socket;
  }

  #serve(socket: Socket): void {
    this.#kept(socket);
    let line = '';
    const onData = (bytes: Buffer) => {
      line += bytes.toString('latin1');
      const end = line.indexOf('\n');
      if (end < 0) return;
      socket.removeListener('data', onData);
      const port = Number(/^CONNECT (\d+)$/.exec(line.slice(0, end))?.[1]);
      const listener = this.guest.get(port);
      if (this.wrongAnswer !== undefined) return void socket.write(this.wrongAnswer);
      // Nobody listens: it hangs up without a word.
      if (!listener) return void socket.destroy();
      socket.pause();
      if (end + 1 < line.length) socket.unshift(Buffer.from(line.slice(end + 1), 'latin1'));
      socket.write('OK 1073741824\n');
      listener(socket);
    };
    socket.on('data', onData);
  }
}

/**
 * Starts a VMM whose guest hands on to the same port of the host, as a guest's kernel does for a program that dials
 * it.
 */
export async function handingVmm(path: string, port: number): Promise<FakeVmm> {
  const vmm = new FakeVmm(path);
  vmm.guest.set(port, (socket) => {
    const on = vmm.dial(port);
    on.on('close', () => socket.destroy());
    socket.on('close', () => on.destroy());
    socket.pipe(on).pipe(socket);
  });
  await vmm.listen();
  return vmm;
}
