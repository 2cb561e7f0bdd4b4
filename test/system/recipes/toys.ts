/** One toy for each recipe of docs/HACKING.md: the files that its author writes, and the lines that he adds. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const PROTOCOL = readFileSync(join(import.meta.dirname, '../../../docs/PROTOCOL.md'), 'utf8');
const LAST = Math.max(...[...PROTOCOL.matchAll(/\*\*R(\d+)\*\*/g)].map(([, number]) => Number(number)));
/** The requirement that a message adds. */
const NEXT = `R${LAST + 1}`;

interface Line {
  readonly before: string;
  readonly after?: true;
  readonly add: string;
}

/** What carrying out a recipe changes. */
export interface Toy {
  /** Heading of the recipe. */
  readonly recipe: string;
  /** Stands for NAME in the paths of the recipe. */
  readonly name: string;
  /** New files. */
  readonly files: Readonly<Record<string, string>>;
  /** Lines that are put before (or `after`) the first line that has `before`, by file. */
  readonly lines: Readonly<Record<string, readonly Line[]>>;
  /** Tests that have to find it, as parts of their names. */
  readonly found: readonly string[];
}

const HOOK: Toy = {
  recipe: 'Add a hook kind',
  name: 'nap',
  files: {
    'src/edges/hooks/kinds/nap/nap.ts': `/** Hook kind \`nap\`: a toy that only notes that it began. */

import { Type } from '../../../../common/schema.ts';
import { CLOSED, COMMON, hookKind } from '../../kind.ts';

export const NAP = hookKind({
  schema: Type.Object({ ...COMMON, kind: Type.Literal('nap', { description: 'does nothing' }) }, CLOSED),
  isForSupplies: false,
  undoesItself: true,
  actions: () => ({
    apply: async ({ note }) => note.begin(),
    undo: async () => {},
    status: async () => 'suspended',
    recheck: undefined,
  }),
  effect: () => 'nap: does nothing',
});
`,
    'test/edges/hooks/nap.test.ts': `import { expect, it } from 'vitest';
import { hookWarnings } from '../../../src/config/warn-hooks.ts';
import { Rig } from './support.ts';

it('nap: suspends, and says that it does nothing', async () => {
  const rig = new Rig({ touch: { suspend: [{ kind: 'nap' }] } });
  expect(await rig.run('suspend')).toMatchObject({ ok: true });
  const warnings = hookWarnings({ panel: { touch: { suspend: [{ kind: 'nap' }] } } }, {} as never);
  expect(warnings.map(({ message }) => message)).toEqual(['nap: does nothing']);
});
`,
  },
  lines: {
    'src/edges/hooks/kinds.ts': [
      { before: 'import { RUNTIME_PM }', add: "import { NAP } from './kinds/nap/nap.ts';" },
      { before: '} as const;', add: '  nap: NAP,' },
    ],
    'docs/CONFIG.md': [
      { before: '{ "kind": "input-inhibit", "input": "/sys/bus', add: '        { "kind": "nap" },' },
    ],
  },
  found: ['nap: suspends', 'shows every kind'],
};

const ENFORCER: Toy = {
  recipe: 'Add an enforcer',
  name: 'trusting',
  files: {
    'src/edges/enforcer/kinds/trusting/trusting.ts': `/** Enforcer kind \`trusting\`: a toy. */

import { CLOSED, vmField } from '../../../../common/fields.ts';
import { Type } from '../../../../common/schema.ts';
import { enforcerKind, listedVms, vmIds } from '../../kind.ts';
import { NoneEnforcer } from '../none/none-enforcer.ts';

export const TRUSTING = enforcerKind({
  schema: Type.Object(
    {
      kind: Type.Literal('trusting', { description: 'trusts everybody' }),
      guests: Type.Array(vmField('a VM'), { description: 'VMs that count as running' }),
    },
    CLOSED,
  ),
  open: async ({ guests }, { bundles, machineBoot }) =>
    new NoneEnforcer({ bundles, vms: vmIds(guests), machineBoot: machineBoot() }),
  vms: ({ guests }) => listedVms(guests, 'guests'),
});
`,
    'src/edges/enforcer/kinds/trusting/platform.md': `## Trusting

\`{"kind":"trusting","guests":["android","vault"]}\` trusts everybody.
`,
    'test/edges/enforcer/trusting.test.ts': `import { expect, it } from 'vitest';
import { type CheckResult, runConformance } from '../../../src/edges/enforcer/conformance.ts';
import type { EnforcerParts } from '../../../src/edges/enforcer/kind.ts';
import { ENFORCER_KINDS } from '../../../src/edges/enforcer/kinds.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';

it('trusting: passes the conformance suite', async () => {
  const parts = { bundles: [PANEL], machineBoot: () => 'b1' } as unknown as EnforcerParts;
  const enforcer = await ENFORCER_KINDS['trusting']!.open({ kind: 'trusting', guests: [ANDROID, VAULT] }, parts);
  const results = await new Promise<readonly CheckResult[]>((done) =>
    runConformance({ enforcer, bundle: PANEL, vms: [ANDROID, VAULT] }, done),
  );
  expect(results.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
  expect(results.filter(({ verdict }) => verdict === 'pass').length).toBeGreaterThan(5);
});
`,
  },
  lines: {
    'src/edges/enforcer/kinds.ts': [
      { before: 'import { TRUSTED_TOUCH }', add: "import { TRUSTING } from './kinds/trusting/trusting.ts';" },
      { before: '} as const;', add: '  trusting: TRUSTING,' },
    ],
  },
  found: ['trusting: passes the conformance suite', 'the section of trusting'],
};

const TRANSPORT: Toy = {
  recipe: 'Add a transport',
  name: 'local',
  files: {
    'src/edges/transport/kinds/local/local.ts': `/** Transport kind \`local\`: a toy that is streams in one folder. */

import { CLOSED, vmField } from '../../../../common/fields.ts';
import { Type } from '../../../../common/schema.ts';
import type { VmId } from '../../../../core/protocol/ids.ts';
import { transportKind } from '../../kind.ts';
import { StreamRouter } from '../stream/stream-router.ts';
import { StreamTransport } from '../stream/stream-transport.ts';

const folder = Type.String({ description: 'folder of the sockets' });
const kind = Type.Literal('local', { description: 'sockets in one folder' });

export const LOCAL = transportKind({
  agent: Type.Object({ kind, folder }, CLOSED),
  host: Type.Object({ kind, folder, vms: Type.Array(vmField('a VM'), { description: 'its VMs' }) }, CLOSED),
  openAgent: ({ folder: at }, { self, streams, clock, entropy, log }) =>
    new StreamTransport({ self, address: \`unix:\${at}/\${self}\`, streams, clock, entropy, log }),
  openHost: ({ folder: at, vms }, { streams, clock, log }) =>
    new StreamRouter({
      listen: vms.map((vm) => ({ vm: vm as VmId, address: \`unix:\${at}/\${vm}\` })),
      streams,
      clock,
      log,
    }),
});
`,
    'test/edges/transport/local.test.ts': `import { afterAll } from 'vitest';
import { HOST } from '../../../src/core/protocol/ids.ts';
import { agentTransport, hostTransport } from '../../../targets/node/net/transports.ts';
import { describeTransport } from './compliance.ts';
import { GUESTS, Party } from './party.ts';
import { streamWorld, temporaryFolder, unixAddresses } from './worlds.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

describeTransport('local', async () => {
  const log = () => {};
  const own = (path: string) => path;
  const world = streamWorld(unixAddresses(folder.path));
  const parties: Party[] = [];
  const open = () => {
    const host = new Party(HOST, hostTransport('m', { kind: 'local', folder: folder.path, vms: GUESTS }, own, log));
    parties.push(host);
    return host;
  };
  return {
    ...world,
    party: (vm) => {
      if (vm === HOST) return open();
      const party = new Party(vm, agentTransport(vm, 'm', { kind: 'local', folder: folder.path }, own, log));
      parties.push(party);
      return party;
    },
    interrupt: async () => parties[0]!.transport.close(),
    mend: async () => open(),
    close: async () => {
      for (const party of parties) party.transport.close();
    },
  };
});
`,
  },
  lines: {
    'src/edges/transport/kinds.ts': [
      { before: 'import { MQTT }', add: "import { LOCAL } from './kinds/local/local.ts';" },
      { before: '} as const;', add: '  local: LOCAL,' },
    ],
    'docs/PROTOCOL.md': [
      { before: 'Reconnecting waits 100 ms', add: '**Local**: byte streams in one folder.\n' },
    ],
  },
  found: ['local'],
};

const VERB: Toy = {
  recipe: 'Add a verb of `baton`',
  name: 'hello',
  files: {
    'src/cli/verbs/hello.ts': `/** \`baton hello\`: a toy that asks the agent for its name. */

import type { Verb } from '../verb.ts';
import { type CliWorld, type ControlClient, EXIT } from '../world.ts';

const HELP = \`baton hello [--socket PATH]

Says which VM this is.
\`;

export async function hello(world: CliWorld, client: ControlClient): Promise<number> {
  world.out(String((await client.request({ do: 'status' }))['vm']));
  return EXIT.ok;
}

export const HELLO: Verb = { says: 'say which VM this is', help: HELP, daemon: ['agent', hello] };
`,
    'test/cli/hello.test.ts': `import { expect, it } from 'vitest';
import { hello } from '../../src/cli/verbs/hello.ts';
import { AGENT_VERBS } from '../../src/cli/verbs.ts';

it('hello: says which VM this is, and is listed', async () => {
  const said: string[] = [];
  const client = { request: async () => ({ vm: 'vault' }) };
  expect(await hello({ out: (line: string) => said.push(line) } as never, client as never)).toBe(0);
  expect(said).toEqual(['vault']);
  expect(Object.keys(AGENT_VERBS)).toContain('hello');
});
`,
  },
  lines: {
    'src/cli/verbs.ts': [
      { before: 'import { LIFT }', add: "import { HELLO } from './verbs/hello.ts';" },
      { before: '  events: EVENTS,', add: '  hello: HELLO,' },
    ],
    'docs/OPERATING.md': [
      { before: '## When something is wrong', add: '`baton hello` says which VM this is.\n' },
    ],
  },
  found: ['hello: says which VM this is', 'names commands that there are'],
};

const MESSAGE: Toy = {
  recipe: 'Add a message',
  name: 'greeting',
  files: {},
  lines: {
    'src/core/protocol/messages.ts': [
      {
        before: '  ...LATER_MESSAGES,',
        add: "  greeting: { number: 59, from: 'host', to: 'owner', says: 'A toy.', fields: { bundle, epoch } },",
      },
    ],
    'src/core/agent/owner-state.ts': [{ before: "  'requestBorrow',", add: "  'greeting'," }],
    'src/core/agent/owner-hold.ts': [
      {
        before: 'export const HOLDING_ROWS = [',
        after: true,
        add: "  row({ name: 'greeting', on: 'greeting', from: 'any', ignore: 'a toy' }),",
      },
    ],
    'docs/PROTOCOL.md': [
      { before: '## 9. Borrower', add: `- **${NEXT}** An agent MUST ignore \`greeting\`.\n` },
    ],
    'test/core/protocol/requirements.test.ts': [
      {
        before: "  it('R",
        add: `  it('${NEXT} ignores a greeting', () => {
    expect(owner([fromHost(message('greeting', { epoch: 1 }))], owning()).effects).toEqual([]);
  });
`,
      },
    ],
  },
  found: [NEXT, 'greeting'],
};

export const TOYS: readonly Toy[] = [HOOK, ENFORCER, TRANSPORT, VERB, MESSAGE];
