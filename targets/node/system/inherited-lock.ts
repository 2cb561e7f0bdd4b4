/**
 * A lock that programs inherit: a program and its descendants get the descriptor of a name of name-lock.ts as
 * descriptor 3. A free lock proves that none of them is alive, even when the process that started them was killed.
 *
 * Guarantee: it cannot be taken while any process that inherited it, at any depth, still has descriptor 3. In another
 * network name space the name is free, and under another path the name differs: the first `take` therefore looks for
 * the recorded socket, whatever its name is there. Not covered: a descendant that closes descriptor 3 is not seen. Any
 * local process may bind the name; such a process is never counted as ours and never killed.
 */

import { readdirSync, readFileSync, readlinkSync, renameSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { bindName } from './name-lock.ts';
import { attempt, groupOf, killGroup } from './processes.ts';

/** A taken lock. */
export interface HeldLock {
  /** The descriptor that programs inherit. */
  readonly fd: number;
  /** Records that it is ours, before the first program inherits it. Throws when the record cannot be written. */
  note(): void;
  /** Closes this process's copy; a running program still keeps its own. */
  release(): void;
}

/** A name, and the file that proves to a later run that an orphan with the lock is ours. */
export class InheritedLock {
  readonly #name: string;
  readonly #notePath: string;
  /** No earlier run has it. Later in this run the name is enough. */
  #isClear = false;

  /** `notePath`: a file in a folder that nobody else may write to. */
  constructor(name: string, notePath: string) {
    this.#name = name;
    this.#notePath = notePath;
  }

  /** Takes it; undefined when another process has it. */
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

  /** Kills the process groups that have a lock of ours. Returns their number; `take` shows when they are gone. */
  evict(): number {
    const groups = new Set(this.#holders().map(groupOf));
    // Never our own group, and never 0 or 1, which kill(2) does not take as a group.
    groups.delete(groupOf(process.pid));
    return [...groups].filter((group) => group !== undefined && group > 1 && killGroup(group)).length;
  }

  #note(inode: string | undefined): void {
    writeFileSync(`${this.#notePath}.new`, `${inode} @${this.#name}\n`, { mode: 0o600 });
    renameSync(`${this.#notePath}.new`, this.#notePath);
  }

  /**
   * Processes with the recorded socket. Inode numbers are reused, so the socket must also have its name in their name
   * space.
   */
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

/** Node has no public access to a server's descriptor, and passes servers only to Node children. */
function descriptorOf(server: Server): number {
  const fd = (server as unknown as { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0)
    throw new Error('this version of Node does not give the descriptor of a socket');
  return fd;
}

/** Other processes that have the socket open. Those that end meanwhile are omitted. */
function holdersOf(inode: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => attempt(() => readdirSync(`/proc/${pid}/fd`))?.some((fd) => inodeOf(pid, fd) === inode));
}

function inodeOf(pid: number, fd: string): string | undefined {
  return attempt(() => /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]);
}
