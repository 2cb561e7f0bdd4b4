/** `baton status`: who has a bundle or why that cannot be said, what is amiss, and the exit status for scripts. */

import { describe, expect, it } from 'vitest';
import { hurried } from '../../src/cli/patience.ts';
import { status } from '../../src/cli/verbs/status.ts';
import { type CliWorld, type ControlClient, EXIT } from '../../src/cli/world.ts';
import type { Json } from '../../src/common/lines.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';

const VIEW: Json = {
  bundle: 'panel',
  role: 'borrower',
  state: 'idle',
  epoch: 3,
  holder: 'android',
  reason: 'not requested',
  leaseLeftMs: null,
  phase: 'held',
  toldMs: 4,
};
const UP: Json = { peer: 'host', up: true, forMs: 5, heardMs: 5 };
const HOST_VIEW: Json = {
  bundle: 'panel',
  state: 'held',
  holder: 'android',
  epoch: 3,
  leaseLeftMs: null,
  reason: 'confirmed',
};

async function run(answer: Json, args: readonly string[] = []) {
  const [out, err]: [string[], string[]] = [[], []];
  const world = {
    out: (line: string) => out.push(line),
    err: (line: string) => err.push(line),
    after: () => () => {},
  };
  const client = { request: async () => ({ ok: true, bundles: [VIEW], peers: [UP], ...answer }) };
  const code = await status(world as unknown as CliWorld, client as unknown as ControlClient, args);
  return { code, out, err, row: out[1] ?? '', below: out.slice(2) };
}

it('ends with 0 when all is well', async () => {
  expect(await run({})).toMatchObject({ code: EXIT.ok, below: [] });
  expect(
    await run({ bundles: [HOST_VIEW], vms: {}, writeFault: null, stopped: null, obstacle: null }),
  ).toMatchObject({
    code: EXIT.ok,
  });
});

const silent = { peer: 'host', up: false, forMs: 9_000, heardMs: 9_400, hint: 'no answer: does it run?' };
const refused = {
  ...silent,
  heardMs: null,
  hint: 'not connected to the broker at b: the broker refused the login',
};
it.each<[string, Json, string]>([
  [
    'a dead peer',
    { peers: [silent] },
    'no session with host for 9000 ms, last heard 9400 ms ago: no answer: does it run?',
  ],
  ['a refused login', { peers: [refused] }, `no session with host for 9000 ms: ${refused.hint}`],
  ['a twin', { peers: [{ ...UP, hint: 'two processes take turns' }] }, 'host: two processes take turns'],
  ['a full disk', { writeFault: 'ENOSPC' }, 'NOT WRITTEN: ENOSPC'],
  [
    'no way at all',
    { peers: [], obstacle: 'cannot listen on unix:a: EADDRINUSE' },
    'cannot listen on unix:a: EADDRINUSE',
  ],
  [
    'a host that was stopped',
    { stopped: { forMs: 20_000, agoMs: 3_000 } },
    'the host did not run for 20 s, until 3000 ms ago: it was stopped, or had no CPU time',
  ],
  [
    'a quarantine at the host',
    { bundles: [{ ...HOST_VIEW, state: 'quarantined', holder: null }] },
    'panel: in quarantine: nobody has it until an operator lifts it at the host',
  ],
  [
    'a quarantine at an agent',
    { bundles: [{ ...VIEW, phase: 'quarantined', holder: null }] },
    'panel: in quarantine: nobody has it until an operator lifts it at the host',
  ],
  [
    'an agent that does not know',
    { bundles: [{ ...VIEW, phase: 'unknown', holder: null }] },
    'panel: who holds it is not known: the host has not reported yet',
  ],
  [
    'a driver that did not resume',
    { bundles: [{ ...VIEW, state: 'failed' }] },
    'panel: its driver did not resume',
  ],
  [
    'other definitions',
    { bundles: [{ ...VIEW, definitionDiffersFrom: ['vault'] }] },
    'panel: its definitions differ: deploy the same bundle file everywhere',
  ],
  [
    'a rejected grant',
    { bundles: [{ ...HOST_VIEW, rejections: [{ vm: 'vault', what: 'x' }] }] },
    'panel: vault rejected its last grant',
  ],
])('of %s it says so and ends with 81, as JSON too', async (_, answer, line) => {
  expect(await run(answer)).toMatchObject({ code: EXIT.amiss, below: [line] });
  expect((await run(answer, ['--json'])).code).toBe(EXIT.amiss);
});

it('a way that is in the words of a peer already is not said twice; an old stop no more', async () => {
  expect((await run({ peers: [refused], obstacle: refused.hint })).below).toHaveLength(1);
  expect((await run({ stopped: { forMs: 20_000, agoMs: 60_000 } })).code).toBe(EXIT.ok);
});

describe('HOLDER and REASON', () => {
  it.each<[Json, RegExp]>([
    [{}, /^panel +android /],
    [{ phase: 'parked', holder: null }, /^panel +nobody /],
    [{ phase: 'moving', holder: null }, /^panel +moving /],
    [{ phase: 'quarantined', holder: null }, /^panel +quarantined /],
    [
      { phase: 'unknown', holder: null, toldMs: null, reason: 'waits for the host to say' },
      /^panel +\? .*waits for the host to say$/,
    ],
    [{ toldMs: 9_400 }, /not requested; as the host reported 9400 ms ago$/],
    [
      { definitionDiffers: true, definitionDiffersFrom: ['vault'] },
      /\(bundle definition differs from that of vault\)$/,
    ],
    [{ definitionDiffers: true, definitionDiffersFrom: ['host', 'vault'] }, /from that of host and vault\)$/],
  ])('of an agent that sees %j', async (view, row) => {
    expect((await run({ bundles: [{ ...VIEW, ...view }] })).row).toMatch(row);
  });

  it.each<[string, RegExp]>([
    ['parked', /^panel +nobody /],
    ['moving', /^panel +moving /],
    ['quarantined', /^panel +quarantined /],
    ['starting', /^panel +\? /],
  ])('of a host whose bundle is %s', async (state, row) => {
    expect((await run({ bundles: [{ ...HOST_VIEW, state, holder: null }] })).row).toMatch(row);
  });
});

describe('bundles that are named', () => {
  const bundles = [VIEW, { ...VIEW, bundle: 'camera', state: 'failed' }];

  it('are shown alone, and what is amiss with others is not said', async () => {
    expect(await run({ bundles }, ['panel'])).toMatchObject({ code: EXIT.ok, out: { length: 2 } });
    expect((await run({ bundles }, ['camera'])).code).toBe(EXIT.amiss);
    const { out } = await run({ bundles }, ['camera', '--json']);
    expect(JSON.parse(out[0]!).bundles).toHaveLength(1);
  });

  it('and unknown are an error with what was meant', async () => {
    const { code, out, err } = await run({ bundles }, ['pannel', '--json']);
    expect({ code, out, err }).toEqual({
      code: EXIT.failed,
      out: [],
      err: ['baton: no bundle "pannel"; configured: panel, camera; did you mean "panel"?'],
    });
    expect((await run({ bundles }, ['constructor'])).code).toBe(EXIT.failed);
  });
});

describe('status -w', () => {
  const HUNG = 'the daemon does not answer: is it stopped?';

  /** Answers one after the other, a look a step; the daemon hangs from the request `hangsAt` on. */
  function watched(
    answers: readonly Json[],
    hangsAt = Number.POSITIVE_INFINITY,
    args: readonly string[] = ['-w'],
  ) {
    const out: string[] = [];
    const clock = new VirtualClock();
    let step = 0;
    let requests = 0;
    let interrupt: () => void = () => {};
    let end: (reason: string) => void = () => {};
    const world = {
      out: (line: string) => out.push(line),
      err: (line: string) => out.push(line),
      after: (ms: number, fire: () => void) => clock.after(ms, fire),
      onSignal: (call: () => void) => {
        interrupt = call;
        return () => {};
      },
    };
    const client = {
      request: async ({ do: what }: Json) => {
        requests += 1;
        if (requests >= hangsAt) return new Promise<Json>(() => {});
        if (what === 'watch') return { ok: true };
        return { ok: true, peers: [UP], ...answers[Math.min(step, answers.length - 1)] };
      },
      onEvent: () => {},
      ended: new Promise<string>((resolve) => {
        end = resolve;
      }),
    };
    const patient = hurried(world, client as unknown as ControlClient);
    const done = status(world as unknown as CliWorld, patient, args);
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    done.then(over, over);
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    const next = async (ms = 1_000) => {
      step += 1;
      clock.advance(ms);
      await settle();
    };
    return {
      out,
      done,
      isOver: () => isOver,
      next,
      settle,
      interrupt: () => interrupt(),
      end: (reason: string) => end(reason),
    };
  }

  it('prints what changes, not that time goes on, until it is interrupted', async () => {
    const rig = watched([
      { bundles: [VIEW] },
      { bundles: [{ ...VIEW, toldMs: 1_000 }] },
      { bundles: [{ ...VIEW, leaseLeftMs: 9_000 }], peers: [silent] },
      { bundles: [{ ...VIEW, leaseLeftMs: 8_000 }], peers: [{ ...silent, forMs: 12_000, heardMs: 12_400 }] },
      { bundles: [VIEW] },
    ]);
    await rig.settle();
    const lengths = [rig.out.length];
    for (let i = 0; i < 4; i++) {
      await rig.next();
      lengths.push(rig.out.length);
    }
    expect(lengths).toEqual([2, 2, 5, 5, 7]);
    rig.interrupt();
    expect(await rig.done).toBe(EXIT.ok);
  });

  it('ends when the daemon does', async () => {
    const rig = watched([{ bundles: [VIEW] }]);
    await rig.settle();
    rig.end('closed');
    expect(await rig.done).toBe(EXIT.unavailable);
    expect(rig.out.at(-1)).toBe('baton: the daemon ended: closed');
  });

  it('of a daemon that answers nothing ends, and so does a plain status', async () => {
    for (const args of [['-w'], []]) {
      const rig = watched([], 1, args);
      await rig.next(4_999);
      expect(rig.isOver()).toBe(false);
      // The command line makes 69 of it, as of a connection that ends.
      const told = expect(rig.done).rejects.toThrow(HUNG);
      await rig.next(1);
      expect(rig.isOver()).toBe(true);
      await told;
    }
  });

  it.each([
    ['the request to be told', 2],
    ['a later look', 3],
  ])('ends when the daemon hangs at %s', async (_, hangsAt) => {
    const rig = watched([{ bundles: [VIEW] }], hangsAt);
    for (let i = 0; i < 8; i++) await rig.next();
    expect(rig.isOver()).toBe(true);
    expect(await rig.done).toBe(EXIT.unavailable);
    expect(rig.out.at(-1)).toBe(`baton: ${HUNG}`);
  });

  it.each([
    ['the request to be told', 2, 0],
    ['a later look', 3, 1],
  ])('is interrupted at once while the daemon hangs at %s', async (_, hangsAt, looks) => {
    const rig = watched([{ bundles: [VIEW] }], hangsAt);
    await rig.settle();
    for (let i = 0; i < looks; i++) await rig.next();
    rig.interrupt();
    await rig.settle();
    expect(rig.isOver()).toBe(true);
    expect(await rig.done).toBe(EXIT.ok);
  });
});
