/** The enforcer `kvm`: the enforcer socket's client against a small helper, through the configuration that names it. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeLine } from '../../../src/common/lines.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import type { BundleId } from '../../../src/core/protocol/ids.ts';
import { connectRemoteEnforcer, HELLO_MS } from '../../../src/edges/enforcer/remote.ts';
import type { Enforcer, EnforcerAnswer, EnforcerEvent } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { enforcerTest } from '../../../targets/node/cli/verbs/enforcer-test.ts';
import type { FileWorld } from '../../../targets/node/cli/world.ts';
import { openEnforcer } from '../../../targets/node/host/enforcers.ts';
import { FakeHelper, HELLO } from './fake-helper.ts';
import { FakeStreams } from './fake-qmp.ts';

const folder = mkdtempSync(join(tmpdir(), 'baton-remote-'));
let count = 0;
let path = '';
let helper: FakeHelper;
let enforcer: Enforcer | undefined;

beforeEach(async () => {
  path = join(folder, `${count++}.sock`);
  helper = new FakeHelper(PANEL);
  await helper.listen(path);
});
afterEach(() => {
  enforcer?.close();
  enforcer = undefined;
  helper.stop();
});
afterAll(() => rmSync(folder, { recursive: true }));

function open(at = path): Promise<Enforcer> {
  return new Promise((resolve, reject) => {
    openEnforcer(
      { kind: 'kvm', address: `unix:${at}` },
      [PANEL],
      folder,
      () => {},
      (result) => {
        if (result instanceof Error) return reject(result);
        enforcer = result;
        resolve(result);
      },
    );
  });
}

/** Resolves when `holds` does; the test's own limit ends the wait. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

function run(on: Enforcer, bundle: string): Promise<readonly EnforcerAnswer[]> {
  return new Promise((resolve) => on.run(bundle as BundleId, [{ op: 'settle' }], resolve));
}

describe('the enforcer kvm', () => {
  it('passes baton enforcer-test on a helper that behaves', async () => {
    const config = join(folder, 'host.json');
    writeFileSync(join(folder, 'bundles.json'), bundleFileText([PANEL]));
    writeFileSync(
      config,
      JSON.stringify({
        bundles: 'bundles.json',
        keys: 'unused',
        enforcer: { kind: 'kvm', address: `unix:${path}` },
        transport: { kind: 'stream', listen: {} },
        state: 'unused',
        control: 'unused',
      }),
    );
    const lines: string[] = [];
    const world = { out: (line: string) => lines.push(line) } as unknown as FileWorld;
    const status = await enforcerTest(world, [config, '--owner', ANDROID, '--other', VAULT]);
    expect(lines.filter((line) => line.startsWith('fail'))).toEqual([]);
    expect(lines.at(-1)).toMatch(/^kvm: 1\d passed, 0 failed, 3 not claimed$/);
    expect(status).toBe(0);
  });

  it('describes what the helper says it is', async () => {
    const { name, kind, evidence, capabilities } = HELLO;
    const remote = await open();
    expect(remote.describe()).toEqual({
      name,
      kind,
      evidence,
      capabilities: { ...capabilities, vmsOutliveHost: false },
    });
    expect(remote.machineBoot()).toBe('b1');
    expect(remote.running()).toEqual([ANDROID, VAULT]);
  });

  it('is told again of starts and exits, and acknowledges them', async () => {
    helper.unacknowledged = [
      { event: 'vmStarting', vm: 'android' },
      { event: 'vmExited', vm: 'vault' },
    ];
    const remote = await open();
    const events: EnforcerEvent[] = [];
    remote.onEvent((event) => events.push(event));
    await until(() => events.length === 2);
    expect(events).toEqual([
      { kind: 'vmStarting', vm: ANDROID },
      { kind: 'vmExited', vm: VAULT },
    ]);
    remote.acknowledgeStart(ANDROID);
    remote.acknowledgeExit(VAULT);
    await until(() => helper.lines.length === 3);
    expect(helper.lines.slice(1)).toEqual([
      { do: 'acknowledgeStart', vm: 'android' },
      { do: 'acknowledgeExit', vm: 'vault' },
    ]);
  });

  it('hands over each fault record once', async () => {
    const remote = await open();
    const events: EnforcerEvent[] = [];
    remote.onEvent((event) => events.push(event));
    await until(() => helper.lines.length === 1);
    const fault = { by: 'cpu', vm: 'android', bundle: 'panel', resource: 'touch.mmio0', address: 177209344 };
    const rest = { write: true, event: 'stage-2 abort', count: 3, lost: false };
    helper.tell({ event: 'faultsPending', faults: [{ ...fault, ...rest, bytes: 4 }] });
    await until(() => events.length === 1);
    expect(events).toEqual([{ kind: 'faultsPending' }]);
    expect(remote.faults()).toEqual([{ ...fault, ...rest }]);
    expect(remote.faults()).toEqual([]);
  });

  it('an unknown bundle fails by name', async () => {
    expect(await run(await open(), 'nosuch')).toEqual([{ ok: false, error: 'no bundle is called nosuch' }]);
  });

  it('is lost when the helper goes, and what was under way fails after that was said', async () => {
    helper.isSilent = true;
    const remote = await open();
    const told: string[] = [];
    remote.onEvent((event) => told.push(event.kind));
    remote.run(PANEL.id, [{ op: 'settle' }], (answers) => told.push(`ok: ${answers[0]?.ok}`));
    await until(() => helper.lines.length === 2);
    helper.hangUp();
    await until(() => told.length === 2);
    expect(told).toEqual(['lost', 'ok: false']);
    expect(await run(remote, PANEL.id)).toMatchObject([{ ok: false }]);
  });

  it('is lost when the helper says so, as one that was started anew behind the same connection does', async () => {
    helper.isSilent = true;
    const remote = await open();
    const told: string[] = [];
    remote.onEvent((event) => told.push(event.kind));
    remote.run(PANEL.id, [{ op: 'settle' }], (answers) => told.push(`ok: ${answers[0]?.ok}`));
    await until(() => helper.lines.length === 2);
    helper.tell({ event: 'lost', error: 'started anew' });
    await until(() => told.length === 2);
    expect(told).toEqual(['lost', 'ok: false']);
    expect(await run(remote, PANEL.id)).toEqual([{ ok: false, error: 'the enforcer is lost: started anew' }]);
    // It goes to the log and to whoever asks for the status: no longer than a sentence.
    helper.tell({ event: 'lost', error: 'x'.repeat(10_000) });
    await until(() => told.length > 2);
    const [answer] = await run(remote, PANEL.id);
    expect(answer).toEqual({ ok: false, error: `the enforcer is lost: ${'x'.repeat(200)}` });
  });

  it('cannot be opened without a helper, or on one that claims nothing', async () => {
    await expect(open(`${path}.none`)).rejects.toThrow(`unix:${path}.none`);
    helper.hello = { ...HELLO, capabilities: {} };
    await expect(open()).rejects.toThrow('capabilities need');
  });
});

describe('the opening of an enforcer socket', () => {
  const ADDRESS = 'unix:/helper.sock';
  let clock: VirtualClock;
  let streams: FakeStreams;
  let results: (Enforcer | Error)[];

  beforeEach(() => {
    clock = new VirtualClock();
    streams = new FakeStreams(clock);
    results = [];
  });

  const connect = () => connectRemoteEnforcer(streams, ADDRESS, clock, (result) => results.push(result));
  const messages = () => results.map((result) => (result instanceof Error ? result.message : 'opened'));

  it('fails when hello is not answered in time, and a late answer opens nothing', () => {
    let isClosed = false;
    let answer = () => {};
    streams.listeners.set(ADDRESS, (stream) => {
      answer = () => stream.write(encodeLine({ id: 0, ...HELLO }));
      stream.open({
        onData: () => {},
        onClose: () => {
          isClosed = true;
        },
      });
    });
    connect();
    clock.advance(HELLO_MS - 1);
    expect(results).toEqual([]);
    clock.advance(10);
    answer();
    clock.advance(10);
    expect(messages()).toEqual([`enforcer ${ADDRESS}: hello was not answered within ${HELLO_MS} ms`]);
    expect(isClosed).toBe(true);
  });

  it('fails when the connection does not come about in time', () => {
    streams.silent.add(ADDRESS);
    connect();
    clock.advance(HELLO_MS);
    expect(messages()).toEqual([`enforcer ${ADDRESS}: not connected within ${HELLO_MS} ms`]);
  });

  it('ends the line that a killed host left half sent, and an answered hello has no deadline', () => {
    // As a serial port keeps it: what the former host sent stands before what this one sends.
    let text = '{"id":7,"do":"ru';
    streams.listeners.set(ADDRESS, (stream) =>
      stream.open({
        onData: (bytes) => {
          text += String.fromCharCode(...bytes);
          if (text.split('\n').includes('{"id":0,"do":"hello"}'))
            stream.write(encodeLine({ id: 0, ...HELLO }));
        },
        onClose: () => {},
      }),
    );
    connect();
    clock.advance(2 * HELLO_MS);
    expect(messages()).toEqual(['opened']);
  });

  it('hears what rides on the answer to hello, and what is told before anybody listens', () => {
    const fault = { by: 'cpu', vm: 'vault', address: 4096, write: true, event: 'stage-2 abort' };
    streams.listeners.set(ADDRESS, (stream) =>
      stream.open({
        onData: (bytes) => {
          if (!String.fromCharCode(...bytes).includes('hello')) return;
          const events = [{ kind: 'vmExited', vm: 'vault' }];
          stream.write(encodeLine({ id: 0, ...HELLO, faults: [fault], events }));
          stream.write(encodeLine({ event: 'vmStarting', vm: 'vault' }));
        },
        onClose: () => {},
      }),
    );
    connect();
    clock.advance(10);
    const events: EnforcerEvent[] = [];
    const opened = results[0] as Enforcer;
    opened.onEvent((event) => events.push(event));
    expect(events).toEqual([
      { kind: 'vmExited', vm: VAULT },
      { kind: 'vmStarting', vm: VAULT },
    ]);
    expect(opened.faults()).toMatchObject([fault]);
  });

  it('a helper that hangs gathers one order a bundle, and the newest is sent when it has answered', () => {
    const sent: { id: number; calls: unknown[] }[] = [];
    let answer = (_id: number) => {};
    streams.listeners.set(ADDRESS, (stream) => {
      answer = (id) => void stream.write(encodeLine({ id, answers: [{ ok: true }] }));
      stream.open({
        onData: (bytes) => {
          for (const line of String.fromCharCode(...bytes)
            .split('\n')
            .filter((text) => text !== '')) {
            const request = JSON.parse(line);
            if (request.do === 'hello') stream.write(encodeLine({ id: 0, ...HELLO }));
            if (request.do === 'run') sent.push(request);
          }
        },
        onClose: () => {},
      });
    });
    connect();
    clock.advance(10);
    const opened = results[0] as Enforcer;
    const answers: string[] = [];
    for (let i = 0; i < 359; i++)
      opened.run(PANEL.id, [{ op: 'settle' }], ([given]) => answers.push(`${i} ${given!.ok}`));
    opened.run('other' as BundleId, [{ op: 'settle' }], ([given]) => answers.push(`other ${given!.ok}`));
    clock.advance(10);
    expect(sent).toHaveLength(2);
    expect(answers).toHaveLength(357);
    for (let next = 0; next < sent.length; next++) {
      answer(sent[next]!.id);
      clock.advance(10);
    }
    expect(answers.slice(357)).toEqual(['0 true', 'other true', '358 true']);
  });

  it('keeps a bounded number of faults, and says of the next that some were lost', () => {
    let push = (_line: object) => {};
    streams.listeners.set(ADDRESS, (stream) => {
      push = (line) => void stream.write(encodeLine(line as never));
      stream.open({ onData: () => push({ id: 0, ...HELLO }), onClose: () => {} });
    });
    connect();
    clock.advance(10);
    const opened = results[0] as Enforcer;
    const fault = (n: number) => ({ by: 'cpu', vm: 'vault', address: n, write: true, event: 'abort' });
    const send = (count: number) => {
      for (let n = 0; n < count; n++) push({ event: 'faultsPending', faults: [fault(n)] });
      clock.advance(10);
    };
    send(1_030);
    const kept = opened.faults();
    expect(kept).toHaveLength(1_024);
    expect(kept.some(({ lost }) => lost)).toBe(false);
    send(2);
    expect(opened.faults().map(({ lost }) => lost)).toEqual([true, false]);
  });

  it('says once that a hello is not understood', () => {
    streams.listeners.set(ADDRESS, (stream) =>
      stream.open({ onData: () => stream.write(encodeLine({ id: 0, name: 7 })), onClose: () => {} }),
    );
    connect();
    clock.advance(2 * HELLO_MS);
    expect(results).toHaveLength(1);
  });
});
