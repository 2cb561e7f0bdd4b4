/**
 * What hooks need from the machine: attributes below /sys, local programs, a lock, a note. Types only.
 *
 * A target implements it (targets/node/agent/hooks.ts); tests supply a simulated one. Nothing here waits for ever by
 * itself: the time limits are kept by the hooks, over `clock`.
 */

import type { BundleId } from '../../core/protocol/ids.ts';
import type { Clock, StreamNetwork } from '../../ports/world.ts';

/** The machine, as hooks see it. */
export interface HookWorld {
  readonly clock: Clock;
  /** Where sysfs is mounted: `/sys`. */
  readonly sys: string;
  readonly attributes: Attributes;
  /** Where `socket` steps find their programs, at `unix:` addresses. */
  readonly streams: Pick<StreamNetwork, 'connect'>;
  readonly locks: HookLocks;
  readonly notes: HookNotes;
}

/** Files of one value. All reject with an Error that names the path. A write may take as long as a driver likes. */
export interface Attributes {
  /** Reads a file of at most a page. */
  read(path: string): Promise<string>;
  /** Writes `text` by one write to a file that exists. Never makes a file. */
  write(path: string, text: string): Promise<void>;
  /** Name of what a symbolic link points to; undefined when there is no such link. */
  linkName(path: string): Promise<string | undefined>;
  exists(path: string): Promise<boolean>;
  /** Names in a folder. */
  list(path: string): Promise<readonly string[]>;
  /** Names of the folders in a folder, without symbolic links. */
  folders(path: string): Promise<readonly string[]>;
  /** The path without symbolic links: two paths of one thing become the same. */
  realPath(path: string): Promise<string>;
}

/** Keeps, per bundle, what its hooks have changed: beyond the death of the agent, not beyond that of the machine. */
export interface HookNotes {
  /** Names this boot of the machine. What was changed below /sys before it is gone. */
  readonly boot: string;
  /** Returns the text kept last; undefined when there is none. Throws an Error when it cannot be read. */
  load(bundle: BundleId): string | undefined;
  /** Returns when the text is with the kernel; nothing is synced. Throws an Error that names the file. */
  save(bundle: BundleId, text: string): void;
}

/** Locks that tell whether anything of an earlier run still lives, whoever started it. */
export interface HookLocks {
  /**
   * Takes the lock of a bundle, if nobody has it. It stays taken while this agent keeps it *or* a program
   * started under it, or a descendant of one, still has the descriptor it inherited.
   */
  take(bundle: BundleId): Promise<LockAnswer>;
  /** Kills the process groups that are proven to hold the lock of a bundle. Returns how many. */
  evict(bundle: BundleId): Promise<number>;
}

/** `agent`: another agent runs the hooks of this bundle. `run`: something of an earlier run still lives. */
export type LockAnswer =
  | { readonly ok: true; readonly lock: HookLock }
  | { readonly ok: false; readonly by: 'agent' | 'run' };

/** The lock of one bundle for one run. */
export interface HookLock {
  /** Starts a program that inherits the lock, in a session and process group of its own. Calls `done` once. */
  start(order: ProgramOrder, done: (end: ProgramEnd) => void): RunningProgram;
  /** Lets go. Programs that still have the lock keep it taken. */
  release(): void;
}

export interface ProgramOrder {
  /** Program and arguments; no shell. A program without a slash is looked up in PATH. */
  readonly command: readonly string[];
  /** Added to the agent's own environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** How a program ended. When it ends, what is left of its process group is killed. */
export interface ProgramEnd {
  /** Its exit status; `signal`: killed by one; `notStarted`: there was no process. */
  readonly how: { readonly status: number } | { readonly signal: string } | { readonly notStarted: string };
  /** The first OUTPUT_BYTES_MAX bytes of its standard output. */
  readonly stdout: string;
  /** The last OUTPUT_BYTES_MAX bytes of its standard error. */
  readonly stderr: string;
}

/** Bytes kept of each output of a program: enough for the message that matters, small enough for a log line. */
export const OUTPUT_BYTES_MAX = 2_048;

export interface RunningProgram {
  /** Signals the whole process group: SIGTERM or SIGKILL. */
  signal(kind: 'terminate' | 'kill'): void;
}
