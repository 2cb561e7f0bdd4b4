/**
 * Refuses specified messages that are not implemented yet: the next borrower. No party sends them. Pure.
 */

import type { LaterCommand, Message, MessageKind, MessageOf } from './messages.ts';

/** Reason in the log for a dropped message. */
export const NOT_SUPPORTED = 'not supported yet';

const COMMANDS = ['lendNext', 'cancelNext'] as const satisfies readonly LaterCommand[];
const OTHERS = ['nextLent'] as const;

/** A message that is not implemented yet. */
export type LaterMessage = MessageOf<(typeof COMMANDS)[number] | (typeof OTHERS)[number]>;

/** Kinds of the messages that are not implemented yet. */
export const LATER_KINDS: readonly MessageKind[] = [...COMMANDS, ...OTHERS];

const kinds = new Set<string>(LATER_KINDS);
const commands = new Set<string>(COMMANDS);

/** Returns whether a message is not implemented yet. */
export function isLater(message: Message): message is LaterMessage {
  return kinds.has(message.kind);
}

/** Returns whether it is a command to the host, which must be answered. */
export function isLaterCommand(message: LaterMessage): message is MessageOf<LaterCommand> {
  return commands.has(message.kind);
}
