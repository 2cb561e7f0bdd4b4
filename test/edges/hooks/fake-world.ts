/**
 * A machine in memory for tests of the hooks: attributes with a small kernel behind them, scripted programs, a lock,
 * all over a virtual clock. What was done is kept in `events`, in order.
 */

import type {
  HookLock,
  HookWorld,
  LockAnswer,
  ProgramEnd,
  ProgramOrder,
} from '../../../src/edges/hooks/world.ts';
import type { ByteStream, ByteStreamListener } from '../../../src/ports/world.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';

/** A program of the fake machine: how it ends, or 'hang' until it is killed. */
export type Script = Partial<ProgramEnd> | 'hang' | 'unkillable';

export class FakeWorld implements HookWorld {
  readonly clock = new VirtualClock();
  readonly sys = '/sys';
  readonly events: string[] = [];
  readonly files = new Map<string, string>();
  readonly links = new Map<string, string>();
  readonly folders = new Set<string>();
  /** Symbolic links to folders, by their path. */
  readonly reals = new Map<string, string>();
  /**
   * The kernel: what a write to a path makes happen. A thrown error refuses it, a promise delays it, a text is what
   * it reads then.
   */
  readonly onWrite = new Map<string, (text: string) => void | string | Promise<void>>();
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
      const text = this.files.get(this.#real(path));
      if (text === undefined) throw new Error(`ENOENT: ${path}`);
      return `${text}\n`;
    },
    write: async (given, text) => {
      const path = this.#real(given);
      if (!this.files.has(path)) throw new Error(`ENOENT: ${path}`);
      this.events.push(`${path}=${text}`);
      const reads = await this.onWrite.get(path)?.(text);
      this.files.set(path, reads ?? text);
    },
    linkName: async (path) => this.links.get(path),
    exists: async (path) => {
      const real = this.#real(path);
      return this.folders.has(real) || this.files.has(real) || this.#below(real).length > 0;
    },
    list: async (path) => {
      const real = this.#real(path);
      const links = [...this.reals.keys()].flatMap((link) => this.#nameIn(path, link));
      const names = [...this.#below(real).map(({ name }) => name), ...links];
      if (names.length === 0) throw new Error(`ENOENT: ${path}`);
      return [...new Set(names)];
    },
    folders: async (path) => {
      const names = this.#below(this.#real(path)).flatMap(({ name, isFolder }) => (isFolder ? [name] : []));
      return [...new Set(names)];
    },
    realPath: async (path) => this.#real(path),
  };

  /** What this machine keeps for agents, by bundle. */
  readonly kept = new Map<string, string>();
  /** Why nothing can be kept. */
  noteFault: string | undefined;

  readonly notes: HookWorld['notes'] = {
    boot: 'boot-1',
    load: (bundle) => this.kept.get(bundle),
    save: (bundle, text) => {
      if (this.noteFault !== undefined) throw new Error(this.noteFault);
      this.kept.set(bundle, text);
    },
  };

  #real(path: string): string {
    for (const [link, target] of this.reals)
      if (path === link || path.startsWith(`${link}/`)) return this.#real(target + path.slice(link.length));
    return path;
  }

  #nameIn(folder: string, path: string): string[] {
    return path.startsWith(`${folder}/`) ? [path.slice(folder.length + 1).split('/')[0]!] : [];
  }

  #below(folder: string): { name: string; isFolder: boolean }[] {
    const of = (path: string, isFolder: boolean) =>
      this.#nameIn(folder, path).map((name) => ({
        name,
        isFolder: isFolder || path !== `${folder}/${name}`,
      }));
    return [
      ...[...this.files.keys()].flatMap((path) => of(path, false)),
      ...[...this.folders].flatMap((path) => of(path, true)),
    ];
  }

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
