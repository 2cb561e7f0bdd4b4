/** What `baton doctor` asks of the machine that it runs on. Tests have another, in a folder. */

import type { ConfigFiles } from '../../../../src/config/follow.ts';
import type { Log } from '../../../../src/ports/world.ts';
import { FILES } from '../../config/sound-config.ts';
import { CLOCK } from '../../system/clock.ts';

/** The machine, as checks see it. */
export interface Machine {
  readonly files: ConfigFiles;
  /** Where device nodes are. */
  readonly dev: string;
  /** Where processes are. */
  readonly proc: string;
  /** The program that asks systemd. */
  readonly systemctl: string;
  /** Logs that tell of accesses that SELinux or AppArmor denied, the kernel's own last. */
  readonly logs: readonly string[];
  /** Milliseconds of the monotonic clock. */
  nowMs(): number;
  /** Milliseconds of the clock that may be set. */
  wallMs(): number;
  after(ms: number, fire: () => void): () => void;
  /** Calls back when this process is asked to end; until the returned function is called it does not. */
  onSignal(listener: () => void): () => void;
  readonly log: Log;
}

/** The machine that runs this program. */
export const MACHINE: Machine = {
  files: FILES,
  dev: '/dev',
  proc: '/proc',
  systemctl: 'systemctl',
  logs: ['/var/log/audit/audit.log', '/dev/kmsg'],
  nowMs: CLOCK.nowMs,
  wallMs: () => Date.now(),
  after: CLOCK.after,
  onSignal: () => () => {},
  log: () => {},
};

/** Resolves after `ms`. */
export function pause({ after }: Pick<Machine, 'after'>, ms: number): Promise<void> {
  return new Promise((resolve) => after(ms, resolve));
}

/** Returns what `work` resolves to, or rejects with `late` after `ms`. */
export function within<T>(
  { after }: Pick<Machine, 'after'>,
  ms: number,
  late: string,
  work: Promise<T>,
): Promise<T> {
  let cancel: () => void = () => {};
  const limit = new Promise<never>((_, reject) => {
    cancel = after(ms, () => reject(new Error(late)));
  });
  return Promise.race([work, limit]).finally(() => cancel());
}
