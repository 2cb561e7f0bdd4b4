/** Opens the back end that a host's configuration names. */

import { readFileSync } from 'node:fs';
import type { HostFile } from '../../src/config/daemon-config.ts';
import { openCommandEnforcer } from '../../src/enforcer/command.ts';
import { NoneEnforcer } from '../../src/enforcer/none.ts';
import type { Enforcer } from '../../src/enforcer/port.ts';
import { connectRemoteEnforcer } from '../../src/enforcer/remote.ts';
import type { Log } from '../../src/ports.ts';
import type { BundleDefinition } from '../../src/protocol/bundle.ts';
import { vmId } from '../../src/protocol/ids.ts';
import { CLOCK } from './clock.ts';
import { runLineCommand } from './run-line.ts';
import { STREAMS } from './streams.ts';

/** Interval at which a `command` back end is asked for events, in ms: a VM's exit waits this long at most. */
const POLL_MS = 200;

/** Opens the back end. `done` gets it, or why it cannot be used. */
export function openEnforcer(
  config: HostFile['enforcer'],
  bundles: readonly BundleDefinition[],
  log: Log,
  done: (result: Enforcer | Error) => void,
): void {
  switch (config.kind) {
    case 'simulated':
    case 'kvm':
      return connectRemoteEnforcer(STREAMS, config.address, done);
    case 'none':
      return done(new NoneEnforcer({ bundles, vms: config.vms.map(vmId), machineBoot: bootOfMachine() }));
    case 'command': {
      const runLine = runLineCommand(config.command, config.limitMs);
      const opened: Parameters<typeof openCommandEnforcer>[2] = (result) => {
        if (!result.ok) return done(new Error(result.error));
        done(result.enforcer);
        const poll = () => result.enforcer.poll(() => CLOCK.after(POLL_MS, poll));
        poll();
      };
      openCommandEnforcer(bundles, runLine, opened, log);
      log('debug', 'asking the command back end', { command: config.command });
    }
  }
}

/** Linux names each boot of the machine. */
function bootOfMachine(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
