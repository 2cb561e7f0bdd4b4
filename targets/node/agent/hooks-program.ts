/**
 * Programs of driver hooks: each in its own session and process group, with the bundle's lock as descriptor 3 and no
 * input. A bounded part of the output is kept and the rest discarded, so that no program blocks on a full pipe.
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
    // The rest of the group is part of the step (world.ts). Its number is not reused yet: it stays taken while the
    // group has members, and the kernel allocates numbers cyclically.
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

/** Signals the processes left in a program's group. */
function signalGroup(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is empty.
  }
}
