/**
 * Configuration of `baton-agent`: schema, type and example. Pure.
 *
 * One description defines the TypeScript type, the published JSON Schema, the checks and the tables of
 * docs/CONFIG.md: `title` is the form of a value, for messages; `description` its purpose; `default` its default.
 * Paths are relative to the configuration file.
 */

import { CLOSED, commandField, idField, msField, vmField } from '../common/fields.ts';
import { type Static, Type } from '../common/schema.ts';
import { HOOKS_SCHEMA } from '../edges/hooks/hooks-config.ts';
import { AGENT_TRANSPORT_SCHEMA } from '../edges/transport/kinds.ts';
import { TREE_SCHEMA } from './own-tree.ts';
import { BUNDLES, CONTROL, LEVEL, MACHINE } from './shared-parts.ts';

/** Default time limit of a policy program, in ms; the owner's own timer ends the wait at 2 s. */
export const POLICY_LIMIT_MS = 1_500;
/** Highest priority. A request of priority 0 that came first is passed by this many others at most. */
export const PRIORITY_MAX = 10;
const POLICY = Type.Union(
  [
    Type.Object(
      {
        kind: Type.Literal('list', { description: 'a list of what is allowed; all else is declined' }),
        allow: Type.Array(
          Type.Object(
            {
              bundle: idField('bundle that may be borrowed'),
              borrower: vmField('VM that may borrow it'),
              purposes: Type.Optional(
                Type.Array(Type.String(), { description: 'purposes that are allowed; absent: any' }),
              ),
              leaseMaxMs: Type.Optional(msField('longest lease; absent: any')),
              totalMaxMs: Type.Optional(
                msField('longest time that a borrower holds with all renewals; absent: `leaseMaxMs`'),
              ),
              minHoldMaxMs: Type.Optional(msField('longest minimum hold time; absent: as long as the lease')),
              noticeMaxMs: Type.Optional(
                msField('longest notice: time between the start of a return and its force', 10_000),
              ),
              priority: Type.Optional(
                Type.Integer({
                  minimum: 0,
                  maximum: PRIORITY_MAX,
                  default: 0,
                  description:
                    'of requests that wait, the higher one is served first; each turn that passes a request ' +
                    'raises it by 1',
                }),
              ),
            },
            CLOSED,
          ),
          { description: 'entries; one that matches is enough' },
        ),
      },
      CLOSED,
    ),
    Type.Object(
      {
        kind: Type.Literal('program', { description: 'a program decides each request' }),
        command: commandField('program and its arguments, run for each request'),
        limitMs: Type.Optional(msField('time limit of a run; then the request is declined', POLICY_LIMIT_MS)),
      },
      CLOSED,
    ),
  ],
  { description: 'to whom an owner lends; absent: to nobody' },
);

/** Schema of `baton-agent`’s configuration. */
export const AGENT_SCHEMA = Type.Object(
  {
    vm: vmField('name of this VM, as in the bundle file and the host’s key file'),
    bundles: BUNDLES,
    keys: Type.String({
      secret: true,
      description:
        'the key file of this party, mode 0600: the host and every peer it lends to or borrows from',
    }),
    machine: MACHINE,
    transport: AGENT_TRANSPORT_SCHEMA,
    state: Type.String({ description: 'folder of the journal, created if missing; for one agent only' }),
    control: CONTROL,
    policy: Type.Optional(POLICY),
    hooks: Type.Optional(HOOKS_SCHEMA),
    tree: Type.Optional(TREE_SCHEMA),
    logLevel: Type.Optional(LEVEL),
  },
  CLOSED,
);
export type AgentFile = Static<typeof AGENT_SCHEMA>;

/** Example of an agent’s configuration, as `--example` prints it. */
export const AGENT_EXAMPLE = `{
  "vm": "android",                                  // this VM's name, as in the bundle file
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
