/** `baton-host`: wires the host service to this machine's files, sockets and clock. */

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { HOST_EXAMPLE, HOST_SCHEMA, type HostFile } from '../../../src/config/host-config.ts';
import { HOST_TABLE } from '../../../src/core/host/host-table.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { DEFAULT_MACHINE, HOST } from '../../../src/core/protocol/ids.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { HostControl } from '../../../src/drivers/control/host-control.ts';
import { Host } from '../../../src/drivers/host/host.ts';
import { Link } from '../../../src/drivers/link/link.ts';
import type { Enforcer } from '../../../src/ports/enforcer.ts';
import type { Log, LogLevel } from '../../../src/ports/world.ts';
import { besideConfig, dumpable, readBundles, readConfigFile, readKeys } from '../config/files.ts';
import { soundHost } from '../config/sound-config.ts';
import { STREAMS } from '../net/streams.ts';
import { hostTransport } from '../net/transports.ts';
import {
  controlPath,
  type DaemonFace,
  daemonArguments,
  EXIT_AGAIN,
  exitOn,
  onTermination,
  orExit,
} from '../program/daemon.ts';
import { stderrLog } from '../program/log.ts';
import { VERSION } from '../program/version.ts';
import { CLOCK } from '../system/clock.ts';
import { durableFile } from '../system/durable-file.ts';
import { ENTROPY } from '../system/entropy.ts';
import { lockState } from '../system/name-lock.ts';
import { openSupervisor } from '../system/supervisor.ts';
import { AUDIT_LIMITS, auditIn, openAudit } from './audit-file.ts';
import { openEnforcer } from './enforcers.ts';
import { handoversIn, openHandovers } from './handover-file.ts';
import { warnQuarantined } from './quarantine.ts';
import { freshTable, openTable } from './table-file.ts';

const FACE: DaemonFace = {
  name: 'baton-host',
  help: `baton-host --config FILE [--create-table]

The host: decides who holds which bundle, and orders the enforcer to switch access.

  -c, --config FILE   configuration: JSON with comments; --example prints one
  --create-table      start with an empty table if there is none (the first start on a machine);
                      without it, all bundles are quarantined when the table is missing, since
                      their holders are unknown, until baton lift
  --dump-config       print the configuration as it is used
  --schema            print its JSON Schema
  --version           print the version

Exit status: 64 wrong command line. 75 a restart may succeed: the enforcer is gone, the table cannot be written, or
another process uses the state folder. 78 a fault that a person must correct first.
`,
  example: HOST_EXAMPLE,
  schema: HOST_SCHEMA,
  dump: (config) => dumpable(config, readConfigFile(HOST_SCHEMA, config)),
};

/**
 * Runs the host with these command-line arguments until SIGTERM or SIGINT. `protocol`: the host's table; tests pass
 * another one.
 */
export function runHost(words: readonly string[], protocol = HOST_TABLE): void {
  const args = daemonArguments(FACE, words);
  const config: HostFile = orExit(FACE.name, () => soundHost(args.config));
  const log = stderrLog(FACE.name, (config.logLevel ?? 'info') as LogLevel);
  const beside = (path: string) => besideConfig(args.config, path);
  const order: Order = {
    createTable: args.createTable,
    config,
    bundles: orExit(FACE.name, () => readBundles(beside(config.bundles))),
    keys: orExit(FACE.name, () => readKeys(beside(config.keys))),
    control: orExit(FACE.name, () => controlPath(args.config, config.control)),
    state: beside(config.state),
    beside,
    log,
    protocol,
  };
  // Before anything is read or listened to: a second host would write the same table, and take over the agents'
  // connections.
  lockState(order.state).then(
    () =>
      openEnforcer(config.enforcer, order.bundles, order.state, log, (enforcer) => {
        // A platform that is still starting answers the next time.
        if (enforcer instanceof Error) exitOn(FACE.name, enforcer);
        orExit(FACE.name, () => serve(enforcer, order));
      }),
    (error) => exitOn(FACE.name, error),
  );
}

/** Parameters of a host. */
interface Order {
  readonly createTable: boolean;
  readonly config: HostFile;
  readonly bundles: readonly BundleDefinition[];
  readonly keys: ReturnType<typeof readKeys>;
  /** Path of the control socket. */
  readonly control: string;
  /** The state folder. */
  readonly state: string;
  readonly beside: (path: string) => string;
  readonly log: Log;
  readonly protocol: typeof HOST_TABLE;
}

function serve(enforcer: Enforcer, order: Order): void {
  const { config, bundles, control, state, log } = order;
  const { evidence, name } = enforcer.describe();
  if (evidence === 'none') log('warn', `NO ISOLATION: the enforcer ${name} isolates nothing`);
  const tableFile = join(state, 'table.journal');
  const audit = openAudit(auditIn(state), CLOCK.nowMs(), log, { ...AUDIT_LIMITS, ...config.audit });
  const bootId = ENTROPY.random(16);
  const machine = config.machine ?? DEFAULT_MACHINE;
  const link = new Link({
    self: HOST,
    machine,
    pairKeys: order.keys,
    bootId,
    bundles: bundles.map((bundle) => ({ bundle: bundle.id, digest: bundleDigest(bundle) })),
    transport: hostTransport(machine, config.transport, order.beside, log),
    clock: CLOCK,
    entropy: ENTROPY,
    log,
  });
  const host = new Host({
    bundles,
    enforcer,
    link,
    clock: CLOCK,
    log,
    entropy: ENTROPY,
    bootId,
    bounds: durableFile(join(state, 'bounds')),
    table: openTable(tableFile, order.createTable, log),
    freshTable: () => freshTable(tableFile, log),
    audit: audit.append,
    auditHash: audit.hash,
    records: openHandovers(handoversIn(state), log),
    end: () => process.exit(EXIT_AGAIN),
    ...(config.times ? { times: config.times } : {}),
    acceptDriverResidualState: config.acceptDriverResidualState ?? false,
    protocol: order.protocol,
  });
  const server = new HostControl(host, CLOCK, VERSION);
  const supervisor = openSupervisor(log);
  STREAMS.listen(
    `unix:${control}`,
    (stream) => server.accept(stream),
    (error) => {
      if (error) exitOn(FACE.name, error);
      orExit(FACE.name, () =>
        host.start(() => {
          warnQuarantined(host.views(), control, log);
          log('info', 'serving', { enforcer: name, evidence, bundles: bundles.map((bundle) => bundle.id) });
          supervisor.ready();
        }),
      );
    },
  );
  onTermination(() => {
    supervisor.stopping();
    host.stop();
    // Scripts take a daemon with a socket file for one that serves, so a stale file is removed.
    rmSync(control, { force: true });
  });
}
