/**
 * Programs of driver hooks: each in a session and process group of its own, with the bundle's lock as descriptor 3
 * and no input. What they print is kept within bounds and the rest thrown away, so that none blocks on a full pipe.
 */

import { Buffer } from 'node:buffer';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  OUTPUT_BYTES_MAX,
  type ProgramEnd,
  type ProgramOrder,
  type RunningProgram,
} from '../../../src/edges/hooks/world.ts';
import { afterOutput } from '../system/run-once.ts';

/** Starts a program that inherits `lockFd`. Calls `done` once. */
export function startProgram(
  order: ProgramOrder,
  lockFd: number,
  done: (end: ProgramEnd) => void,
): RunningProgram {
  const [program = '', ...args] = order.command;
  const child = spawn(program, args, {
    detached: true,
    cwd: '/',
    env: { ...process.env, ...order.environment },
    stdio: ['ignore', 'pipe', 'pipe', lockFd],
  });
  let stdout: Buffer = Buffer.alloc(0);
  let stderr: Buffer = Buffer.alloc(0);
  child.stdout?.on('data', (bytes: Buffer) => {
    if (stdout.length < OUTPUT_BYTES_MAX)
      stdout = Buffer.concat([stdout, bytes]).subarray(0, OUTPUT_BYTES_MAX);
  });
  child.stderr?.on('data', (bytes: Buffer) => {
    stderr = Buffer.concat([stderr, bytes]).subarray(-OUTPUT_BYTES_MAX);
  });
  let hasExited = false;
  let isOver = false;
  const end = (how: ProgramEnd['how']) => {
    if (isOver) return;
    isOver = true;
    child.stdout?.destroy();
    child.stderr?.destroy();
    done({ how, stdout: stdout.toString(), stderr: stderr.toString() });
  };
  child.once('error', (error) => end({ notStarted: error.message }));
  child.once('exit', (status, signal) => {
    hasExited = true;
    // Part of the step, not a daemon: see world.ts. The group's number cannot have been given to others yet: it
    // stays taken while the group has members, and numbers are handed out in a circle.
    signalGroup(child, 'SIGKILL');
    const how = status === null ? { signal: signal ?? 'a signal' } : { status };
    child.once('close', () => end(how));
    afterOutput(() => end(how));
  });
  return {
    signal: (kind) => {
      if (!hasExited) signalGroup(child, kind === 'kill' ? 'SIGKILL' : 'SIGTERM');
    },
  };
}

/** Signals what there is of a program's group. */
function signalGroup(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is empty: there is nobody to signal.
  }
}
