/** The `command` enforcer: its lines, and that nothing an executable prints can break it. */

import { describe, expect, it } from 'vitest';
import { vmId } from '../../../src/core/protocol/ids.ts';
import { EarlyEvents } from '../../../src/edges/enforcer/early-events.ts';
import {
  CommandEnforcer,
  type LineAnswer,
} from '../../../src/edges/enforcer/kinds/command/command-enforcer.ts';
import {
  LINE_CHARS_MAX,
  parseAnswers,
  parseHello,
} from '../../../src/edges/enforcer/kinds/command/contract.ts';
import type { EnforcerAnswer, EnforcerCall, EnforcerEvent } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { always, FakeCommand, HELLO, open, openFake } from './fake-command.ts';

const GRANT = { op: 'grant', resource: 'touch.mmio0', vm: VAULT } as EnforcerCall;

function answersOf(enforcer: CommandEnforcer, calls: readonly EnforcerCall[]): readonly EnforcerAnswer[] {
  let answers: readonly EnforcerAnswer[] = [];
  enforcer.run(PANEL.id, calls, (given) => {
    answers = given;
  });
  return answers;
}

function commandOf(line: string): CommandEnforcer {
  const hello = parseHello(JSON.stringify(HELLO));
  if (!hello.ok) throw new Error(hello.error);
  return new CommandEnforcer([PANEL], always(line), hello.value);
}

describe('command', () => {
  it('sends everything a stateless script needs', () => {
    const { enforcer, fake } = openFake();
    answersOf(enforcer, [
      GRANT,
      { op: 'fence', resource: 'touch.interrupt0' } as EnforcerCall,
      { op: 'settle' },
    ]);
    expect(JSON.parse(fake.lines.at(-1)!)).toEqual({
      bundle: 'panel',
      calls: [
        {
          op: 'grant',
          resource: 'touch.mmio0',
          vm: 'vault',
          kind: 'mmio',
          physical: 0x0a90_0000,
          bytes: 4096,
          view: 0x0b90_0000,
        },
        { op: 'fence', resource: 'touch.interrupt0', kind: 'interrupt', physical: 389, trigger: 'level' },
        { op: 'settle' },
      ],
    });
  });

  it('hands over entries before and after as bytes', () => {
    const { enforcer } = openFake();
    expect(answersOf(enforcer, [GRANT])).toEqual([
      { ok: true, before: Uint8Array.of(0), after: Uint8Array.of(0xff, 1) },
    ]);
  });

  it('takes over running VMs, events and faults from any answer', () => {
    const { enforcer, fake } = openFake();
    const events: EnforcerEvent[] = [];
    enforcer.onEvent((event) => events.push(event));
    const fault = { by: 'cpu', vm: 'vault', address: 4096, write: true, event: 'stage-2 abort' };
    fake.extras = {
      running: ['android'],
      events: [{ kind: 'vmExited', vm: 'vault' }, 7],
      faults: [fault, {}],
    };
    enforcer.poll(() => {});
    expect(enforcer.running()).toEqual([ANDROID]);
    expect(events).toEqual([{ kind: 'faultsPending' }, { kind: 'vmExited', vm: VAULT }]);
    expect(enforcer.faults()).toEqual([{ ...fault, count: 1, lost: false }]);
    expect(enforcer.faults()).toEqual([]);
    enforcer.acknowledgeExit(VAULT);
    expect(fake.lines.at(-1)).toBe('{"acknowledgeExit":"vault"}');
  });

  it('repeats leave to start and to free until it is taken in, no oftener than every fifth poll', () => {
    const lines: string[] = [];
    const logs: string[] = [];
    let refused = 2;
    const hello = parseHello(JSON.stringify(HELLO));
    if (!hello.ok) throw new Error(hello.error);
    const answer = (line: string): LineAnswer => {
      lines.push(line);
      if (!line.includes('Exit')) return { ok: true, line: '{}' };
      refused -= 1;
      if (refused === 1) return { ok: false, error: 'no answer within 2500 ms' };
      return { ok: true, line: refused === 0 ? '{"ok":false,"error":"not yet"}' : '{}' };
    };
    const enforcer = new CommandEnforcer(
      [PANEL],
      (line, done) => done(answer(line)),
      hello.value,
      (level, message) => logs.push(`${level}: ${message}`),
    );
    enforcer.acknowledgeExit(VAULT);
    enforcer.acknowledgeStart(ANDROID);
    for (let i = 0; i < 30; i++) enforcer.poll(() => {});
    expect(lines.filter((line) => line.includes('acknowledgeExit'))).toHaveLength(3);
    expect(lines.filter((line) => line.includes('acknowledgeStart'))).toHaveLength(1);
    expect(logs).toEqual([
      'error: acknowledgeExit is not confirmed, and is repeated: no answer within 2500 ms',
      'info: acknowledgeExit is confirmed',
    ]);
  });

  it('does not repeat to a VM that has ended that it may start', () => {
    const { enforcer, fake } = openFake();
    let fails = true;
    const hello = parseHello(JSON.stringify(HELLO));
    if (!hello.ok) throw new Error(hello.error);
    const broken = new CommandEnforcer(
      [PANEL],
      (line, done) => done(fails ? { ok: false, error: 'gone' } : { ok: true, line: fake.answer(line) }),
      hello.value,
    );
    broken.acknowledgeStart(VAULT);
    fails = false;
    fake.extras = { events: [{ kind: 'vmExited', vm: 'vault' }] };
    for (let i = 0; i < 10; i++) broken.poll(() => {});
    expect(fake.lines.filter((line) => line.includes('acknowledge'))).toEqual([]);
    enforcer.close();
  });

  it('keeps events that come before there is a listener', () => {
    const { enforcer, fake } = openFake();
    fake.extras = { events: [{ kind: 'vmStarting', vm: 'vault' }] };
    enforcer.poll(() => {});
    const events: EnforcerEvent[] = [];
    enforcer.onEvent((event) => events.push(event));
    expect(events).toEqual([{ kind: 'vmStarting', vm: VAULT }]);
  });

  it('asks one thing at a time', () => {
    const waiting: ((answer: LineAnswer) => void)[] = [];
    const hello = parseHello(JSON.stringify(HELLO));
    if (!hello.ok) throw new Error(hello.error);
    const enforcer = new CommandEnforcer([PANEL], (_, done) => waiting.push(done), hello.value);
    const done: string[] = [];
    enforcer.poll(() => done.push('first'));
    enforcer.poll(() => done.push('second'));
    expect(waiting).toHaveLength(1);
    waiting.shift()!({ ok: true, line: '{}' });
    expect(done).toEqual(['first']);
    enforcer.close();
    waiting.shift()!({ ok: true, line: '{}' });
    // Who polls in a loop comes to its end.
    enforcer.poll(() => done.push('after close'));
    expect(done).toEqual(['first', 'second']);
  });

  it.each([
    ['nothing', '', 'the command answered no list of answers'],
    ['no JSON', '{', 'the command answered no list of answers'],
    ['a list', '[]', 'the command answered no list of answers'],
    ['too long a line', ' '.repeat(LINE_CHARS_MAX + 1), 'the command answered no list of answers'],
    ['too few answers', '{"answers":[]}', 'the command answered nothing to grant'],
    ['a null', '{"answers":[null]}', 'the command answered nothing to grant'],
    ['no ok', '{"answers":[{}]}', 'the command’s answer to grant has no ok'],
    ['a failure without reason', '{"answers":[{"ok":false}]}', 'grant failed'],
    ['a failure', '{"answers":[{"ok":false,"error":"no such VM"}]}', 'no such VM'],
  ])('an executable that prints %s fails the call', (_, line, error) => {
    expect(answersOf(commandOf(line), [GRANT])).toEqual([{ ok: false, error }]);
  });

  it.each([
    ['drained', '{"ok":true}', 'drained: idle is missing'],
    ['inspect', '{"ok":true,"reach":"No Such"}', 'inspect: reach is neither a VM, "blocked" nor "unknown"'],
  ])('an answer to %s without its field fails', (op, answer, error) => {
    const call = { op, device: 'touch', resource: 'touch.mmio0' } as unknown as EnforcerCall;
    expect(parseAnswers(`{"answers":[${answer}]}`, [call])).toEqual([{ ok: false, error }]);
  });

  it('an executable that is gone fails the call', () => {
    const { enforcer, error } = open((_, done) => done({ ok: false, error: 'exit status 1' }));
    expect([enforcer, error]).toEqual([undefined, 'enforcer command: exit status 1']);
  });

  it.each([
    ['no JSON', 'hm', 'not a JSON object'],
    ['no name', JSON.stringify({ ...HELLO, name: 1 }), 'name is missing'],
    ['no kind', JSON.stringify({ ...HELLO, kind: 'x' }), 'neither central nor party'],
    ['no evidence', JSON.stringify({ ...HELLO, evidence: 'sure' }), 'evidence is none of'],
    ['no boot', JSON.stringify({ ...HELLO, machineBoot: 1 }), 'no machineBoot'],
    ['no VMs', JSON.stringify({ ...HELLO, running: ['Bad Name'] }), 'not a list of VM names'],
    ['no capabilities', JSON.stringify({ ...HELLO, capabilities: {} }), 'capabilities need forceRevoke'],
  ])('hello with %s is refused', (_, line, error) => {
    expect(open(always(line)).error).toContain(error);
  });
});

describe('what the platform says before anybody listens', () => {
  it('on the answer to hello is heard: events, faults and who runs', () => {
    const fake = new FakeCommand();
    const fault = { by: 'cpu', vm: 'vault', address: 4096, write: true, event: 'stage-2 abort' };
    fake.extras = { events: [{ kind: 'vmExited', vm: 'vault' }], faults: [fault], running: ['android'] };
    const { enforcer } = openFake(fake);
    const events: EnforcerEvent[] = [];
    enforcer.onEvent((event) => events.push(event));
    expect(events).toEqual([{ kind: 'vmExited', vm: VAULT }, { kind: 'faultsPending' }]);
    expect(enforcer.faults()).toMatchObject([fault]);
    expect(enforcer.running()).toEqual([ANDROID]);
  });

  it('is kept however much it is, of each VM its last end and start', () => {
    const early = new EarlyEvents();
    for (let i = 0; i < 1_000; i++) {
      early.add({ kind: 'vmExited', vm: VAULT });
      early.add({ kind: 'vmStarting', vm: VAULT });
    }
    early.add({ kind: 'vmExited', vm: ANDROID });
    expect(early.take()).toEqual([
      { kind: 'vmExited', vm: VAULT },
      { kind: 'vmStarting', vm: VAULT },
      { kind: 'vmExited', vm: ANDROID },
    ]);
    expect(early.take()).toEqual([]);
    for (let i = 0; i < 1_000; i++) early.add({ kind: 'vmExited', vm: vmId(`vm${i}`) });
    expect(early.take()).toHaveLength(257);
  });

  it('with more events than are looked at is a platform that is lost', () => {
    const { enforcer, fake } = openFake();
    const events: EnforcerEvent[] = [];
    enforcer.onEvent((event) => events.push(event));
    fake.extras = { events: Array.from({ length: 129 }, () => ({ kind: 'vmExited', vm: 'vault' })) };
    enforcer.poll(() => {});
    expect(events.at(-1)).toEqual({ kind: 'lost', error: '129 events in one answer: at most 128' });
  });

  it('that is none of the contract is logged once, and hides nothing else', () => {
    const logs: unknown[] = [];
    const fake = new FakeCommand();
    const { enforcer } = openFake(fake, (_level, _text, fields) => logs.push(fields));
    const events: EnforcerEvent[] = [];
    enforcer.onEvent((event) => events.push(event));
    for (let i = 0; i < 3; i++) {
      fake.extras = {
        events: [
          { kind: 'vmExit', vm: 'vault' },
          { kind: 'vmExited', vm: 'vault' },
        ],
      };
      enforcer.poll(() => {});
    }
    expect(events).toHaveLength(3);
    expect(logs).toEqual([{ refused: '{"kind":"vmExit","vm":"vault"}' }]);
  });
});

describe('an executable that hangs', () => {
  /** Answers nothing until it is told to; `asked`: what it was given. */
  function hanging() {
    const asked: { request: Record<string, unknown>; answer: (answer: LineAnswer) => void }[] = [];
    let isOpen = false;
    const { enforcer } = open((line, done) => {
      if (!isOpen) done({ ok: true, line: JSON.stringify(HELLO) });
      else asked.push({ request: JSON.parse(line), answer: done });
      isOpen = true;
    });
    return { enforcer: enforcer!, asked };
  }
  const FENCE = [{ op: 'settle' }] as EnforcerCall[];

  it('gathers one order a bundle and one notice a VM, and each order is answered once', () => {
    const { enforcer, asked } = hanging();
    const answers: string[] = [];
    for (let i = 0; i < 359; i++) {
      enforcer.run(PANEL.id, FENCE, ([answer]) => answers.push(`${i} ${answer!.ok ? 'ok' : answer!.error}`));
      enforcer.acknowledgeExit(VAULT);
      enforcer.poll(() => {});
    }
    expect(asked).toHaveLength(1);
    expect(answers).toHaveLength(357);
    expect(answers[0]).toMatch(/^1 replaced by a newer order: the enforcer has not answered/);
    for (let next = 0; next < asked.length; next++)
      asked[next]!.answer({ ok: true, line: '{"answers":[{"ok":true}]}' });
    // The newest order comes before what is repeated anyway.
    expect(asked.map(({ request }) => Object.keys(request)[0])).toEqual([
      'bundle',
      'bundle',
      'acknowledgeExit',
      'poll',
    ]);
    expect(answers.slice(357)).toEqual(['0 ok', '358 ok']);
  });

  it('is told of an acknowledgement less and less often, and at once when it is given anew', () => {
    const { enforcer, asked } = hanging();
    enforcer.acknowledgeExit(VAULT);
    const times: number[] = [];
    for (let poll = 0; poll < 2_000; poll++) {
      for (const { request, answer } of asked.splice(0)) {
        if ('acknowledgeExit' in request) times.push(poll);
        answer({ ok: false, error: 'no answer' });
      }
      enforcer.poll(() => {});
    }
    const gaps = times.slice(1).map((time, i) => time - times[i]!);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(302);
    expect(times.length).toBeLessThan(15);
    expect(times.length).toBeGreaterThan(8);
  });

  it('what waits when it is closed fails, once, and nothing is asked any more', () => {
    const { enforcer, asked } = hanging();
    const answers: string[] = [];
    for (const bundle of [PANEL.id, PANEL.id])
      enforcer.run(bundle, FENCE, ([answer]) => answers.push(answer!.ok ? 'ok' : answer!.error));
    enforcer.close();
    expect(answers).toEqual(['the enforcer was closed']);
    asked[0]!.answer({ ok: true, line: '{"answers":[{"ok":true}]}' });
    enforcer.run(PANEL.id, FENCE, ([answer]) => answers.push(answer!.ok ? 'ok' : answer!.error));
    expect(answers).toEqual(['the enforcer was closed', 'ok', 'the enforcer was closed']);
    expect(asked).toHaveLength(1);
  });
});
