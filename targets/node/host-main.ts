/** `baton-host`: wires the host service to this machine's files, sockets and clock. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { HOST_EXAMPLE, HOST_SCHEMA, type HostFile } from '../../src/config/daemon-config.ts';
import { HostControl } from '../../src/control/host-control.ts';
import type { Enforcer } from '../../src/enforcer/port.ts';
import { Host } from '../../src/host/host.ts';
import { Link } from '../../src/link/link.ts';
import type { LogLevel } from '../../src/ports.ts';
import { DEFAULT_MACHINE } from '../../src/protocol/ids.ts';
import { type BundleDefinition, HOST, HOST_TABLE } from '../../src/protocol/index.ts';
import { skipEpochCheck } from '../../src/simulation/lies.ts';
import { bundleDigest } from '../../src/wire/digest.ts';
import { AUDIT_LIMITS, auditIn, openAudit } from './audit-file.ts';
import { CLOCK } from './clock.ts';
import {
  controlPath,
  type DaemonFace,
  daemonArguments,
  EXIT_AGAIN,
  exitOn,
  onTermination,
  orExit,
} from './daemon.ts';
import { openEnforcer } from './enforcers.ts';
import { ENTROPY } from './entropy.ts';
import { besideConfig, dumpable, readBundles, readConfigFile, readKeys } from './files.ts';
import { stderrLog } from './log.ts';
import { lockState } from './name-lock.ts';
import { warnQuarantined } from './quarantine.ts';
import { soundHost } from './sound-config.ts';
import { STREAMS } from './streams.ts';
import { openSupervisor } from './supervisor.ts';
import { freshTable, openTable } from './table-file.ts';
import { hostTransport } from './transports.ts';

const FACE: DaemonFace = {
  name: 'baton-host',
  help: `baton-host --config FILE [--create-table]

The hypervisor service: decides who holds which bundle, and has the enforcer make it so.

  -c, --config FILE   configuration: JSON with comments; --example prints one
  --create-table      start with an empty table where there is none (the first start on a machine);
                      without it a missing table means quarantine, for nobody knows who held what:
                      baton lift ends it
  --dump-config       print the configuration as it is used
  --schema            print its JSON Schema
  --version           print the version
  --lie NAME          negative control of tests: skip-epoch-check. Never in production.

Exit status: 64 wrong command line; 75 when another start may go better: its back end is gone, its table cannot be
written, or another process uses its state folder; 78 when a person has to mend something first.
`,
  example: HOST_EXAMPLE,
  schema: HOST_SCHEMA,
  dump: (config) => dumpable(config, readConfigFile(HOST_SCHEMA, config)),
};

const args = daemonArguments(FACE, process.argv.slice(2));
const config: HostFile = orExit(FACE.name, () => soundHost(args.config));
const beside = (path: string) => besideConfig(args.config, path);
const log = stderrLog(FACE.name, (config.logLevel ?? 'info') as LogLevel);
const bundles = orExit(FACE.name, () => readBundles(beside(config.bundles)));
const keys = orExit(FACE.name, () => readKeys(beside(config.keys)));

const control = orExit(FACE.name, () => controlPath(args.config, config.control));
const state = beside(config.state);

// Before anything is read or listened to: a second host would write the same table, and turn the agents' way to itself.
lockState(state).then(
  () => openEnforcer(config.enforcer, bundles, state, log, onEnforcer),
  (error) => exitOn(FACE.name, error),
);

function onEnforcer(enforcer: Enforcer | Error): void {
  // A helper that is being started answers the next time.
  if (enforcer instanceof Error) exitOn(FACE.name, enforcer);
  orExit(FACE.name, () => serve(enforcer, bundles));
}

function serve(enforcer: Enforcer, definitions: readonly BundleDefinition[]): void {
  const { evidence, name } = enforcer.describe();
  if (evidence === 'none') log('warn', `NO ISOLATION: the back end ${name} isolates nothing`);
  if (args.lies.length > 0) log('warn', `LYING: ${args.lies.join(', ')} is switched off`);
  const tableFile = join(state, 'table.journal');
  const audit = openAudit(auditIn(state), CLOCK.nowMs(), log, { ...AUDIT_LIMITS, ...config.audit });
  const bootId = ENTROPY.random(16);
  const machine = config.machine ?? DEFAULT_MACHINE;
  const link = new Link({
    self: HOST,
    machine,
    pairKeys: keys,
    bootId,
    bundles: definitions.map((bundle) => ({ bundle: bundle.id, digest: bundleDigest(bundle) })),
    transport: hostTransport(machine, config.transport, beside, log),
    clock: CLOCK,
    entropy: ENTROPY,
    log,
  });
  const host = new Host({
    bundles: definitions,
    enforcer,
    link,
    clock: CLOCK,
    log,
    bootId,
    table: openTable(tableFile, args.createTable, log),
    freshTable: () => freshTable(tableFile, log),
    audit: audit.append,
    auditHash: audit.hash,
    end: () => process.exit(EXIT_AGAIN),
    ...(config.times ? { times: config.times } : {}),
    acceptDriverResidue: config.acceptDriverResidue ?? false,
    protocol: args.lies.includes('skip-epoch-check') ? skipEpochCheck(HOST_TABLE) : HOST_TABLE,
  });
  const server = new HostControl(host, CLOCK);
  const supervisor = openSupervisor(log);
  STREAMS.listen(
    `unix:${control}`,
    (stream) => server.accept(stream),
    (error) => {
      if (error) exitOn(FACE.name, error);
      orExit(FACE.name, () => host.start());
      warnQuarantined(host.views(), control, log);
      log('info', 'serving', { backEnd: name, evidence, bundles: definitions.map((bundle) => bundle.id) });
      supervisor.ready();
    },
  );
  onTermination(() => {
    supervisor.stopping();
    host.stop();
    // A socket that nobody listens at would have scripts take this daemon for one that serves.
    rmSync(control, { force: true });
  });
}
