/**
 * The host's answers to commands that it does not carry out: refusals, repeated commands, and commands that the
 * present state does not allow. Pure.
 */

import type { RefusalCode } from '../protocol/codes.ts';
import type { Epoch, VmId } from '../protocol/ids.ts';
import { type CommandKind, MESSAGES, type MessageKind, type MessageOf } from '../protocol/messages.ts';
import { type Base, type HostOut, type HostSeen, hostRow, tell } from './host-attempt.ts';
import { type HostConfig, type HostEffect, type HostState, holds } from './host-state.ts';

export function refuse(
  x: Base,
  to: VmId,
  command: MessageKind,
  named: Epoch,
  code: RefusalCode,
  requestId?: number,
): HostEffect {
  const { state, config } = x;
  const { holder, attempt, lastEpoch } = state;
  const message: MessageOf<'refused'> = {
    kind: 'refused',
    bundle: config.bundle,
    epoch: named,
    command: MESSAGES[command].number,
    code,
    currentEpoch: holder?.epoch ?? attempt?.epoch ?? lastEpoch,
    ...(holder ? { holder: holder.vm } : {}),
    ...(requestId === undefined ? {} : { requestId }),
  };
  return { do: 'send', to, message };
}

export function refusal(x: HostSeen<CommandKind>, code: RefusalCode): HostOut {
  const { from, on, message } = x.input;
  const requestId = 'requestId' in message ? message.requestId : undefined;
  return { state: x.state, effects: [refuse(x, from, on, message.epoch, code, requestId)] };
}

export const isHolder = ({ state, input }: HostSeen<'confirm' | 'reject' | 'release'>) =>
  holds(state, input.from) && state.holder?.epoch === input.message.epoch;
export const isLent = ({ state }: { readonly state: HostState }) => state.holder?.lease !== undefined;
export const isOwner = ({ input, config }: { input: { from: VmId }; config: HostConfig }) =>
  input.from === config.owner;
/**
 * What stops a late message: every command names the epoch that its sender saw. One of a finished attempt, at or below
 * its epoch, is a repetition or comes late. It changes nothing, and is answered with how that attempt ended. A command
 * of the present holder, at its epoch, has rows of its own, before this one.
 */
export const isOfFinishedAttempt = ({ state, input }: HostSeen<CommandKind>) =>
  input.message.epoch < (state.holder?.epoch ?? state.lastEpoch) || input.message.epoch === state.lastEpoch;

export function answerFromOutcome(x: HostSeen<CommandKind>): HostOut {
  return { state: x.state, effects: [tell(x, x.input.from)] };
}

/** Returns the rows that answer a command in a state that does not allow it. */
export function otherwise(on: CommandKind, moving: RefusalCode | 'ignore') {
  return [
    ...(moving === 'ignore'
      ? [
          hostRow({
            name: `${on}-underway`,
            on,
            from: ['moving'],
            ignore: 'the remap is under way; its end is reported',
          }),
        ]
      : [
          hostRow({ name: `${on}-busy`, on, from: ['moving'], to: ['stay'], act: (x) => refusal(x, moving) }),
        ]),
    hostRow({
      name: `${on}-quarantined`,
      on,
      from: ['quarantined'],
      to: ['stay'],
      act: (x) => refusal(x, 'quarantined'),
    }),
    hostRow({
      name: `${on}-starting`,
      on,
      from: ['starting'],
      ignore: 'the machine is being read back; ask again',
    }),
  ];
}
