/** A tiny executable for the `command` enforcer, as a function: keeps who holds what, answers lines. */

import {
  type CommandEnforcer,
  type LineAnswer,
  openCommandEnforcer,
  type RunLine,
} from '../../../src/edges/enforcer/kinds/command/command-enforcer.ts';
import type { Log } from '../../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';

export const HELLO = {
  name: 'fake',
  kind: 'central',
  evidence: 'asserted',
  machineBoot: 'b7',
  running: [ANDROID, VAULT],
  capabilities: { forceRevoke: true, reset: true, faultReport: false },
};

interface Call {
  readonly op: string;
  readonly resource?: string;
  readonly device?: string;
  readonly kind?: string;
  readonly vm?: string;
}

/** The executable's whole state and logic. `lines` keeps what it was asked. */
export class FakeCommand {
  readonly lines: string[] = [];
  /** Added to the next answer. */
  extras: object = {};
  readonly #holders = new Map<string, string>();
  readonly #unsettled = new Set<string>();

  answer(line: string): string {
    this.lines.push(line);
    const request = JSON.parse(line);
    const extras = this.extras;
    this.extras = {};
    if (request.hello) return JSON.stringify({ ...HELLO, ...extras });
    if (!request.calls) return JSON.stringify(extras);
    const answers: object[] = [];
    for (const call of request.calls as Call[]) {
      const error = this.#refusal(call);
      answers.push(error === undefined ? { ok: true, ...this.#carryOut(call) } : { ok: false, error });
      if (error !== undefined) break;
    }
    return JSON.stringify({ answers, ...extras });
  }

  #refusal({ op, resource, device, kind, vm }: Call): string | undefined {
    if (device !== undefined && !PANEL.devices.some(({ id }) => id === device))
      return `unknown device ${device}`;
    if (resource === undefined) return undefined;
    if (kind === undefined) return `unknown resource ${resource}`;
    if (op !== 'grant') return undefined;
    if (!HELLO.running.some((known) => known === vm)) return `VM ${vm} is not running`;
    const holder = this.#holders.get(resource) ?? vm;
    if (holder !== vm) return `${resource} is granted to ${holder}`;
    return this.#unsettled.has(resource) ? `${resource} is not settled` : undefined;
  }

  #carryOut({ op, resource, vm }: Call): object {
    if (op === 'fence') {
      this.#holders.delete(resource!);
      this.#unsettled.add(resource!);
    }
    if (op === 'grant') this.#holders.set(resource!, vm!);
    if (op === 'settle') this.#unsettled.clear();
    if (op === 'settle') return { syncs: 1 };
    if (op === 'drained') return { idle: true };
    if (op === 'grant') return { before: '00', after: 'ff01' };
    return op === 'inspect' ? { reach: this.#holders.get(resource!) ?? 'blocked' } : {};
  }
}

/** An enforcer over the fake, opened. */
export function openFake(
  fake = new FakeCommand(),
  log?: Log,
): { enforcer: CommandEnforcer; fake: FakeCommand } {
  const { enforcer, error } = open((line, done) => done({ ok: true, line: fake.answer(line) }), log);
  if (enforcer === undefined) throw new Error(error);
  return { enforcer, fake };
}

/** Opens a command enforcer; gives it, or the error. */
export function open(runLine: RunLine, log?: Log): { enforcer?: CommandEnforcer; error?: string } {
  let opened: { enforcer?: CommandEnforcer; error?: string } = {};
  const done: Parameters<typeof openCommandEnforcer>[2] = (result) => {
    opened = result.ok ? { enforcer: result.enforcer } : { error: result.error };
  };
  openCommandEnforcer([PANEL], runLine, done, log);
  return opened;
}

/** An executable that always prints the same. */
export function always(line: string): RunLine {
  return (_, done: (answer: LineAnswer) => void) => done({ ok: true, line });
}
