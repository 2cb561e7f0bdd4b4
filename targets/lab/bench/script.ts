/**
 * What a handover and its way back are made of, taken down from the product itself: every message with its frame's
 * length, every record made durable, and what each follows from. The relays play it.
 */

import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import type { Message } from '../../../src/core/protocol/messages.ts';
import { HEADER_BYTES } from '../../../src/drivers/journal/format.ts';
import { ANDROID, VAULT } from '../machine/board.ts';
import { MemoryWorld } from './memory-world.ts';
import { PARTIES } from './parties.ts';

/** A message of the script. */
export interface Sending {
  readonly number: number;
  readonly from: VmId;
  readonly to: VmId;
  readonly message: Message;
  readonly hostTime: Uint8Array | undefined;
  readonly frameBytes: number;
}

/** What a party does on something. */
export type Deed =
  | { readonly do: 'send'; readonly sending: Sending }
  /** Makes a record of this many bytes durable. */
  | { readonly do: 'sync'; readonly bytes: number };

/** A handover and its way back. */
export interface Script {
  readonly sendings: readonly Sending[];
  /** What the borrower does when it is told to ask, and to give back. */
  readonly asked: readonly Deed[];
  readonly returned: readonly Deed[];
  /** By the number of a message: what its receiver does. */
  readonly reactions: readonly (readonly Deed[])[];
  /** Numbers of the messages that mark a moment. */
  readonly marks: {
    /** The owner's drivers are suspended: it says so to the host. */
    readonly lend: number;
    /** The borrower may resume. */
    readonly granted: number;
    /** The owner may resume. */
    readonly back: number;
    /** The borrower hears that the bundle is back. */
    readonly over: number;
  };
}

/** Rounds before the one that is taken down: epochs and sequence numbers have grown to two digits and more. */
const ROUNDS_BEFORE = 50;

/** Takes the script down. */
export function takeScript(): Script {
  const sendings: Sending[] = [];
  const asked: Deed[] = [];
  const returned: Deed[] = [];
  const reactions: Deed[][] = [];
  const lists = new Map<VmId, Deed[]>();
  let isOn = false;
  const world = new MemoryWorld({
    watch: {
      sent: (from, to, message, hostTime, frameBytes) => {
        if (!isOn || message.kind === 'heartbeat') return;
        const sending = { number: sendings.length, from, to, message, hostTime, frameBytes };
        sendings.push(sending);
        reactions.push([]);
        lists.get(from)!.push({ do: 'send', sending });
      },
      received: (by, from, message) => {
        if (!isOn || message.kind === 'heartbeat') return;
        // The network keeps the order of each pair, so of equals the first that was not taken yet has come.
        const sending = sendings.find(
          (each) =>
            each.from === from &&
            each.to === by &&
            !taken.has(each.number) &&
            each.message.kind === message.kind,
        )!;
        taken.add(sending.number);
        lists.set(by, reactions[sending.number]!);
      },
      synced: (by, bytes) => {
        if (isOn) lists.get(by)!.push({ do: 'sync', bytes: bytes + HEADER_BYTES });
      },
    },
  });
  const taken = new Set<number>();
  for (let round = 0; round < ROUNDS_BEFORE; round++) world.round();
  isOn = true;
  for (const party of PARTIES) lists.set(party, []);
  lists.set(VAULT, asked);
  world.lend();
  world.settle();
  lists.set(VAULT, returned);
  world.giveBack();
  world.settle();
  const numberOf = (kind: string, to: VmId, nth = 0) =>
    sendings.filter((each) => each.message.kind === kind && each.to === to)[nth]!.number;
  return {
    sendings,
    asked,
    returned,
    reactions,
    marks: {
      lend: numberOf('lend', HOST),
      granted: numberOf('remapped', VAULT),
      back: numberOf('remapped', ANDROID, 1),
      over: numberOf('remapped', VAULT, 1),
    },
  };
}

/** The name of a message in a report. */
export function nameOf({ from, to, message }: Sending): string {
  return `${from} → ${to} ${message.kind}`;
}
