/**
 * Configuration of the two daemons: schemas, types and examples. Pure.
 *
 * One description makes the TypeScript type, the published JSON Schema and the checks. Paths are relative to the
 * configuration file.
 */

import { type Static, Type } from 'typebox';
import { HOOKS_SCHEMA } from '../hooks/hooks-config.ts';
import { NAME_WORDS } from './faults.ts';

const closed = { additionalProperties: false } as const;
const NAME = Type.String({ pattern: '^[a-z][a-z0-9._-]{0,31}$', description: NAME_WORDS });
const MS = Type.Integer({ minimum: 1, maximum: 0xffff_ffff, description: 'milliseconds' });
/** A port is at most 65535; 107 bytes are what the kernel takes for the path of a socket. */
const PORT = '([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
const ADDRESS = Type.String({
  pattern: `^(unix:.{1,107}|tcp:.+:${PORT})$`,
  description: 'unix:/path (at most 107 bytes) or tcp:host:port (at most 65535)',
});
/** A program and what it is given. */
const COMMAND = Type.Array(Type.String({ minLength: 1 }), { minItems: 1 });
const LEVEL = Type.Union(['debug', 'info', 'warn', 'error'].map((level) => Type.Literal(level)));

const MQTT = Type.Object(
  {
    kind: Type.Literal('mqtt'),
    url: Type.String({
      pattern: '^(mqtt://|mqtt\\+unix://).+',
      description: 'mqtt://host:port or mqtt+unix:///path',
    }),
    version: Type.Optional(Type.Union([Type.Literal('3.1.1'), Type.Literal('5')])),
    username: Type.Optional(Type.String()),
    passwordFile: Type.Optional(Type.String()),
  },
  closed,
);

const POLICY = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('list'),
      allow: Type.Array(
        Type.Object(
          {
            bundle: NAME,
            borrower: NAME,
            purposes: Type.Optional(Type.Array(Type.String())),
            leaseMaxMs: Type.Optional(MS),
            minTenureMaxMs: Type.Optional(MS),
            noticeMaxMs: Type.Optional(MS),
          },
          closed,
        ),
      ),
    },
    closed,
  ),
  Type.Object(
    {
      kind: Type.Literal('program'),
      command: COMMAND,
      limitMs: Type.Optional(MS),
    },
    closed,
  ),
]);

/** Schema of `baton-agent`’s configuration. */
export const AGENT_SCHEMA = Type.Object(
  {
    vm: NAME,
    bundles: Type.String({ description: 'the bundle file, the same for all parties' }),
    keys: Type.String({ description: 'the key file of this party, mode 0600' }),
    transport: Type.Union([MQTT, Type.Object({ kind: Type.Literal('stream'), address: ADDRESS }, closed)]),
    state: Type.String({ description: 'folder of the journal' }),
    control: Type.String({ description: 'path of the control socket' }),
    policy: Type.Optional(POLICY),
    hooks: Type.Optional(HOOKS_SCHEMA),
    logLevel: Type.Optional(LEVEL),
  },
  closed,
);
export type AgentFile = Static<typeof AGENT_SCHEMA>;

const ENFORCER = Type.Union([
  Type.Object({ kind: Type.Literal('simulated'), address: ADDRESS }, closed),
  Type.Object(
    {
      kind: Type.Literal('command'),
      command: COMMAND,
      limitMs: Type.Optional(MS),
    },
    closed,
  ),
  Type.Object({ kind: Type.Literal('none'), vms: Type.Array(NAME) }, closed),
]);

/** Schema of `baton-host`’s configuration. The back end has no default. */
export const HOST_SCHEMA = Type.Object(
  {
    bundles: Type.String({ description: 'the bundle file, the same for all parties' }),
    keys: Type.String({ description: 'the key file of the host, mode 0600' }),
    enforcer: ENFORCER,
    transport: Type.Union([
      MQTT,
      Type.Object(
        {
          kind: Type.Literal('stream'),
          listen: Type.Record(NAME, ADDRESS, {
            ...closed,
            description: 'one address per VM: it vouches for the route',
          }),
        },
        closed,
      ),
    ]),
    state: Type.String({ description: 'folder of table and audit log' }),
    control: Type.String({ description: 'path of the control socket' }),
    times: Type.Optional(
      Type.Object(
        {
          reserveMs: Type.Optional(MS),
          confirmMs: Type.Optional(MS),
          guardMs: Type.Optional(MS),
          enforceMs: Type.Optional(MS),
        },
        closed,
      ),
    ),
    acceptDriverResidue: Type.Optional(Type.Boolean()),
    logLevel: Type.Optional(LEVEL),
  },
  closed,
);
export type HostFile = Static<typeof HOST_SCHEMA>;

/** Schema of a key file: 32 bytes in hexadecimal per peer. */
export const KEYS_SCHEMA = Type.Record(
  NAME,
  Type.String({ pattern: '^[0-9a-f]{64}$', description: '64 digits 0 to 9, a to f: openssl rand -hex 32' }),
  closed,
);

/** Example of an agent’s configuration, as `--example` prints it. */
export const AGENT_EXAMPLE = `{
  "vm": "android",                                  // this VM's name, as the host knows it
  "bundles": "bundles.json",                        // the same file for every party
  "keys": "android.keys.json",                      // one key per peer, mode 0600
  "transport": { "kind": "mqtt", "url": "mqtt://127.0.0.1:1883", "username": "android" },
  "state": "/var/lib/baton",
  "control": "/run/baton/agent.sock",
  "policy": { "kind": "list", "allow": [{ "bundle": "panel", "borrower": "vault", "leaseMaxMs": 60000 }] },
  "hooks": { "panel": { "touch": {
    "suspend": [{ "name": "inhibit", "kind": "input-inhibit", "input": "input3" }]
  } } }
}
`;

/** Example of a host’s configuration, as `--example` prints it. */
export const HOST_EXAMPLE = `{
  "bundles": "bundles.json",                        // the same file for every party
  "keys": "host.keys.json",                         // one key per VM, mode 0600
  "enforcer": { "kind": "command", "command": ["/usr/libexec/baton/my-hypervisor"] },
  "transport": { "kind": "stream", "listen": { "android": "unix:/run/baton/android.sock",
                                               "vault": "unix:/run/baton/vault.sock" } },
  "state": "/var/lib/baton-host",
  "control": "/run/baton/host.sock"
}
`;
