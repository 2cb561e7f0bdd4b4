/**
 * Configuration of the two daemons: schemas, types and examples. Pure.
 *
 * One description makes the TypeScript type, the published JSON Schema, the checks and the tables of docs/CONFIG.md:
 * `title` is the form of a value, in the words of a complaint, `description` what it is for, `default` what holds
 * without it. Paths are relative to the configuration file.
 */

import { type Static, Type } from '../common/schema.ts';
import { DEFAULT_MACHINE, ID_PATTERN, ID_WORDS, PARTY_PATTERN, VM_PATTERN } from '../core/protocol/ids.ts';
import { HOST_TIMES } from '../core/protocol/timers.ts';
import { HOOKS_SCHEMA } from '../edges/hooks/hooks-config.ts';
import { TREE_SCHEMA } from './own-tree.ts';
import { PAIR_KEYS_PATTERN } from './pair-keys.ts';

const closed = { additionalProperties: false } as const;
const name = (description: string) => Type.String({ pattern: ID_PATTERN, title: ID_WORDS, description });
const vmName = (description: string) => Type.String({ pattern: VM_PATTERN, title: ID_WORDS, description });
const ms = (description: string, otherwise?: number) =>
  Type.Integer({
    minimum: 1,
    maximum: 0xffff_ffff,
    title: 'milliseconds',
    description,
    ...(otherwise === undefined ? {} : { default: otherwise }),
  });
/** A port is at most 65535; 107 bytes are what the kernel takes for the path of a socket. */
const PORT = '([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
const address = (description: string) =>
  Type.String({
    pattern: `^(unix:.{1,107}|tcp:.+:${PORT})$`,
    title: 'unix:/path (at most 107 bytes) or tcp:host:port (at most 65535)',
    description,
  });
/** A CID or a port of vsock has 32 bits. */
const VSOCK_NUMBER = '[0-9]{1,10}';
/** An address that messages may travel by; `cid`: the expression for it, and its words. */
const way = (description: string, [cid, words] = [VSOCK_NUMBER, 'CID']) =>
  Type.String({
    pattern: `^(unix:.{1,107}|tcp:.+:${PORT}|vsock:${cid}:${VSOCK_NUMBER}|vsock-unix:.{1,107}:${VSOCK_NUMBER})$`,
    title:
      `unix:/path (at most 107 bytes), tcp:host:port (at most 65535), vsock:${words}:port, or ` +
      'vsock-unix:/path:port of Firecracker and Cloud Hypervisor',
    description,
  });
/** Who listens may do so for every guest; nobody dials them all. */
const ANY_GUEST = [`(any|${VSOCK_NUMBER})`, 'any'] as const;
/** A program and what it is given. */
const command = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description });
const LEVEL = Type.Union(
  ['debug', 'info', 'warn', 'error'].map((level) => Type.Literal(level)),
  { default: 'info', description: 'the least important lines that are logged' },
);
const BUNDLES = Type.String({ description: 'the bundle file, the same for all parties' });
const CONTROL = Type.String({
  description: 'path of the control socket; its folder is made with mode 0700 if missing',
});

/** Time that a policy program has by default, in ms; the owner's own timer ends the wait at 2 s. */
export const POLICY_LIMIT_MS = 1_500;
/**
 * Time that a call of a command enforcer has by default, in ms: below the host's deadline for a phase (`enforceMs`).
 */
export const ENFORCER_LIMIT_MS = 2_500;

/** Time that a QEMU has for one QMP command by default, in ms; it answers within one or two. */
export const QMP_LIMIT_MS = 1_000;

const TRANSPORT_SAYS = 'how messages travel; the same for all parties';

const MQTT = Type.Object(
  {
    kind: Type.Literal('mqtt', { description: 'over a broker' }),
    url: Type.String({
      pattern: '^(mqtt://|mqtt\\+unix://).+',
      title: 'mqtt://host:port or mqtt+unix:///path',
      description: 'the broker; port 1883 unless given',
    }),
    version: Type.Optional(
      Type.Union([Type.Literal('3.1.1'), Type.Literal('5')], {
        default: '3.1.1',
        description: 'version of MQTT',
      }),
    ),
    username: Type.Optional(
      Type.String({ description: 'user at the broker: name of the VM, or "host"; absent: no login' }),
    ),
    passwordFile: Type.Optional(
      Type.String({
        secret: true,
        description: 'file with the password, mode 0600; spaces and newlines at its end do not count',
      }),
    ),
  },
  closed,
);

const POLICY = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('list', { description: 'what no entry allows is declined' }),
        allow: Type.Array(
          Type.Object(
            {
              bundle: name('bundle that may be borrowed'),
              borrower: vmName('VM that may borrow it'),
              purposes: Type.Optional(
                Type.Array(Type.String(), { description: 'purposes that are allowed; absent: any' }),
              ),
              leaseMaxMs: Type.Optional(ms('longest lease; absent: any')),
              minHoldMaxMs: Type.Optional(
                ms('longest time in which a recall is not honoured; absent: as long as the lease'),
              ),
              noticeMaxMs: Type.Optional(ms('longest time between notice and force', 10_000)),
            },
            closed,
          ),
          { description: 'entries; one that fits is enough' },
        ),
      },
      closed,
    ),
    Type.Object(
      {
        kind: Type.Literal('program', { description: 'a program decides each request' }),
        command: command('program and its arguments, run for each request'),
        limitMs: Type.Optional(ms('time it has; then the request is declined', POLICY_LIMIT_MS)),
      },
      closed,
    ),
  ],
  { description: 'to whom an owner lends; absent: to nobody' },
);

const MACHINE = Type.Optional(
  Type.String({
    pattern: ID_PATTERN,
    title: ID_WORDS,
    default: DEFAULT_MACHINE,
    description: 'name of the machine, the same for all its parties; needed where machines share a broker',
  }),
);

/** Schema of `baton-agent`’s configuration. */
export const AGENT_SCHEMA = Type.Object(
  {
    vm: vmName('name of this VM, as the bundle file and the host’s key file have it'),
    bundles: BUNDLES,
    keys: Type.String({
      secret: true,
      description:
        'the key file of this party, mode 0600: the host and every peer it lends to or borrows from',
    }),
    machine: MACHINE,
    transport: Type.Union(
      [
        MQTT,
        Type.Object(
          {
            kind: Type.Literal('stream', { description: 'a byte stream to the host, which hands on' }),
            address: way('where the host listens for this VM; from inside a guest, vsock:2:port'),
          },
          closed,
        ),
      ],
      { description: TRANSPORT_SAYS },
    ),
    state: Type.String({ description: 'folder of the journal, made if missing; of one agent alone' }),
    control: CONTROL,
    policy: Type.Optional(POLICY),
    hooks: Type.Optional(HOOKS_SCHEMA),
    tree: Type.Optional(TREE_SCHEMA),
    logLevel: Type.Optional(LEVEL),
  },
  closed,
);
export type AgentFile = Static<typeof AGENT_SCHEMA>;

/** Which VMs run, where the enforcer itself does not see it. */
const INCARNATIONS = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('fixed', { description: 'as long as the host runs; no VM is ever seen to end' }),
        vms: Type.Array(vmName('a VM'), { description: 'VMs that count as running' }),
      },
      closed,
    ),
    Type.Object(
      {
        kind: Type.Literal('command', {
          description: 'a program tells: of the contract of `command` only what is not about bundles',
        }),
        command: command('program and its arguments, run for each request'),
        limitMs: Type.Optional(ms('time that one run has', ENFORCER_LIMIT_MS)),
      },
      closed,
    ),
  ],
  { description: 'who knows which VMs run' },
);

const TRUSTED_TOUCH = Type.Object(
  {
    kind: Type.Literal('trusted-touch', {
      description: 'the guests lend and accept by their hooks `trusted-touch`; the host only keeps account',
    }),
    incarnations: INCARNATIONS,
  },
  closed,
);

const QMP = Type.Object(
  {
    kind: Type.Literal('qmp', { description: 'plain QEMU: input events go to the holder alone' }),
    vms: Type.Record(Type.String({ pattern: VM_PATTERN }), address('QMP socket of this VM’s QEMU'), {
      ...closed,
      description: 'VM → its QEMU; a VM runs for as long as its QMP answers',
    }),
    inputs: Type.Record(
      Type.String({ pattern: ID_PATTERN }),
      address('where the host listens for who reads the device'),
      { ...closed, description: 'bundle → where its input events come in' },
    ),
    limitMs: Type.Optional(ms('time that a QEMU has for one answer; then it counts as ended', QMP_LIMIT_MS)),
  },
  closed,
);

const ENFORCER = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('simulated', { description: 'a helper on an enforcer socket' }),
        address: address('where the helper listens'),
      },
      closed,
    ),
    Type.Object(
      {
        kind: Type.Literal('kvm', { description: 'baton-kvm, or a VMM that does as it does' }),
        address: address('where the VMM listens'),
      },
      closed,
    ),
    Type.Object(
      {
        kind: Type.Literal('command', { description: 'your executable' }),
        command: command('program and its arguments, run for each request'),
        limitMs: Type.Optional(ms('time that one run has', ENFORCER_LIMIT_MS)),
      },
      closed,
    ),
    Type.Object(
      {
        kind: Type.Literal('none', { description: 'isolates nothing: for a bench' }),
        vms: Type.Array(vmName('a VM'), {
          description: 'VMs that count as running, for as long as the host runs',
        }),
      },
      closed,
    ),
    TRUSTED_TOUCH,
    QMP,
  ],
  { description: 'the enforcer that switches access; without a default' },
);

/** Schema of `baton-host`’s configuration. The enforcer has no default. */
export const HOST_SCHEMA = Type.Object(
  {
    bundles: BUNDLES,
    keys: Type.String({ secret: true, description: 'the key file of the host, mode 0600: one key per VM' }),
    machine: MACHINE,
    enforcer: ENFORCER,
    transport: Type.Union(
      [
        MQTT,
        Type.Object(
          {
            kind: Type.Literal('stream', { description: 'the host listens, and hands on between agents' }),
            listen: Type.Record(
              Type.String({ pattern: VM_PATTERN }),
              way('where it listens for this VM', [...ANY_GUEST]),
              {
                ...closed,
                description: 'one address per VM: it vouches for the route',
              },
            ),
          },
          closed,
        ),
      ],
      { description: TRANSPORT_SAYS },
    ),
    state: Type.String({ description: 'folder of table and audit log, made if missing; of one host alone' }),
    control: CONTROL,
    times: Type.Optional(
      Type.Object(
        {
          reserveMs: Type.Optional(
            ms('how long a reservation waits for the owner’s drivers', HOST_TIMES.reserveMs),
          ),
          confirmMs: Type.Optional(
            ms('how long a borrower has to resume; then it is taken back', HOST_TIMES.confirmMs),
          ),
          guardMs: Type.Optional(
            ms('dark time after a forced return, before the owner gets it', HOST_TIMES.guardMs),
          ),
          enforceMs: Type.Optional(
            ms('how long the enforcer has for one order; then it failed', HOST_TIMES.enforceMs),
          ),
        },
        { ...closed, description: 'deadlines' },
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
              description: 'size from which on another file is begun; one handover makes about 2,000',
            }),
          ),
          files: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 10_000,
              default: 8,
              description: 'older files that are kept; the oldest is deleted first',
            }),
          ),
        },
        { ...closed, description: 'how much of the audit log is kept' },
      ),
    ),
    acceptDriverResidualState: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'lend what only a driver can clean, too: a residual state with "clearedBy": "driver"; taken by ' +
          'force it is quarantined',
      }),
    ),
    logLevel: Type.Optional(LEVEL),
  },
  closed,
);
export type HostFile = Static<typeof HOST_SCHEMA>;

/** Schema of a key file: 32 bytes in hexadecimal per peer, or two keys with their generations. */
export const KEYS_SCHEMA = Type.Record(
  Type.String({ pattern: PARTY_PATTERN }),
  Type.String({
    pattern: PAIR_KEYS_PATTERN,
    title: '64 digits 0 to 9, a to f: openssl rand -hex 32',
    secret: true,
    description:
      'the key that this party and that peer share; two, with their generations, while they are ' +
      'exchanged: "2:KEY 1:KEY"',
  }),
  { ...closed, description: 'name of the peer (a VM, or "host") → key' },
);

/** Example of an agent’s configuration, as `--example` prints it. */
export const AGENT_EXAMPLE = `{
  "vm": "android",                                  // this VM's name, as the host knows it
  "bundles": "bundles.json",                        // the same file for every party
  "keys": "android.keys.json",                      // {"host": KEY, "vault": KEY}, one per peer, mode 0600
  "transport": { "kind": "mqtt", "url": "mqtt://192.168.7.1", "username": "android", "passwordFile": "password" },
  // Without a broker, as in the host's example: { "kind": "stream", "address": "tcp:192.168.7.1:7001" }
  "state": "/var/lib/baton",
  "control": "/run/baton/agent.sock",
  "policy": { "kind": "list", "allow": [{ "bundle": "panel", "borrower": "vault", "leaseMaxMs": 60000 }] },
  "hooks": { "panel": { "touch": {
    "suspend": [{ "name": "inhibit", "kind": "input-inhibit",
                  "input": "/sys/devices/platform/soc/a90000.i2c/i2c-3/3-0020" }]
  } } }
}
`;

/** Example of a host’s configuration, as `--example` prints it. */
export const HOST_EXAMPLE = `{
  "bundles": "bundles.json",                        // the same file for every party
  "keys": "host.keys.json",                         // {"android": KEY, "vault": KEY}, one per VM, mode 0600
  "enforcer": { "kind": "command", "command": ["/usr/libexec/baton/my-hypervisor"] },
  "transport": { "kind": "mqtt", "url": "mqtt://192.168.7.1", "username": "host", "passwordFile": "password" },
  // Without a broker the host listens for each VM, at tcp: for guests, at unix: for a bench on one machine:
  // { "kind": "stream", "listen": { "android": "tcp:192.168.7.1:7001", "vault": "tcp:192.168.7.1:7002" } }
  "state": "/var/lib/baton-host",
  "control": "/run/baton/host.sock"
}
`;
