/** `baton borrow` against an agent and a command that do what the test says, on a virtual clock. */

import { expect, test } from 'vitest';
import { hurried } from '../../src/cli/patience.ts';
import { borrow } from '../../src/cli/verbs/borrow.ts';
import type { CliWorld, ControlClient } from '../../src/cli/world.ts';
import type { Json } from '../../src/common/lines.ts';
import type { FileLook } from '../../src/config/follow.ts';
import { VirtualClock } from '../../targets/lab/virtual-clock.ts';

const GRANTED = { ok: true, event: 'granted', bundle: 'panel', epoch: 2, leaseMs: 30_000 };
const refused = (code: string, more: Json = {}) => ({ ok: false, error: { code, message: code, ...more } });

/** What is on this machine. */
const LOOKS: Readonly<Record<string, FileLook>> = {
  '/bin/command': { isFile: true, mode: 0o755, isExecutable: true },
  '/bin/secret': { isFile: true, mode: 0o600, isExecutable: false },
};

/** A command line whose agent answers `answers` in turn, and `ok` afterwards. */
class Rig {
  readonly clock = new VirtualClock();
  readonly requests: Json[] = [];
  readonly signals: string[] = [];
  readonly said: string[] = [];
  isStarted = false;
  /** What the command started and left behind, and which signals end it. */
  left: readonly number[] = [];
  obeys: readonly string[] = [];
  reapedAtMs = 0;
  isReleased = false;
  /** From now on the agent answers nothing. */
  hangs = false;
  tell: (event: Json) => void = () => {};
  endCommand: (status: number) => void = () => {};
  readonly status: Promise<number>;

  constructor(answers: readonly Json[], args: readonly string[], early: readonly Json[] = []) {
    const left = [...answers];
    const client: ControlClient = {
      request: async (request) => {
        this.requests.push(request);
        if (this.hangs) return new Promise(() => {});
        // What else it asks an agent is not in every list.
        const isListed = request['do'] === 'borrow' || (left[0] !== GRANTED && left[0]?.['ok'] !== false);
        const answer = (isListed ? left.shift() : undefined) ?? { ok: true };
        // As when answer and events come in one piece.
        for (const event of answer === GRANTED ? early : []) this.tell(event);
        return answer;
      },
      onEvent: (listener) => {
        this.tell = listener;
      },
      ended: new Promise(() => {}),
      close: () => {},
    };
    const ended = new Promise<number>((resolve) => {
      this.endCommand = resolve;
    });
    const world: CliWorld = {
      env: { PATH: '/none:/bin' },
      connect: async () => client,
      spawn: () => {
        this.isStarted = true;
        return {
          ended,
          signal: (name) => {
            this.signals.push(`${this.clock.nowMs()} ${name}`);
            if (this.obeys.includes(name)) this.left = [];
          },
          left: () => this.left,
          hasEntries: () => this.clock.nowMs() < this.reapedAtMs,
          release: () => {
            this.isReleased = true;
          },
        };
      },
      onSignal: () => () => {},
      nowMs: () => this.clock.nowMs(),
      timeOfDay: () => '12:00:00.000',
      isoTime: () => '',
      after: (ms, fire) => this.clock.after(ms, fire),
      look: (path) => LOOKS[path],
      out: (line) => this.said.push(line),
      err: (line) => this.said.push(line),
    };
    const words = args.includes('--') ? args : [...args, '--', 'command'];
    this.status = borrow(world, hurried(world, client), ['panel', ...words]);
    // A usage error is looked at by the test.
    this.status.catch(() => {});
  }

  /** Lets `ms` pass, and everything that waits for it. */
  async pass(ms: number): Promise<void> {
    const settled = () => new Promise((done) => setImmediate(done));
    await settled();
    const endMs = this.clock.nowMs() + ms;
    while (this.clock.step(endMs)) await settled();
    this.clock.advance(endMs - this.clock.nowMs());
  }
}

test('a recall that comes in one piece with the grant is heeded', async () => {
  const rig = new Rig([GRANTED], [], [{ event: 'recalled', bundle: 'panel', ms: 500, cause: 'reclaim' }]);
  await rig.pass(1_000);
  expect(rig.signals).toEqual(['0 SIGTERM', '500 SIGKILL']);
});

test('a command that goes on after its bundle was returned by another program is killed', async () => {
  const rig = new Rig([GRANTED], []);
  await rig.pass(0);
  rig.tell({ event: 'returned', bundle: 'panel', epoch: 3 });
  await rig.pass(5_000);
  expect(rig.signals).toEqual(['0 SIGTERM', '2000 SIGKILL']);
});

test('the return by the agent during a notice does not put the end of the notice off', async () => {
  const rig = new Rig([GRANTED], [], [{ event: 'recalled', bundle: 'panel', ms: 500, cause: 'expiry' }]);
  rig.clock.after(400, () => rig.tell({ event: 'returned', bundle: 'panel', epoch: 3 }));
  await rig.pass(5_000);
  expect(rig.signals).toEqual(['0 SIGTERM', '500 SIGKILL']);
});

test('a command that ended in time is not signalled afterwards', async () => {
  const rig = new Rig([GRANTED], [], [{ event: 'recalled', bundle: 'panel', ms: 500, cause: 'expiry' }]);
  await rig.pass(100);
  rig.endCommand(3);
  expect(await rig.status).toBe(3);
  await rig.pass(1_000);
  expect(rig.signals).toEqual(['0 SIGTERM']);
});

test('nothing of another bundle concerns it; that the host is silent is said', async () => {
  const rig = new Rig([GRANTED], []);
  await rig.pass(0);
  rig.tell({ event: 'lost', bundle: 'camera' });
  rig.tell({ event: 'hostDown', reason: 'silent for 4000 ms' });
  expect(rig.signals).toEqual([]);
  expect(rig.said.at(-1)).toBe('baton: panel: who holds it is not verified now: silent for 4000 ms');
});

test.each([
  ['the grant differs from what was expected', refused('evidenceMismatch'), 80],
  ['the host cannot give the evidence', refused('declined', { reason: 'evidenceTooWeak' }), 80],
  ['asking again is useless', refused('declined', { reason: 'policy', retryAfterMs: 0 }), 75],
  ['it was taken away before it was granted', refused('lost'), 79],
  ['another program returned it before', refused('withdrawn'), 75],
  ['the host bars this VM', refused('declined', { reason: 'barred', retryAfterMs: 0 }), 75],
  ['nobody knows the bundle', refused('unknownBundle'), 1],
  [
    'the host does not know the bundle',
    refused('declined', { reason: 'unknownBundle', retryAfterMs: 0 }),
    75,
  ],
  [
    'the no is good for longer than the wait',
    refused('declined', { reason: 'policy', retryAfterMs: 60_000 }),
    75,
  ],
  ['the request makes no sense', refused('badRequest'), 64],
])('when %s it ends at once and starts no command', async (_, answer, status) => {
  const rig = new Rig([answer], []);
  expect(await rig.status).toBe(status);
  expect(rig.requests.filter(({ do: what }) => what === 'borrow')).toHaveLength(1);
  expect(rig.isStarted).toBe(false);
});

test('a bundle that is lent to another VM is asked for again when its owner says', async () => {
  const rig = new Rig([refused('declined', { reason: 'busy', retryAfterMs: 700 }), GRANTED], ['-w', '2s']);
  const asked = () => rig.requests.filter(({ do: what }) => what === 'borrow');
  await rig.pass(699);
  expect(asked()).toHaveLength(1);
  await rig.pass(1);
  expect(asked()).toHaveLength(2);
  expect(asked()[1]).toMatchObject({ do: 'borrow', waitMs: 1_300 });
  expect(rig.isStarted).toBe(true);
});

test('a wait below a second is no longer than it says', () => {
  expect(new Rig([GRANTED], ['-w', '300ms']).requests[0]).toMatchObject({ waitMs: 300 });
});

const HINT = 'no answer: is baton-host running?';
test.each([
  [
    'the owner’s policy says why',
    [refused('declined', { reason: 'policy', retryAfterMs: 0, detail: 'not at night' })],
    'declined: policy (the owner’s policy does not allow this borrower, purpose or lease): not at night',
  ],
  [
    'it is busy, and nobody wants to wait',
    [refused('declined', { reason: 'busy', retryAfterMs: 3_000 })],
    'declined: busy (the bundle is lent or on its way to another borrower; ask again later); ask again in 3000 ms',
  ],
  [
    'a hook of the borrower failed',
    [refused('declined', { reason: 'hookFailed', retryAfterMs: 0 })],
    'declined: hookFailed (a driver hook of this VM failed; the log of its agent says which)',
  ],
  [
    'the enforcer proves less than asked',
    [refused('declined', { reason: 'evidenceTooWeak', retryAfterMs: 0 }), { ok: true, evidence: 'none' }],
    'declined: evidenceTooWeak (the enforcer cannot give the evidence that the consent asks for): ' +
      'asked for observed, and the enforcer gives none',
  ],
  [
    'the host is silent',
    [
      refused('timedOut'),
      {
        ok: true,
        peers: [
          { peer: 'host', up: false, hint: HINT },
          { peer: 'android', up: true },
        ],
      },
    ],
    `timedOut; no session with host: ${HINT}`,
  ],
  ['the message names the bundle already', [refused('inUse', { message: 'panel: in use' })], 'in use'],
])('when %s it says so', async (_, answers, text) => {
  const rig = new Rig(answers, ['-n']);
  await rig.status;
  expect(rig.said).toEqual([`baton: panel: ${text}`]);
});

test.each([
  ['nowhere', 127, 'baton: nowhere: no such program; nothing was asked for'],
  ['./command', 127, 'baton: ./command: no such program; nothing was asked for'],
  ['secret', 126, 'baton: secret: this user may not run it; nothing was asked for'],
])('the command %s is looked for before anything is asked: %i', async (name, status, said) => {
  const rig = new Rig([GRANTED], ['--', name]);
  expect(await rig.status).toBe(status);
  expect(rig.requests).toEqual([]);
  expect(rig.said).toEqual([said]);
});

test('an evidence that there is not is refused before anything is asked', async () => {
  const rig = new Rig([GRANTED], ['--min-evidence', 'seen']);
  await expect(rig.status).rejects.toThrow(
    '--min-evidence seen: expected none, asserted, observed, attested',
  );
  expect(rig.requests).toEqual([]);
});

const declined = (reason: string, retryAfterMs: number) => refused('declined', { reason, retryAfterMs });
const POLICY = declined('policy', 700);
const BUSY = declined('busy', 700);
const HOOK = declined('hookFailed', 700);
const SILENT = refused('timedOut');
test.each([
  ['a no, then another', [POLICY, POLICY, POLICY], 75],
  ['a no, then silence', [POLICY, SILENT], 75],
  ['a no, then busy', [HOOK, BUSY, BUSY], 75],
  ['busy, then a no', [BUSY, declined('policy', 0)], 75],
  ['busy, then evidence too weak', [BUSY, declined('evidenceTooWeak', 0)], 80],
  ['a quarantine to the end', [declined('quarantined', 700), declined('quarantined', 700)], 75],
  ['busy to the end', [BUSY, BUSY, BUSY, BUSY], 124],
  ['busy, then silence', [BUSY, SILENT], 124],
  [
    'an owner that knows nothing yet, to the end',
    [declined('notReady', 700), declined('notReady', 700), SILENT],
    124,
  ],
  [
    'a policy that does not decide',
    [declined('policyTimeout', 700), declined('policyTimeout', 700), SILENT],
    124,
  ],
])('the status is 124 only if nobody said no within the wait: %s', async (_, answers, status) => {
  const rig = new Rig(answers, ['-w', '1s']);
  await rig.pass(5_000);
  expect(await rig.status).toBe(status);
  expect(rig.isStarted).toBe(false);
});

test('what the command leaves behind gets SIGTERM and SIGKILL before the bundle goes back', async () => {
  const rig = new Rig([GRANTED], []);
  rig.left = [17];
  rig.obeys = ['SIGKILL'];
  await rig.pass(100);
  rig.endCommand(3);
  await rig.pass(400);
  expect(rig.requests.map(({ do: what }) => what)).toEqual(['borrow']);
  expect(rig.isReleased).toBe(false);
  await rig.pass(1_000);
  expect(rig.signals).toEqual(['100 SIGTERM', '600 SIGKILL']);
  expect(rig.isReleased).toBe(true);
  expect(rig.requests.map(({ do: what }) => what)).toEqual(['borrow', 'return']);
  expect(await rig.status).toBe(3);
});

test('what cannot be ended is named, and does not keep the bundle', async () => {
  const rig = new Rig([GRANTED], []);
  rig.left = [17, 18];
  await rig.pass(0);
  rig.endCommand(0);
  await rig.pass(2_000);
  expect(rig.said).toContain('baton: panel: processes of the command that cannot be ended: 17, 18');
  expect(rig.requests.at(-1)).toMatchObject({ do: 'return' });
  expect(await rig.status).toBe(0);
});

test('what was told to end gets no second SIGTERM', async () => {
  const rig = new Rig([GRANTED], [], [{ event: 'recalled', bundle: 'panel', ms: 5_000, cause: 'reclaim' }]);
  rig.left = [17];
  rig.obeys = ['SIGKILL'];
  await rig.pass(100);
  rig.endCommand(0);
  await rig.pass(2_000);
  expect(new Set(rig.signals.slice(1).map((signal) => signal.split(' ')[1]))).toEqual(new Set(['SIGKILL']));
});

test('what was ended but looks alive to others is waited for after the bundle is back, not for ever', async () => {
  const rig = new Rig([GRANTED], []);
  rig.reapedAtMs = 60_000;
  let status: number | undefined;
  void rig.status.then((ended) => {
    status = ended;
  });
  await rig.pass(0);
  rig.endCommand(0);
  await rig.pass(1_000);
  expect(rig.requests.at(-1)).toMatchObject({ do: 'return' });
  expect(status).toBe(undefined);
  await rig.pass(2_000);
  expect(status).toBe(0);
});

test('what it waits for is said once, when it takes long', async () => {
  const rig = new Rig([new Promise(() => {}) as never], []);
  const heard = (state: string) => rig.tell({ event: 'waiting', bundle: 'panel', state, owner: 'android' });
  heard('requesting');
  await rig.pass(400);
  heard('pending');
  await rig.pass(400);
  expect(rig.said).toEqual([]);
  await rig.pass(200);
  expect(rig.said).toEqual(['baton: panel: waiting: the drivers of android are being suspended']);
  heard('requesting');
  await rig.pass(5_000);
  heard('pending');
  await rig.pass(5_000);
  expect(rig.said.slice(1)).toEqual(['baton: panel: waiting: android has not answered']);
});

test('of a bundle that is asked for again it is said who has it, once', async () => {
  const view = { ok: true, holder: 'vault2', owner: 'android' };
  const rig = new Rig([BUSY, view, BUSY, BUSY, refused('inUse'), GRANTED], ['-w', '10s']);
  await rig.pass(5_000);
  expect(rig.said).toEqual([
    'baton: panel: waiting: held by vault2; asked again',
    'baton: panel: waiting: inUse; asked again',
    'baton: panel: held at epoch 2 for 30 s',
  ]);
});

const HUNG = new Promise<Json>(() => {}) as never;
const HUNG_TEXT = 'baton: panel: the agent of this VM does not answer: is it stopped?';
test.each([
  ['that nobody limited', [], 20_000],
  ['of a second', ['-w', '1s'], 16_000],
  ['that nobody wants', ['-n'], 16_000],
])('an agent that never answers ends a wait %s, a while later', async (_, args, ms) => {
  const rig = new Rig([HUNG], args);
  await rig.pass(ms - 1);
  expect(rig.said).toEqual([]);
  await rig.pass(1);
  expect(rig.said).toEqual([HUNG_TEXT]);
  expect(await rig.status).toBe(124);
  expect(rig.isStarted).toBe(false);
  // Nobody asks it why.
  expect(rig.requests).toHaveLength(1);
});

test('an agent that hangs while it is asked why ends the wait, too', async () => {
  const rig = new Rig([BUSY, HUNG, HUNG], ['-w', '1s']);
  await rig.pass(21_000);
  expect(rig.requests.map(({ do: what }) => what)).toEqual(['borrow', 'describe', 'borrow']);
  expect(rig.said.at(-1)).toBe(HUNG_TEXT);
  expect(await rig.status).toBe(124);
});

test('an agent that hangs does not keep the status of a command that has ended', async () => {
  const rig = new Rig([GRANTED], []);
  rig.hangs = true;
  await rig.pass(0);
  rig.endCommand(3);
  await rig.pass(5_000);
  expect(rig.said.at(-1)).toBe(
    'baton: panel: the daemon does not answer: is it stopped? What was asked for may still be done',
  );
  expect(await rig.status).toBe(3);
});
