/**
 * A lock that programs inherit: the descriptor of a name of name-lock.ts, which a program gets as its descriptor 3, and
 * so do its descendants. It says that none of them lives any more, even when whoever started them was killed.
 *
 * What it guarantees: it cannot be taken while any process that had it, at any depth, still has descriptor 3. In
 * another network name space the name is free, and under another path it is another: the first `take` therefore looks
 * for the socket that was noted, whatever it is called there. What it does not: a descendant that closes descriptor 3
 * is no longer seen; and any local process may squat the name, which is then never taken for ours and never killed.
 */

import { readdirSync, readFileSync, readlinkSync, renameSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { bindName } from './name-lock.ts';
import { attempt, groupOf, killGroup } from './processes.ts';

/** A lock that we have. */
export interface HeldLock {
  /** To be inherited. */
  readonly fd: number;
  /** Writes down that it is ours: before the first program has it. Throws when it cannot be written. */
  note(): void;
  /** Gives up our own copy; a running program keeps its own all the same. */
  release(): void;
}

/** A name, and the file that proves a later run of ours that an orphan with the lock is ours. */
export class InheritedLock {
  readonly #name: string;
  readonly #notePath: string;
  /** No earlier run of ours has it. In this run the name tells. */
  #isClear = false;

  /** `notePath`: in a folder that nobody else may write to. */
  constructor(name: string, notePath: string) {
    this.#name = name;
    this.#notePath = notePath;
  }

  /** Takes it; undefined when somebody has it. */
  async take(): Promise<HeldLock | undefined> {
    if (!this.#isClear && this.#holders().length > 0) return undefined;
    this.#isClear = true;
    const server = await bindName(this.#name);
    if (server === undefined) return undefined;
    const fd = descriptorOf(server);
    let isNoted = false;
    return {
      fd,
      note: () => {
        if (!isNoted) this.#note(inodeOf(process.pid, String(fd)));
        isNoted = true;
      },
      release: () => server.close(),
    };
  }

  /** Kills the process groups that have a lock of ours. Returns how many; that they are gone, `take` tells. */
  evict(): number {
    const groups = new Set(this.#holders().map(groupOf));
    // Never our own group, and never group 0 or 1, which kill(2) reads as something else.
    groups.delete(groupOf(process.pid));
    return [...groups].filter((group) => group !== undefined && group > 1 && killGroup(group)).length;
  }

  #note(inode: string | undefined): void {
    writeFileSync(`${this.#notePath}.new`, `${inode} @${this.#name}\n`, { mode: 0o600 });
    renameSync(`${this.#notePath}.new`, this.#notePath);
  }

  /** Processes with the socket that we noted. Inode numbers come again: it must also have its name, where they are. */
  #holders(): number[] {
    const [inode, name] = (attempt(() => readFileSync(this.#notePath, 'utf8')) ?? '').trim().split(' ');
    if (!inode || !name) return [];
    return holdersOf(inode).filter((pid) => {
      const rows = attempt(() => readFileSync(`/proc/${pid}/net/unix`, 'utf8'))?.split('\n') ?? [];
      // Columns: address, references, protocol, flags, type, state, inode, path (padded with @).
      return rows.some((row) => {
        const columns = row.trim().split(/\s+/);
        return columns[6] === inode && columns[7]?.replace(/@+$/, '') === name;
      });
    });
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
