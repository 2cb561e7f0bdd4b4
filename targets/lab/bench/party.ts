/**
 * One party as a process of its own, child of the bench, on Node or on QuickJS: of the product, or of a relay. It is
 * told what to do and says what is done over a socket; moments are noted here and handed over at the end, so that
 * asking costs nothing.
 */

import { type Json, Lines } from '../../../src/common/lines.ts';
import type { AgentFile } from '../../../src/config/agent-config.ts';
import type { HostFile } from '../../../src/config/host-config.ts';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import { STREAMS } from '../../node/net/streams.ts';
import { agentTransport, hostTransport } from '../../node/net/transports.ts';
import { stderrLog } from '../../node/program/log.ts';
import { CLOCK } from '../../node/system/clock.ts';
import { plain, revived } from './json-bytes.ts';
import { productAgent } from './product.ts';
import { relay } from './relay.ts';
import type { Script } from './script.ts';

/** The three programs that are compared. */
export const KINDS = ['product', 'bare', 'enveloped'] as const;
export type Kind = (typeof KINDS)[number];

/** Which party a process is to be. */
export interface PartySpec {
  readonly kind: Kind;
  readonly self: VmId;
  readonly transport: AgentFile['transport'] | HostFile['transport'];
  /** Where its journal goes: on the file system that a daemon's would be on. */
  readonly folder: string;
  /** What a relay plays. */
  readonly script: Script;
}

/** What a party is told. `marks`: to tell the moments of one name, those of round `since` and later. */
export type Order =
  | { readonly do: 'start'; readonly spec: PartySpec }
  | { readonly do: 'lend' | 'giveBack' }
  | { readonly do: 'marks'; readonly mark: Mark; readonly since: number };

/** What it says: `ready` once, `lent` and `back` by the borrower, `marks` when asked, or why it cannot go on. */
export type Saying =
  | { readonly is: 'ready' | 'lent' | 'back' }
  | { readonly is: 'marks'; readonly moments: readonly number[] }
  | { readonly is: 'failed'; readonly why: string };

/** Moments on the machine's monotonic clock in ms, one a round; the same clock in all processes. */
export const MARKS = ['asked', 'suspended', 'resumed', 'granted', 'returning', 'ownerResumed'] as const;
export type Mark = (typeof MARKS)[number];
export type Marks = Record<Mark, readonly number[]>;

/** What a party's program is given. */
export interface PartyWorld {
  readonly spec: PartySpec;
  mark(what: Mark): void;
  say(saying: Saying): void;
}

/** What a party's program can be told. */
export interface PartyProgram {
  lend(): void;
  giveBack(): void;
}

/** Is the party that it is told to be over the socket at `path`, until that ends. */
export function runParty(path: string): void {
  STREAMS.connect(`unix:${path}`, (stream) => {
    if (stream instanceof Error) throw stream;
    const marks = new Map<Mark, number[]>(MARKS.map((mark) => [mark, []]));
    let program: PartyProgram | undefined;
    const say = (saying: Saying) => lines.send(saying as unknown as Json);
    const lines = new Lines(stream, {
      onLine: (line) => {
        const order = line as unknown as Order;
        if (order.do === 'start') {
          const spec = { ...order.spec, script: revived(order.spec.script) as Script };
          program = start({ spec, say, mark: (what) => marks.get(what)!.push(CLOCK.nowMs()) });
        } else if (order.do === 'marks') {
          say({ is: 'marks', moments: marks.get(order.mark)!.slice(order.since) });
        } else program![order.do]();
      },
      onBad: (why) => say({ is: 'failed', why }),
      onClose: () => process.exit(0),
    });
  });
}

/** The order that starts a party, as it can be sent. */
export function startOrder(spec: PartySpec): Order {
  return { do: 'start', spec: { ...spec, script: plain(spec.script) as Script } };
}

function start(world: PartyWorld): PartyProgram {
  const { kind, self, transport: config } = world.spec;
  // Warnings are of the start, when some are there before others.
  const log = stderrLog(`${kind} ${self}`, 'error');
  const asGiven = (path: string) => path;
  const transport =
    self === HOST
      ? hostTransport('machine', config as HostFile['transport'], asGiven, log)
      : agentTransport(self, 'machine', config as AgentFile['transport'], asGiven, log);
  return kind === 'product' ? productAgent(world, transport, log) : relay(world, transport);
}
