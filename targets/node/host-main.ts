/** `baton-host`: wires the host service to this machine's files, sockets and clock. */

import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOST_EXAMPLE, HOST_SCHEMA, type HostFile } from '../../src/config/daemon-config.ts';
import { HostControl } from '../../src/control/host-control.ts';
import type { Enforcer } from '../../src/enforcer/port.ts';
import { verifyAudit } from '../../src/host/audit.ts';
import { Host } from '../../src/host/host.ts';
import { HostTable } from '../../src/host/table.ts';
import { Link } from '../../src/link/link.ts';
import type { Log, LogLevel } from '../../src/ports.ts';
import { type BundleDefinition, HOST, HOST_TABLE } from '../../src/protocol/index.ts';
import { skipEpochCheck } from '../../src/simulation/lies.ts';
import { bundleDigest } from '../../src/wire/digest.ts';
import { CLOCK } from './clock.ts';
import { type DaemonFace, daemonArguments, exitOn, onTermination, orExit } from './daemon.ts';
import { openEnforcer } from './enforcers.ts';
import { ENTROPY } from './entropy.ts';
import { openFileJournal } from './file-journal.ts';
import { besideConfig, readBundles, readConfigFile, readKeys } from './files.ts';
import { stderrLog } from './log.ts';
import { STREAMS } from './streams.ts';
import { hostTransport } from './transports.ts';

const FACE: DaemonFace = {
  name: 'baton-host',
  help: `baton-host --config FILE [--create-table]

The hypervisor service: decides who holds which bundle, and has the enforcer make it so.

  -c, --config FILE   configuration: JSON with comments; --example prints one
  --create-table      start with an empty table where there is none (the first start on a machine);
                      without it a missing table means quarantine, for nobody knows who held what
  --dump-config       print the configuration as it is used
  --schema            print its JSON Schema
  --lie NAME          negative control of tests: skip-epoch-check. Never in production.
`,
  example: HOST_EXAMPLE,
  schema: HOST_SCHEMA,
  dump: (config) => readConfigFile(HOST_SCHEMA, config),
};

const args = daemonArguments(FACE, process.argv.slice(2));
const config: HostFile = orExit(FACE.name, () => readConfigFile(HOST_SCHEMA, args.config));
const beside = (path: string) => besideConfig(args.config, path);
const log = stderrLog(FACE.name, (config.logLevel ?? 'info') as LogLevel);
const bundles = orExit(FACE.name, () => readBundles(beside(config.bundles)));
const keys = orExit(FACE.name, () => readKeys(beside(config.keys)));

openEnforcer(config.enforcer, bundles, log, (enforcer) => {
  if (enforcer instanceof Error) exitOn(FACE.name, enforcer);
  orExit(FACE.name, () => serve(enforcer, bundles));
});

function serve(enforcer: Enforcer, definitions: readonly BundleDefinition[]): void {
  const { evidence, name } = enforcer.describe();
  if (evidence === 'none') log('warn', `NO ISOLATION: the back end ${name} isolates nothing`);
  if (args.lies.length > 0) log('warn', `LYING: ${args.lies.join(', ')} is switched off`);
  const state = beside(config.state);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const tableFile = join(state, 'table.journal');
  const auditFile = join(state, 'audit.jsonl');
  const bootId = ENTROPY.random(16);
  const table = openTable(tableFile);
  const link = new Link({
    self: HOST,
    pairKeys: keys,
    bootId,
    bundles: definitions.map((bundle) => ({ bundle: bundle.id, digest: bundleDigest(bundle) })),
    transport: hostTransport(config.transport, beside, log),
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
    table,
    freshTable: () => new HostTable(openFileJournal(`${tableFile}.after-loss`)),
    audit: auditWriter(auditFile),
    auditHash: lastAuditHash(auditFile, log),
    ...(config.times ? { times: config.times } : {}),
    acceptDriverResidue: config.acceptDriverResidue ?? false,
    protocol: args.lies.includes('skip-epoch-check') ? skipEpochCheck(HOST_TABLE) : HOST_TABLE,
  });
  const control = new HostControl(host);
  STREAMS.listen(
    `unix:${beside(config.control)}`,
    (stream) => control.accept(stream),
    (error) => {
      if (error) exitOn(FACE.name, error);
      host.start();
      log('info', 'serving', { backEnd: name, evidence, bundles: definitions.map((bundle) => bundle.id) });
    },
  );
  onTermination(() => host.stop());
}

/** A table that is missing or broken is lost, unless this is the first start. */
function openTable(file: string): HostTable | undefined {
  // A table that was begun after a loss goes on; the broken one stays for people to look at.
  const path = existsSync(`${file}.after-loss`) ? `${file}.after-loss` : file;
  if (!existsSync(path) && !args.createTable) {
    log(
      'error',
      `no table at ${path}: all bundles are in quarantine; lift them, or start once with --create-table`,
    );
    return undefined;
  }
  try {
    const table = new HostTable(openFileJournal(path));
    if (table.registry() || args.createTable) return table;
    // Emptied, or cut off before its first complete record.
    log('error', `the table at ${path} is empty: all bundles are in quarantine`);
    return undefined;
  } catch (error) {
    log('error', `the table is lost: ${(error as Error).message}: all bundles are in quarantine`);
    return undefined;
  }
}

/** One write for all lines at a time, so that a crash tears the last line at most. */
function auditWriter(file: string): (lines: string) => void {
  const fd = openSync(file, 'a', 0o600);
  return (lines) => writeFileSync(fd, lines);
}

/** The chain goes on where the log ends; a log that does not check out is set aside by a person, not by us. */
function lastAuditHash(file: string, to: Log): string | undefined {
  if (!existsSync(file)) return undefined;
  const check = verifyAudit(readFileSync(file, 'utf8'));
  if (check.ok) return check.lines > 0 ? check.hash : undefined;
  to('error', `${file}:${check.line}: ${check.error}; the chain starts anew after it`);
  return undefined;
}
