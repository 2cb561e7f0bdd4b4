/**
 * A VM of the simulated machine: a group of processes that end together.
 *
 * The first process leads the group. The VM has ended when the last process is gone; only then `onEnd` is called.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import type { Log } from '../../../src/ports/world.ts';

export class VmGroup {
  readonly #children: ChildProcess[];
  #left: number;

  /** Starts one process per command. Their output goes where ours goes. */
  constructor(vm: VmId, commands: readonly (readonly string[])[], log: Log, onEnd: () => void) {
    this.#left = commands.length;
    this.#children = commands.map(([program, ...args]) => {
      const child = spawn(program!, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
      const ended = (how: string) => {
        log('info', `a process of VM ${vm} ended: ${how}`, { program, pid: child.pid });
        this.#left -= 1;
        if (this.#left === 0) onEnd();
      };
      let told = false;
      child.once('error', (error) => {
        if (!told) ended(error.message);
        told = true;
      });
      child.once('exit', (code, signal) => {
        // Descendants of the process belong to the VM too.
        killGroup(child.pid);
        if (!told) ended(signal ?? `status ${code}`);
        told = true;
      });
      return child;
    });
  }

  /** Kills all processes of the VM at once. */
  kill(): void {
    for (const child of this.#children) killGroup(child.pid);
  }

  /** Kills one process; the VM lives on with the others. */
  killProcess(index: number): void {
    killGroup(this.#children[index]?.pid);
  }
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
