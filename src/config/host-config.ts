/**
 * Configuration of `baton-host`: schema, type and example. Pure.
 *
 * One description defines the TypeScript type, the published JSON Schema, the checks and the tables of
 * docs/CONFIG.md: `title` is the form of a value, for messages; `description` its purpose; `default` its default.
 * Paths are relative to the configuration file.
 */

import { CLOSED, msField } from '../common/fields.ts';
import { type Static, Type } from '../common/schema.ts';
import { HOST_TIMES } from '../core/protocol/timers.ts';
import { ENFORCER_SCHEMA } from '../edges/enforcer/kinds.ts';
import { HOST_TRANSPORT_SCHEMA } from '../edges/transport/kinds.ts';
import { BUNDLES, CONTROL, LEVEL, MACHINE } from './shared-parts.ts';

/** Schema of `baton-host`’s configuration. The enforcer has no default. */
export const HOST_SCHEMA = Type.Object(
  {
    bundles: BUNDLES,
    keys: Type.String({ secret: true, description: 'the key file of the host, mode 0600: one key per VM' }),
    machine: MACHINE,
    enforcer: ENFORCER_SCHEMA,
    transport: HOST_TRANSPORT_SCHEMA,
    state: Type.String({
      description: 'folder of table, audit log and handover records, created if missing; for one host only',
    }),
    control: CONTROL,
    times: Type.Optional(
      Type.Object(
        {
          reserveMs: Type.Optional(
            msField('how long a reservation waits for the owner’s drivers', HOST_TIMES.reserveMs),
          ),
          confirmMs: Type.Optional(
            msField(
              'how long a borrower may take to resume; then the bundle is taken back',
              HOST_TIMES.confirmMs,
            ),
          ),
          guardMs: Type.Optional(
            msField('dark time after a forced return, before the owner gets the bundle', HOST_TIMES.guardMs),
          ),
          enforceMs: Type.Optional(
            msField(
              'time limit of one order to the enforcer; then the order has failed',
              HOST_TIMES.enforceMs,
            ),
          ),
        },
        { ...CLOSED, description: 'deadlines' },
      ),
    ),
    audit: Type.Optional(
      Type.Object(
        {
          fileBytes: Type.Optional(
            Type.Integer({
              minimum: 65_536,
              maximum: 1_073_741_824,
              default: 4_194_304,
              title: 'bytes',
              description: 'size at which the next file is begun; one handover writes about 2,000 bytes',
            }),
          ),
          files: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 10_000,
              default: 8,
              description: 'number of older files that are kept; the oldest is deleted first',
            }),
          ),
        },
        { ...CLOSED, description: 'how much of the audit log is kept' },
      ),
    ),
    acceptDriverResidualState: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'also lend bundles with a residual state that only a driver clears ("clearedBy": "driver"); ' +
          'after a forced return such a bundle is quarantined',
      }),
    ),
    logLevel: Type.Optional(LEVEL),
  },
  CLOSED,
);
export type HostFile = Static<typeof HOST_SCHEMA>;

/** Example of a host’s configuration, as `--example` prints it. */
export const HOST_EXAMPLE = `{
  "bundles": "bundles.json",                        // the same file for every party
  "keys": "host.keys.json",                         // {"android": KEY, "vault": KEY}, one per VM, mode 0600
  "enforcer": { "kind": "command", "command": ["/usr/libexec/baton/my-hypervisor"] },
  "transport": { "kind": "mqtt", "url": "mqtt://192.168.7.1", "username": "host", "passwordFile": "password" },
  // Without a broker the host listens for each VM, at tcp: for guests, at unix: for agents on this machine:
  // { "kind": "stream", "listen": { "android": "tcp:192.168.7.1:7001", "vault": "tcp:192.168.7.1:7002" } }
  "state": "/var/lib/baton-host",
  "control": "/run/baton/host.sock"
}
`;
