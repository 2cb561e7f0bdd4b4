/** Runs a shell script of a test and ends every process that it started. */

import { spawn } from 'node:child_process';

/**
 * Runs commands in a group of processes, which is ended with them, after `limitMs` at the latest; status is null
 * then.
 */
export function runShell(
  script: string,
  { cwd, env, limitMs }: { cwd: string; env: Record<string, string>; limitMs: number },
): Promise<{ status: number | null; output: string }> {
  const shell = spawn('bash', ['-eu', '-o', 'pipefail', '-c', script], {
    cwd,
    detached: true,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.on('data', (bytes) => {
      output += bytes;
    });
  }
  const end = () => {
    try {
      process.kill(-shell.pid!, 'SIGKILL');
    } catch {
      // Nobody is left, as it should be.
    }
  };
  const limit = setTimeout(end, limitMs);
  return new Promise((resolve) => {
    shell.once('exit', (status) => {
      clearTimeout(limit);
      end();
      resolve({ status, output });
    });
  });
}
