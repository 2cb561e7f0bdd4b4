/** `baton-agent`: wires the agent to this machine's files, sockets, clock and driver hooks. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { AGENT_EXAMPLE, AGENT_SCHEMA, type AgentFile } from '../../../src/config/agent-config.ts';
import { treeOf } from '../../../src/config/follow.ts';
import { ownTree } from '../../../src/config/own-tree.ts';
import { BORROWER_TABLE } from '../../../src/core/agent/borrower.ts';
import { allowList, type Policy, type PolicyRule } from '../../../src/core/agent/policy.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { DEFAULT_MACHINE, vmId } from '../../../src/core/protocol/ids.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { Agent } from '../../../src/drivers/agent/agent.ts';
import { AgentControl } from '../../../src/drivers/control/agent-control.ts';
import { Link } from '../../../src/drivers/link/link.ts';
import type { Log, LogLevel } from '../../../src/ports/world.ts';
import { besideConfig, dumpable, readConfigFile, readKeys } from '../config/files.ts';
import { FILES, soundAgent } from '../config/sound-config.ts';
import { STREAMS } from '../net/streams.ts';
import { agentTransport } from '../net/transports.ts';
import {
  controlPath,
  type DaemonArguments,
  type DaemonFace,
  daemonArguments,
  endingJournal,
  exitOn,
  onTermination,
  orExit,
} from '../program/daemon.ts';
import { stderrLog } from '../program/log.ts';
import { VERSION } from '../program/version.ts';
import { CLOCK } from '../system/clock.ts';
import { ENTROPY } from '../system/entropy.ts';
import { openSpareJournal } from '../system/file-journal.ts';
import { lockState } from '../system/name-lock.ts';
import { openSupervisor } from '../system/supervisor.ts';
import { openHooks } from './hooks.ts';
import { programPolicy } from './program-policy.ts';

const FACE: DaemonFace = {
  name: 'baton-agent',
  help: `baton-agent --config FILE

The agent of one VM: negotiates who holds a bundle and runs the local driver hooks.

  -c, --config FILE   configuration: JSON with comments; --example prints one
  --dump-config       print the configuration as it is used
  --schema            print its JSON Schema
  --version           print the version

Exit status: 64 wrong command line. 75 a restart may succeed: the journal cannot be written, or another process uses
the state folder. 78 a fault that a person must correct first.
`,
  example: AGENT_EXAMPLE,
  schema: AGENT_SCHEMA,
  dump: (config) => dumpable(config, readConfigFile(AGENT_SCHEMA, config)),
};

/**
 * Runs an agent with these command-line arguments until SIGTERM or SIGINT. `borrowerTable`: the borrower's table; tests
 * pass another one.
 */
export function runAgent(words: readonly string[], borrowerTable = BORROWER_TABLE): void {
  const args = daemonArguments(FACE, words);
  const { config, bundles } = orExit(FACE.name, () => soundAgent(args.config));
  const control = orExit(FACE.name, () => controlPath(args.config, config.control));
  // Before anything is read or listened to: two agents with one journal would displace each other at the host.
  lockState(besideConfig(args.config, config.state)).then(
    () => orExit(FACE.name, () => serve(args, config, bundles, control, borrowerTable)),
    (error) => exitOn(FACE.name, error),
  );
}

function serve(
  args: DaemonArguments,
  config: AgentFile,
  bundles: readonly BundleDefinition[],
  control: string,
  borrowerTable: typeof BORROWER_TABLE,
): void {
  const beside = (path: string) => besideConfig(args.config, path);
  const state = beside(config.state);
  const self = vmId(config.vm);
  const log = stderrLog(`baton-agent ${self}`, (config.logLevel ?? 'info') as LogLevel);
  const own = config.tree && ownTree(config.tree, bundles, self, treeOf(args.config, config.tree, FILES));
  for (const { message } of own?.differences ?? []) log('warn', message);
  const machine = config.machine ?? DEFAULT_MACHINE;
  const link = new Link({
    self,
    machine,
    pairKeys: readKeys(beside(config.keys)),
    bootId: ENTROPY.random(16),
    bundles: bundles.map((bundle) => ({ bundle: bundle.id, digest: bundleDigest(bundle) })),
    transport: agentTransport(self, machine, config.transport, beside, log),
    clock: CLOCK,
    entropy: ENTROPY,
    log,
  });
  const agent = new Agent({
    self,
    bundles,
    ...(own ? { expected: own.expected } : {}),
    link,
    hooks: openHooks({ self, bundles, config: config.hooks ?? {}, stateFolder: state, log }),
    policy: policyOf(config, log),
    clock: CLOCK,
    entropy: ENTROPY,
    journal: endingJournal(FACE.name, openSpareJournal(join(state, 'agent.journal'), log)),
    log,
    borrowerTable,
  });
  const server = new AgentControl(agent, log, CLOCK, VERSION);
  const supervisor = openSupervisor(log);
  STREAMS.listen(
    `unix:${control}`,
    (stream) => server.accept(stream),
    (error) => {
      if (error) exitOn(FACE.name, error);
      orExit(FACE.name, () => agent.start());
      log('info', 'serving', { bundles: bundles.map((bundle) => bundle.id) });
      supervisor.ready();
    },
  );
  onTermination(() => {
    supervisor.stopping();
    agent.stop();
    // Scripts take a daemon with a socket file for one that serves, so a stale file is removed.
    rmSync(control, { force: true });
  });
}

function policyOf(file: AgentFile, log: Log): Policy {
  const { policy } = file;
  if (!policy) return allowList([]);
  if (policy.kind === 'program')
    return programPolicy(policy.command, policy.limitMs, (error) => log('warn', `policy program: ${error}`));
  return allowList(policy.allow as unknown as PolicyRule[]);
}
