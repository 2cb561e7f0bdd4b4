/**
 * One party as a process of its own, child of the bench: of the product, or of a relay. It is told what to do and
 * says what is done over Node's IPC; moments are noted here and handed over at the end, so that asking costs nothing.
 */

import type { AgentFile, HostFile } from '../../src/config/daemon-config.ts';
import { HOST, type VmId } from '../../src/protocol/ids.ts';
import { CLOCK } from '../../targets/node/clock.ts';
import { stderrLog } from '../../targets/node/log.ts';
import { agentTransport, hostTransport } from '../../targets/node/transports.ts';
import { productAgent } from './product.ts';
import { relay } from './relay.ts';

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
}

/** What a party is told. */
export type Order = 'lend' | 'giveBack' | 'marks';

/** What it says: `ready` once, `lent` and `back` by the borrower, `marks` when asked, or why it cannot go on. */
export type Saying =
  | { readonly is: 'ready' | 'lent' | 'back' }
  | { readonly is: 'marks'; readonly marks: Marks }
  | { readonly is: 'failed'; readonly why: string };

/** Moments on the machine's monotonic clock in ms, one a round; the same clock in all processes. */
export const MARKS = ['asked', 'suspended', 'resumed', 'granted', 'returning', 'ownerResumed'] as const;
export type Mark = (typeof MARKS)[number];
export type Marks = Record<Mark, number[]>;

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

/** Runs the party that `text` describes until the bench goes. */
export function runParty(text: string): void {
  const spec = JSON.parse(text) as PartySpec;
  const marks = Object.fromEntries(MARKS.map((mark) => [mark, [] as number[]])) as Marks;
  const say = (saying: Saying) => process.send?.(saying);
  const world: PartyWorld = { spec, say, mark: (what) => marks[what].push(CLOCK.nowMs()) };
  // Warnings are of the start, when some are there before others.
  const log = stderrLog(`${spec.kind} ${spec.self}`, 'error');
  const asGiven = (path: string) => path;
  const transport =
    spec.self === HOST
      ? hostTransport(spec.transport as HostFile['transport'], asGiven, log)
      : agentTransport(spec.self, spec.transport as AgentFile['transport'], asGiven, log);
  const program = spec.kind === 'product' ? productAgent(world, transport, log) : relay(world, transport);
  process.on('message', (order: Order) => {
    if (order === 'marks') say({ is: 'marks', marks });
    else program[order]();
  });
  process.on('disconnect', () => process.exit(0));
}
