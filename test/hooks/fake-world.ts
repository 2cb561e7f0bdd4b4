/**
 * A machine in memory for tests of the hooks: attributes with a small kernel behind them, scripted programs, a lock,
 * all over a virtual clock. What was done is kept in `events`, in order.
 */

import type { HookLock, HookWorld, LockAnswer, ProgramEnd, ProgramOrder } from '../../src/hooks/world.ts';
import type { ByteStream, ByteStreamListener } from '../../src/ports.ts';
import { VirtualClock } from '../../src/simulation/virtual-clock.ts';

/** A program of the fake machine: how it ends, or 'hang' until it is killed. */
export type Script = Partial<ProgramEnd> | 'hang' | 'unkillable';

export class FakeWorld implements HookWorld {
  readonly clock = new VirtualClock();
  readonly sys = '/sys';
  readonly events: string[] = [];
  readonly files = new Map<string, string>();
  readonly links = new Map<string, string>();
  readonly folders = new Set<string>();
  /** The kernel: what a write to a path makes happen. A thrown error refuses it, a promise delays it. */
  readonly onWrite = new Map<string, (text: string) => void | Promise<void>>();
  /** By the whole command line; a program without a script succeeds. */
  readonly scripts = new Map<string, Script>();
  readonly orders: ProgramOrder[] = [];
  /** Who has the lock without us, as `take` sees it. */
  heldBy: 'agent' | 'run' | undefined;
  /** What `evict` does. */
  onEvict: () => number = () => 0;
  isLocked = false;
  /** Programs that answer requests, by path of their sockets. */
  readonly servers = new Map<string, FakeServer>();

  readonly attributes: HookWorld['attributes'] = {
    read: async (path) => {
      const text = this.files.get(path);
      if (text === undefined) throw new Error(`ENOENT: ${path}`);
      return `${text}\n`;
    },
    write: async (path, text) => {
      if (!this.files.has(path)) throw new Error(`ENOENT: ${path}`);
      this.events.push(`${path}=${text}`);
      await this.onWrite.get(path)?.(text);
      this.files.set(path, text);
    },
    linkName: async (path) => this.links.get(path),
    exists: async (path) => this.folders.has(path),
    list: async (path) => {
      const names = [...this.files.keys()].flatMap((file) =>
        file.startsWith(`${path}/`) ? [file.slice(path.length + 1).split('/')[0]!] : [],
      );
      if (names.length === 0) throw new Error(`ENOENT: ${path}`);
      return [...new Set(names)];
    },
  };

  readonly streams: HookWorld['streams'] = {
    connect: (address, done) => {
      const server = this.servers.get(address.replace('unix:', ''));
      done(server ? server.connect() : new Error(`${address}: ECONNREFUSED`));
    },
  };

  readonly locks: HookWorld['locks'] = {
    take: async (): Promise<LockAnswer> => {
      if (this.heldBy) return { ok: false, by: this.heldBy };
      if (this.isLocked) return { ok: false, by: 'run' };
      this.isLocked = true;
      return { ok: true, lock: this.#lock() };
    },
    evict: async () => {
      this.events.push('evict');
      return this.onEvict();
    },
  };

  #lock(): HookLock {
    return {
      start: (order, done) => {
        const line = order.command.join(' ');
        const script = this.scripts.get(line) ?? { how: { status: 0 } };
        this.orders.push(order);
        this.events.push(`${order.environment['BATON_HOOK']}: ${line}`);
        const end = (how: ProgramEnd['how']) => done({ stdout: '', stderr: '', how });
        if (typeof script !== 'string') done({ how: { status: 0 }, stdout: '', stderr: '', ...script });
        return {
          signal: (kind) => {
            this.events.push(`${kind} ${line}`);
            if (kind === 'kill' && script === 'hang') end({ signal: 'SIGKILL' });
          },
        };
      },
      release: () => {
        this.isLocked = false;
      },
    };
  }

  /** Lets time pass until `promise` is settled. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    promise.then(over, over);
    for (let turns = 0; !isOver; turns++) {
      if (turns > 20_000) throw new Error('no end in sight');
      // Every promise that can settle without time passing has settled after this.
      await new Promise((done) => setImmediate(done));
      if (!isOver) this.clock.step();
    }
    return promise;
  }
}

/** A long-lived program in memory: answers lines as `answer` says, not at all when it returns undefined. */
export class FakeServer {
  readonly requests: Record<string, unknown>[] = [];
  connections = 0;
  readonly #answer: (request: Record<string, unknown>) => object | 'break' | undefined;
  readonly #listeners = new Set<ByteStreamListener>();

  constructor(answer: (request: Record<string, unknown>) => object | 'break' | undefined) {
    this.#answer = answer;
  }

  connect(): ByteStream {
    this.connections += 1;
    let listener: ByteStreamListener | undefined;
    const close = () => {
      if (listener && this.#listeners.delete(listener)) listener.onClose('closed');
    };
    return {
      open: (opened) => {
        listener = opened;
        this.#listeners.add(opened);
      },
      write: (bytes) => {
        const request = JSON.parse(new TextDecoder().decode(bytes));
        this.requests.push(request);
        const answer = this.#answer(request);
        if (answer === 'break') close();
        else if (answer) {
          const line = `${JSON.stringify({ id: request.id, ...answer })}\n`;
          queueMicrotask(() => listener?.onData(new TextEncoder().encode(line)));
        }
        return true;
      },
      close,
    };
  }

  /** Ends all connections, as a program that is restarted does. */
  restart(): void {
    for (const listener of [...this.#listeners]) {
      this.#listeners.delete(listener);
      listener.onClose('restarted');
    }
  }
}
