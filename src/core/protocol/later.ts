/**
 * Messages that are specified and not carried out yet: renewal, offers, the queue, the next borrower. Nobody sends
 * them; whoever gets one refuses it by name. Pure.
 */

import type { LaterCommand, Message, MessageKind, MessageOf } from './messages.ts';

/** Why such a message is dropped, for the log. */
export const NOT_SUPPORTED = 'not supported yet';

const COMMANDS = ['lendNext', 'renewLease', 'cancelNext'] as const satisfies readonly LaterCommand[];
const OTHERS = [
  'offerLease',
  'acceptLease',
  'declineOffer',
  'renew',
  'queued',
  'renewed',
  'nextLent',
] as const;

/** A message that is not carried out yet. */
export type LaterMessage = MessageOf<(typeof COMMANDS)[number] | (typeof OTHERS)[number]>;

/** Kinds of the messages that are not carried out yet. */
export const LATER_KINDS: readonly MessageKind[] = [...COMMANDS, ...OTHERS];

const kinds = new Set<string>(LATER_KINDS);
const commands = new Set<string>(COMMANDS);

/** Whether a message is not carried out yet. */
export function isLater(message: Message): message is LaterMessage {
  return kinds.has(message.kind);
}

/** Whether it is a command to the host, which is answered. */
export function isLaterCommand(message: LaterMessage): message is MessageOf<LaterCommand> {
  return commands.has(message.kind);
}
