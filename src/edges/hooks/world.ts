/**
 * What hooks need from the machine: attributes below /sys, local programs, a lock, notes. Types only.
 *
 * A target implements it (targets/node/agent/hooks.ts); tests supply a simulated one. Nothing here has a time limit
 * of its own: the hooks enforce the limits, over `clock`.
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

/** Files with one value. All functions reject with an Error that names the path. A write may block in a driver. */
export interface Attributes {
  /** Reads a file of at most a page. */
  read(path: string): Promise<string>;
  /** Writes `text` in one write to an existing file. Never creates a file. */
  write(path: string, text: string): Promise<void>;
  /** Returns the name of a symbolic link's target; undefined when there is no such link. */
  linkName(path: string): Promise<string | undefined>;
  exists(path: string): Promise<boolean>;
  /** Names in a folder. */
  list(path: string): Promise<readonly string[]>;
  /** Names of the folders in a folder, without symbolic links. */
  folders(path: string): Promise<readonly string[]>;
  /** Returns the path without symbolic links, which identifies the thing. */
  realPath(path: string): Promise<string>;
}

/** Stores, per bundle, what its hooks have changed. Survives the agent, not a reboot of the machine. */
export interface HookNotes {
  /** Identifies this boot of the machine. Changes below /sys before it are void. */
  readonly boot: string;
  /** Returns the last text; undefined when there is none. Throws an Error when it cannot be read. */
  load(bundle: BundleId): string | undefined;
  /** Returns when the kernel has the text; there is no fsync. Throws an Error that names the file. */
  save(bundle: BundleId, text: string): void;
}

/** Locks that show whether any process of an earlier run is still alive. */
export interface HookLocks {
  /**
   * Takes the lock of a bundle, if it is free. It stays taken while this agent keeps it, or while a program started
   * under it, or a descendant, has the inherited descriptor.
   */
  take(bundle: BundleId): Promise<LockAnswer>;
  /** Kills the process groups that are proven to hold the lock of a bundle. Returns their number. */
  evict(bundle: BundleId): Promise<number>;
}

/** `agent`: another agent runs the hooks of this bundle. `run`: a process of an earlier run is still alive. */
export type LockAnswer =
  | { readonly ok: true; readonly lock: HookLock }
  | { readonly ok: false; readonly by: 'agent' | 'run' };

/** The lock of one bundle for one run. */
export interface HookLock {
  /** Starts a program that inherits the lock, in its own session and process group. Calls `done` once. */
  start(order: ProgramOrder, done: (end: ProgramEnd) => void): RunningProgram;
  /** Releases the lock. Programs that still have it keep it taken. */
  release(): void;
}

export interface ProgramOrder {
  /** Program and arguments; no shell. A program without a slash is looked up in PATH. */
  readonly command: readonly string[];
  /** Added to the agent's own environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** How a program ended. The rest of its process group is killed then. */
export interface ProgramEnd {
  /** Its exit status; `signal`: killed by one; `notStarted`: no process was created. */
  readonly how: { readonly status: number } | { readonly signal: string } | { readonly notStarted: string };
  /** The first OUTPUT_BYTES_MAX bytes of its standard output. */
  readonly stdout: string;
  /** The last OUTPUT_BYTES_MAX bytes of its standard error. */
  readonly stderr: string;
}

/** Bytes kept of each output of a program: enough for an error message, small enough for a log line. */
export const OUTPUT_BYTES_MAX = 2_048;

export interface RunningProgram {
  /** Signals the whole process group: SIGTERM or SIGKILL. */
  signal(kind: 'terminate' | 'kill'): void;
}
