/** Opens the enforcer that a host's configuration names. */

import { type HostFile, QMP_LIMIT_MS } from '../../../src/config/daemon-config.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { bundleId, vmId } from '../../../src/core/protocol/ids.ts';
import { type CommandEnforcer, openCommandEnforcer } from '../../../src/edges/enforcer/command.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/none.ts';
import { openQmpEnforcer, type QmpOptions } from '../../../src/edges/enforcer/qmp.ts';
import { connectRemoteEnforcer } from '../../../src/edges/enforcer/remote.ts';
import { TrustedTouchEnforcer, type VmIncarnations } from '../../../src/edges/enforcer/trusted-touch.ts';
import type { Enforcer } from '../../../src/ports/enforcer.ts';
import type { Log } from '../../../src/ports/world.ts';
import { STREAMS } from '../net/streams.ts';
import { CLOCK } from '../system/clock.ts';
import { ENTROPY } from '../system/entropy.ts';
import { bootOfMachine } from '../system/run-note.ts';
import { lockEnforcer } from './enforcer-lock.ts';
import { noteFile } from './note-file.ts';
import { runLineCommand } from './run-line.ts';

/** Interval at which a `command` enforcer is asked for events, in ms: a VM's exit waits this long at most. */
const POLL_MS = 200;

/**
 * Opens the enforcer. `done` gets it, or why it cannot be used. `state`: the folder of the host's state, made and
 * locked already.
 */
export function openEnforcer(
  config: HostFile['enforcer'],
  bundles: readonly BundleDefinition[],
  state: string,
  log: Log,
  done: (result: Enforcer | Error) => void,
): void {
  switch (config.kind) {
    case 'simulated':
    case 'kvm':
      return connectRemoteEnforcer(STREAMS, config.address, CLOCK, done);
    case 'none':
      return done(new NoneEnforcer({ bundles, vms: config.vms.map(vmId), machineBoot: bootOfMachine() }));
    case 'command':
      openCommand(config, bundles, state, log).then(done, done);
      return;
    case 'trusted-touch':
      openIncarnations(config.incarnations, bundles, state, log).then(
        (incarnations) =>
          done(new TrustedTouchEnforcer({ bundles, incarnations, store: noteFile(state, log), log })),
        done,
      );
      return;
    case 'qmp':
      return openQmpEnforcer(qmpOptions(config, bundles, log), done);
  }
}

function qmpOptions(
  { vms, inputs, limitMs = QMP_LIMIT_MS }: Extract<HostFile['enforcer'], { kind: 'qmp' }>,
  bundles: readonly BundleDefinition[],
  log: Log,
): QmpOptions {
  return {
    bundles,
    vms: new Map(Object.entries(vms).map(([vm, address]) => [vmId(vm), address])),
    inputs: new Map(Object.entries(inputs).map(([bundle, address]) => [bundleId(bundle), address])),
    limitMs,
    // The routing dies with this process, so each start finds a machine on which nobody holds anything.
    machineBoot: `${bootOfMachine()}/${Buffer.from(ENTROPY.random(8)).toString('hex')}`,
    network: STREAMS,
    clock: CLOCK,
    log,
  };
}

async function openCommand(
  config: { readonly command: string[]; readonly limitMs?: number },
  bundles: readonly BundleDefinition[],
  state: string,
  log: Log,
): Promise<Enforcer> {
  const lock = await lockEnforcer(state, log);
  const runLine = runLineCommand(config.command, config.limitMs, lock);
  // Its arguments may have a password.
  log('debug', 'asking the command enforcer', { program: config.command[0] });
  const enforcer = await new Promise<CommandEnforcer>((resolve, reject) => {
    openCommandEnforcer(
      bundles,
      runLine,
      (result) => (result.ok ? resolve(result.enforcer) : reject(new Error(result.error))),
      log,
    );
  });
  const poll = () => enforcer.poll(() => CLOCK.after(POLL_MS, poll));
  poll();
  return enforcer;
}

/** Who knows which VMs run, for an enforcer that does not see it itself. */
async function openIncarnations(
  config: Extract<HostFile['enforcer'], { kind: 'trusted-touch' }>['incarnations'],
  bundles: readonly BundleDefinition[],
  state: string,
  log: Log,
): Promise<VmIncarnations> {
  if (config.kind === 'command') return openCommand(config, bundles, state, log);
  return new NoneEnforcer({ bundles, vms: config.vms.map(vmId), machineBoot: bootOfMachine() });
}
