/** QEMU as a process with a limit of its own, which holds even when the process that started it is killed. */

import { type ChildProcess, spawn } from 'node:child_process';

/** Characters of what QEMU complains about that are kept. */
const ERRORS_MAX = 2_000;

export class Qemu {
  /** Why it runs no more; undefined while it runs. */
  over: string | undefined;
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;

  /** Starts it. After `limitS` seconds it is ended from outside. */
  constructor(program: string, args: readonly string[], limitS: number) {
    // `timeout` hands signals on.
    const command = ['--kill-after=5', String(limitS), program, ...args];
    this.#process = spawn('timeout', command, { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    this.#process.stderr!.on('data', (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-ERRORS_MAX);
    });
    this.#ended = new Promise((resolve) => {
      this.#process.once('error', (error) => {
        this.over = `QEMU did not start: ${error.message}`;
        resolve();
      });
      this.#process.once('exit', (status) => {
        this.over = `QEMU ended with status ${status}: ${errors}`;
        resolve();
      });
    });
  }

  /** Resolves when it has ended: by itself within `graceMs`, or because it is told to then. */
  async end(graceMs = 0): Promise<void> {
    if (this.over !== undefined) return;
    const limit = setTimeout(() => this.#process.kill('SIGTERM'), graceMs);
    await this.#ended;
    clearTimeout(limit);
  }
}
