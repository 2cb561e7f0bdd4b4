/** `baton-agent`: wires the agent to this machine's files, sockets, clock and driver hooks. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Agent } from '../../src/agent/agent.ts';
import { allowList, type Policy, type PolicyRule } from '../../src/agent/policy.ts';
import { AGENT_EXAMPLE, AGENT_SCHEMA, type AgentFile } from '../../src/config/daemon-config.ts';
import { treeOf } from '../../src/config/follow.ts';
import { ownTree } from '../../src/config/own-tree.ts';
import { AgentControl } from '../../src/control/agent-control.ts';
import { Link } from '../../src/link/link.ts';
import type { Log, LogLevel } from '../../src/ports.ts';
import { DEFAULT_MACHINE } from '../../src/protocol/ids.ts';
import { BORROWER_TABLE, type BundleDefinition, vmId } from '../../src/protocol/index.ts';
import { resumeEarly } from '../../src/simulation/lies.ts';
import { bundleDigest } from '../../src/wire/digest.ts';
import { CLOCK } from './clock.ts';
import {
  controlPath,
  type DaemonArguments,
  type DaemonFace,
  daemonArguments,
  endingJournal,
  exitOn,
  onTermination,
  orExit,
} from './daemon.ts';
import { ENTROPY } from './entropy.ts';
import { openSpareJournal } from './file-journal.ts';
import { besideConfig, dumpable, readConfigFile, readKeys } from './files.ts';
import { openHooks } from './hooks.ts';
import { stderrLog } from './log.ts';
import { lockState } from './name-lock.ts';
import { programPolicy } from './program-policy.ts';
import { FILES, soundAgent } from './sound-config.ts';
import { STREAMS } from './streams.ts';
import { openSupervisor } from './supervisor.ts';
import { agentTransport } from './transports.ts';

const FACE: DaemonFace = {
  name: 'baton-agent',
  help: `baton-agent --config FILE

The agent of one VM: negotiates who has a bundle and runs the local driver hooks.

  -c, --config FILE   configuration: JSON with comments; --example prints one
  --dump-config       print the configuration as it is used
  --schema            print its JSON Schema
  --version           print the version
  --lie NAME          negative control of tests: resume-early. Never in production.

Exit status: 64 wrong command line; 75 when another start may go better: its journal cannot be written, or
another process uses its state folder; 78 when a person has to mend something first.
`,
  example: AGENT_EXAMPLE,
  schema: AGENT_SCHEMA,
  dump: (config) => dumpable(config, readConfigFile(AGENT_SCHEMA, config)),
};

/** Runs an agent with these words on its command line, until it is told to end. */
export function runAgent(words: readonly string[]): void {
  const args = daemonArguments(FACE, words);
  const { config, bundles } = orExit(FACE.name, () => soundAgent(args.config));
  const control = orExit(FACE.name, () => controlPath(args.config, config.control));
  // Before anything is read or listened to: two agents of one journal would take each other's place at the host.
  lockState(besideConfig(args.config, config.state)).then(
    () => orExit(FACE.name, () => serve(args, config, bundles, control)),
    (error) => exitOn(FACE.name, error),
  );
}

function serve(
  args: DaemonArguments,
  config: AgentFile,
  bundles: readonly BundleDefinition[],
  control: string,
): void {
  const beside = (path: string) => besideConfig(args.config, path);
  const state = beside(config.state);
  const self = vmId(config.vm);
  const machine = config.machine ?? DEFAULT_MACHINE;
  const log = stderrLog(`baton-agent ${self}`, (config.logLevel ?? 'info') as LogLevel);
  if (args.lies.length > 0) log('warn', `LYING: ${args.lies.join(', ')} is switched off`);
  const own = config.tree && ownTree(config.tree, bundles, self, treeOf(args.config, config.tree, FILES));
  for (const { message } of own?.differences ?? []) log('warn', message);
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
    borrowerTable: args.lies.includes('resume-early') ? resumeEarly(BORROWER_TABLE) : BORROWER_TABLE,
  });
  const server = new AgentControl(agent, log, CLOCK);
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
    // A socket that nobody listens at would have scripts take this daemon for one that serves.
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
