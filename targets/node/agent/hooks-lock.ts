/**
 * Locks of driver hooks, two names per bundle. `agent` is kept from first use until the agent ends, is never inherited,
 * and refuses a second agent. `run` is an inherited lock (inherited-lock.ts), taken for each run. An orphan keeps it:
 * no run starts while any process that an earlier run started, at any depth, still has descriptor 3, whether or not its
 * agent is alive. Another process that binds one of these names stops the hooks of that bundle (hookStuck).
 */

import { mkdirSync, realpathSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { BundleId } from '../../../src/core/protocol/ids.ts';
import type { HookLock, HookLocks, LockAnswer } from '../../../src/edges/hooks/world.ts';
import type { Log } from '../../../src/ports/world.ts';
import { type HeldLock, InheritedLock } from '../system/inherited-lock.ts';
import { bindName, nameOfPath } from '../system/name-lock.ts';
import { startProgram } from './hooks-program.ts';

/** The hook locks of one agent. The names contain its state folder, so that agents do not share them. */
export class NodeHookLocks implements HookLocks {
  readonly #folder: string;
  readonly #prefix: string;
  readonly #log: Log;
  readonly #agents = new Map<BundleId, Server>();
  readonly #runs = new Map<BundleId, InheritedLock>();

  /** Creates `folder` if missing. Nobody else may write to it. */
  constructor(folder: string, log: Log) {
    this.#log = log;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = realpathSync(folder);
    this.#prefix = nameOfPath('hooks', this.#folder);
  }

  async take(bundle: BundleId): Promise<LockAnswer> {
    if (!this.#agents.has(bundle)) {
      const agent = await bindName(`${this.#prefix}-${bundle}-agent`);
      if (!agent) return { ok: false, by: 'agent' };
      this.#agents.set(bundle, agent);
    }
    const held = await this.#runLock(bundle).take();
    return held ? { ok: true, lock: lockOf(held, this.#log) } : { ok: false, by: 'run' };
  }

  async evict(bundle: BundleId): Promise<number> {
    return this.#runLock(bundle).evict();
  }

  /** Releases the hooks to another agent. A running program still keeps its `run` lock. */
  close(): void {
    for (const server of this.#agents.values()) server.close();
    this.#agents.clear();
  }

  #runLock(bundle: BundleId): InheritedLock {
    const known = this.#runs.get(bundle);
    if (known) return known;
    const lock = new InheritedLock(
      `${this.#prefix}-${bundle}-run`,
      join(this.#folder, `hooks-${bundle}.lock`),
    );
    this.#runs.set(bundle, lock);
    return lock;
  }
}

function lockOf(held: HeldLock, log: Log): HookLock {
  return {
    start: (order, done) => {
      try {
        held.note();
      } catch (error) {
        // Without the note a later agent waits for an orphan of this run and does not end it. The lock still holds, and
        // a full disk must not prevent a resume.
        log('error', `an orphan of this hook could not be ended later: ${(error as Error).message}`);
      }
      return startProgram(order, held.fd, done);
    },
    release: () => held.release(),
  };
}
