/** Opens the enforcer of a host's configuration, with its needs from Node. */

import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { type EnforcerConfig, enforcerKindOf } from '../../../src/edges/enforcer/kinds.ts';
import type { Enforcer } from '../../../src/ports/enforcer.ts';
import type { Log } from '../../../src/ports/world.ts';
import { STREAMS } from '../net/streams.ts';
import { CLOCK } from '../system/clock.ts';
import { ENTROPY } from '../system/entropy.ts';
import { bootOfMachine } from '../system/run-note.ts';
import { lockEnforcer } from './enforcer-lock.ts';
import { noteFile } from './note-file.ts';
import { runLineCommand } from './run-line.ts';

/**
 * Opens the enforcer. `done` gets it, or the reason why it cannot be used. `state`: the host's state folder, which
 * exists and is locked.
 */
export function openEnforcer(
  config: EnforcerConfig,
  bundles: readonly BundleDefinition[],
  state: string,
  log: Log,
  done: (result: Enforcer | Error) => void,
): void {
  const parts = {
    bundles,
    network: STREAMS,
    clock: CLOCK,
    entropy: ENTROPY,
    log,
    machineBoot: bootOfMachine,
    notes: () => noteFile(state, log),
    program: async (command: readonly string[], limitMs: number) =>
      runLineCommand(command, limitMs, await lockEnforcer(state, log)),
  };
  enforcerKindOf(config).open(config, parts).then(done, done);
}
