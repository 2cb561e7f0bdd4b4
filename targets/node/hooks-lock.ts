/**
 * Locks of driver hooks, as name-lock.ts has them: a program of a hook inherits a copy of the descriptor (3), and so do
 * its descendants.
 *
 * Per bundle two names: `agent`, kept from first use until the agent ends, never inherited, refuses a second agent;
 * `run`, taken anew for each run, is what an orphan keeps taken. What it guarantees: no run starts while any process
 * that an earlier run started, at any depth, still has descriptor 3, whether or not its agent is alive.
 * What it does not: a descendant that closes descriptor 3 (a daemon that closes everything) is no longer seen; agents
 * in different network name spaces do not see each other; and any local process may squat a name, which stops
 * the hooks of that bundle (hookStuck) but is never taken for ours and never killed.
 */

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { HookLock, HookLocks, LockAnswer } from '../../src/hooks/world.ts';
import type { BundleId } from '../../src/protocol/ids.ts';
import { startProgram } from './hooks-program.ts';
import { bindName, nameOfPath } from './name-lock.ts';

/** The hook locks of one agent, told apart from those of others by its state folder. */
export class NodeHookLocks implements HookLocks {
  readonly #folder: string;
  readonly #prefix: string;
  readonly #agents = new Map<BundleId, Server>();

  /** Makes `folder` if need be. Nobody else may write to it. */
  constructor(folder: string) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = realpathSync(folder);
    this.#prefix = nameOfPath('hooks', this.#folder);
  }

  async take(bundle: BundleId): Promise<LockAnswer> {
    if (!this.#agents.has(bundle)) {
      const agent = await bindName(this.#nameOf(bundle, 'agent'));
      if (!agent) return { ok: false, by: 'agent' };
      this.#agents.set(bundle, agent);
    }
    const server = await bindName(this.#nameOf(bundle, 'run'));
    return server ? { ok: true, lock: this.#lockOf(bundle, server) } : { ok: false, by: 'run' };
  }

  async evict(bundle: BundleId): Promise<number> {
    const inode = this.#heldInode(bundle);
    if (inode === undefined) return 0;
    const groups = new Set(holdersOf(inode).map(groupOf));
    // Never our own group, and never group 0 or 1, which kill(2) reads as something else.
    groups.delete(groupOf(process.pid));
    const killed = [...groups].filter((group) => group !== undefined && group > 1 && killGroup(group));
    return killed.length;
  }

  /** Lets another agent have the hooks. A running program keeps its `run` lock all the same. */
  close(): void {
    for (const server of this.#agents.values()) server.close();
    this.#agents.clear();
  }

  #nameOf(bundle: BundleId, what: 'agent' | 'run'): string {
    return `${this.#prefix}-${bundle}-${what}`;
  }

  #notePath(bundle: BundleId): string {
    return join(this.#folder, `hooks-${bundle}.lock`);
  }

  #lockOf(bundle: BundleId, server: Server): HookLock {
    const fd = descriptorOf(server);
    let isNoted = false;
    return {
      start: (order, done) => {
        // Before the first program has it: the proof by which a later agent knows an orphan for ours.
        if (!isNoted) this.#note(bundle, inodeOf(process.pid, String(fd)));
        isNoted = true;
        return startProgram(order, fd, done);
      },
      release: () => server.close(),
    };
  }

  #note(bundle: BundleId, inode: string | undefined): void {
    const path = this.#notePath(bundle);
    writeFileSync(`${path}.new`, `${inode}\n`, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  /** The socket that has the name of the `run` lock now, if it is the one that we noted: inode numbers come again. */
  #heldInode(bundle: BundleId): string | undefined {
    let noted: string;
    try {
      noted = readFileSync(this.#notePath(bundle), 'utf8').trim();
    } catch {
      return undefined;
    }
    const name = `@${this.#nameOf(bundle, 'run')}`;
    const rows = readFileSync('/proc/net/unix', 'utf8').split('\n');
    // Columns: address, references, protocol, flags, type, state, inode, path (padded with @).
    const isHeld = rows.some((row) => {
      const columns = row.trim().split(/\s+/);
      return columns[6] === noted && columns[7]?.replace(/@+$/, '') === name;
    });
    return isHeld ? noted : undefined;
  }
}

/** Node has no public way to a server's descriptor, and passes servers only to Node's own children. */
function descriptorOf(server: Server): number {
  const fd = (server as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0) throw new Error('this Node does not tell the descriptor of a socket');
  return fd;
}

/** Processes, other than ours, that have the socket open. Those that end meanwhile are left out. */
function holdersOf(inode: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => attempt(() => readdirSync(`/proc/${pid}/fd`))?.some((fd) => inodeOf(pid, fd) === inode));
}

function inodeOf(pid: number, fd: string): string | undefined {
  return attempt(() => /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]);
}

/** Process group of a process: the third field after its name, which may itself contain anything. */
function groupOf(pid: number): number | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return stat === undefined ? undefined : Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
}

function killGroup(group: number): boolean {
  return attempt(() => process.kill(-group, 'SIGKILL')) ?? false;
}

/** What `look` returns; undefined when the process it looked at is gone or not ours to see. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    return undefined;
  }
}
