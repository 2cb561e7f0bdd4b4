/** A platform helper on the enforcer socket as a process, and what every such helper must do (docs/PLATFORMS.md). */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { connectRemoteEnforcer } from '../../src/edges/enforcer/remote.ts';
import type { Enforcer, EnforcerEvent } from '../../src/ports/enforcer.ts';
import { ANDROID, VAULT } from '../../targets/lab/machine/board.ts';
import { enforcerTest } from '../../targets/node/cli/verbs/enforcer-test.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { STREAMS } from '../../targets/node/net/streams.ts';
import { CLOCK } from '../../targets/node/system/clock.ts';
import { until } from '../edges/transport/worlds.ts';
import { listens } from '../support/listens.ts';

export class Helper {
  readonly folder = mkdtempSync(join(tmpdir(), 'baton-enforcer-'));
  readonly address = `unix:${this.at('socket')}`;
  /** What it printed as errors: that of sanitizers among it. */
  errors = '';
  #process: ChildProcess | undefined;

  at(name: string): string {
    return join(this.folder, name);
  }

  /** Starts a program that listens at `address`. */
  async start(program: string, words: readonly string[]): Promise<void> {
    const child = spawn(program, words, { stdio: ['pipe', 'ignore', 'pipe'] });
    child.stderr.on('data', (bytes) => {
      this.errors += bytes;
    });
    this.#process = child;
    await until('the helper listens', () => listens(this.at('socket')));
  }

  /** A line for its standard input, which stands in for the rest of a VMM. */
  say(line: string): void {
    this.#process!.stdin!.write(`${line}\n`);
  }

  /** Ends its standard input; resolves with its status when it has ended. */
  async end(): Promise<number | null> {
    const child = this.#process!;
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    child.stdin!.end();
    return await ended;
  }

  stop(): void {
    this.#process?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true });
  }

  /** `baton enforcer-test` with the text of a bundle file. */
  async enforcerTest(bundles: string): Promise<{ status: number; lines: string[] }> {
    writeFileSync(this.at('bundles.json'), bundles);
    const rest = {
      keys: 'unused',
      transport: { kind: 'stream', listen: {} },
      state: 'state',
      control: 'unused',
    };
    const host = { bundles: 'bundles.json', enforcer: { kind: 'kvm', address: this.address }, ...rest };
    writeFileSync(this.at('host.json'), JSON.stringify(host));
    const lines: string[] = [];
    const world = { out: (line: string) => lines.push(line) } as unknown as FileWorld;
    const words = [this.at('host.json'), '--owner', ANDROID, '--other', VAULT];
    return { status: await enforcerTest(world, words), lines };
  }

  /** Connects as a host does. */
  connect(): Promise<Enforcer> {
    return new Promise((resolve, reject) =>
      connectRemoteEnforcer(STREAMS, this.address, CLOCK, (result) =>
        result instanceof Error ? reject(result) : resolve(result),
      ),
    );
  }
}

/** A VM that starts or ends is told until a host has acknowledged it, and a fault is told. */
export async function expectEvents(helper: Helper): Promise<void> {
  const events: EnforcerEvent[] = [];
  helper.say('exit vault');
  let first = await helper.connect();
  // What the VMM says comes by another way: it may be later.
  for (; first.running().length > 1; first = await helper.connect()) first.close();
  first.onEvent((event) => events.push(event));
  await until('its end is told', () => events.length === 1);
  first.close();
  // Nobody acknowledged it: the next host hears it, too.
  const second = await helper.connect();
  second.onEvent((event) => events.push(event));
  await until('it is told again', () => events.length === 2);
  second.acknowledgeExit(VAULT);
  // The line below comes by another way: the acknowledgement was taken in when this is answered.
  await new Promise((done) => second.run('panel' as never, [], done));
  helper.say('start vault');
  await until('its start is told', () => events.length === 3);
  helper.say('fault vault touch.mmio0 0x0a900010');
  await until('a fault is told', () => events.length === 4);
  expect(events).toEqual([
    { kind: 'vmExited', vm: VAULT },
    { kind: 'vmExited', vm: VAULT },
    { kind: 'vmStarting', vm: VAULT },
    { kind: 'faultsPending' },
  ]);
  expect(second.faults()).toMatchObject([{ vm: VAULT, resource: 'touch.mmio0', address: 0x0a90_0010 }]);
  second.acknowledgeStart(VAULT);
  second.close();
  const third = await helper.connect();
  expect(third.running()).toEqual([ANDROID, VAULT]);
  third.close();
}
