/**
 * The C library of the enforcer socket (targets/vmm/enforcer) and the VMM around it that docs/PLATFORMS.md offers,
 * built for this machine: the VMM passes `baton enforcer-test`, and the library keeps the rules of the socket.
 */

import { execFileSync } from 'node:child_process';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Json } from '../../src/common/lines.ts';
import { enforcerTest } from '../../targets/node/cli/verbs/enforcer-test.ts';
import type { FileWorld } from '../../targets/node/cli/world.ts';
import { until } from '../edges/transport/worlds.ts';
import { paced } from '../support/pace.ts';
import { expectEvents, Helper } from './enforcer-helper.ts';

const ROOT = join(import.meta.dirname, '../..');
const LIBRARY = join(ROOT, 'targets/vmm/enforcer');
const EXAMPLE = join(ROOT, 'docs/examples/vmm.c');
const BUNDLES = readFileSync(join(ROOT, 'docs/examples/bundles.json'), 'utf8');
const SOURCES = readdirSync(LIBRARY)
  .filter((name) => name.endsWith('.c'))
  .map((name) => join(LIBRARY, name));
const SANITIZED = ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover'];

let folder: string;
let helper: Helper;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-vmm-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  helper = new Helper();
});
afterEach(() => helper.stop());

/** Builds the VMM of a text; returns where it is. */
function build(name: string, flags: readonly string[], text = readFileSync(EXAMPLE, 'utf8')): string {
  const program = join(folder, name);
  writeFileSync(`${program}.c`, text);
  const all = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-pthread', ...flags, '-I', LIBRARY];
  execFileSync('cc', [...all, '-o', program, `${program}.c`, ...SOURCES], { timeout: paced(60_000) });
  return program;
}

const start = (program: string) => helper.start(program, [helper.address, 'android', 'vault']);

/** Its end is orderly, and no sanitizer had anything to say. */
async function expectClean(): Promise<void> {
  expect(await helper.end()).toBe(0);
  expect(helper.errors).not.toMatch(/Sanitizer|runtime error/);
}

describe.each([
  ['as strict C11', 'strict', ['-O2', '-std=c11', '-pedantic']],
  ['under the sanitizers', 'sanitized', SANITIZED],
] as const)('the VMM %s', (_what, name, flags) => {
  let program: string;
  beforeAll(() => {
    program = build(name, flags);
  });

  it('passes the suite', async () => {
    await start(program);
    const { status, lines } = await helper.enforcerTest(BUNDLES);
    expect(lines.filter((line) => line.startsWith('fail'))).toEqual([]);
    expect(lines.at(-1)).toBe('vmm: 16 passed, 0 failed, 3 not claimed');
    expect(status).toBe(0);
    await expectClean();
  });

  it('tells of a VM that starts or ends until that is acknowledged, and of a fault', async () => {
    await start(program);
    await expectEvents(helper);
    await expectClean();
    expect(helper.errors).toBe('vault: acknowledged\nvault: acknowledged\n');
  });
});

it('the VMM has about a hundred lines of code, and the library includes libc alone', () => {
  const code = readFileSync(EXAMPLE, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const full = code.split('\n').filter((line) => /[^\s{}]/.test(line));
  expect(full.length).toBeLessThanOrEqual(110);
  const own = new Set(readdirSync(LIBRARY));
  const included = [...own].flatMap((name) =>
    [...readFileSync(join(LIBRARY, name), 'utf8').matchAll(/#include (["<])([^">]+)/g)].map(
      ([, mark, file]) => ({ isOwn: mark === '"', file: file! }),
    ),
  );
  expect(included.filter(({ isOwn, file }) => isOwn && !own.has(file))).toEqual([]);
  const symbols = execFileSync('ldd', [build('linked', [])], { encoding: 'utf8' });
  expect(symbols.split('\n').filter((line) => /=>/.test(line) && !/lib(c|pthread)\.so/.test(line))).toEqual(
    [],
  );
});

it('what docs/PLATFORMS.md says of building and checking it is so', async () => {
  const platforms = readFileSync(join(ROOT, 'docs/PLATFORMS.md'), 'utf8');
  const section = platforms.slice(platforms.indexOf('### A VMM in C'));
  const block = /```sh\n([\s\S]*?)```/.exec(section)![1]!.replaceAll('/tmp/vmm.sock', helper.at('socket'));
  for (const name of ['docs', 'targets']) symlinkSync(join(ROOT, name), helper.at(name));
  const isStart = (line: string) => line.includes('./vmm');
  const isCheck = (line: string) => line.startsWith('baton enforcer-test ');
  const lines = block.trim().split('\n');
  const script = lines.filter((line) => !isStart(line) && !isCheck(line)).join('\n');
  execFileSync('sh', ['-eu', '-c', script], { cwd: helper.folder, timeout: paced(60_000) });
  const startLine = lines.find(isStart)!;
  await helper.start(helper.at('vmm'), /\.\/vmm (.*) &/.exec(startLine)![1]!.split(' '));
  const [, , file, ...words] = lines.find(isCheck)!.split(' ');
  const said: string[] = [];
  const world = { out: (line: string) => said.push(line) } as unknown as FileWorld;
  expect(await enforcerTest(world, [helper.at(file!), ...words])).toBe(0);
  expect(section).toContain(`The last line is \`${said.at(-1)}\``);
});

it.each([
  ['that refuses no grant', 'return REFUSE(', '(void)REFUSE(', 'without fence'],
  ['whose settle does nothing', 'each->holder[0] = 0;', 'continue;', 'a whole move'],
  ['whose reset fails', '? BATON_AGAIN : BATON_DONE', '? BATON_FAILED : BATON_DONE', 'a whole move'],
])('one %s fails', async (_what, from, to, check) => {
  const text = readFileSync(EXAMPLE, 'utf8');
  expect(text).toContain(from);
  await start(build('broken', ['-O0', '-Wno-unused-value'], text.replaceAll(from, to)));
  const { status, lines } = await helper.enforcerTest(BUNDLES);
  expect(status).toBe(1);
  expect(lines.filter((line) => line.startsWith('fail')).join('\n')).toContain(check);
});

describe('the library', () => {
  let program: string;
  let host: Host;
  beforeAll(() => {
    program = build('rules', SANITIZED);
  });
  beforeEach(async () => {
    await start(program);
    host = await Host.connect(helper.at('socket'));
  });
  afterEach(async () => {
    host.close();
    await expectClean();
  });
  const run = (id: number, calls: readonly Json[], bundle = 'panel') => ({ id, do: 'run', bundle, calls });

  it('lets nobody but its user connect', () => {
    expect(statSync(helper.at('socket')).mode & 0o777).toBe(0o600);
  });

  it('says lost to whoever asks something before hello, and another boot with each start', async () => {
    host.send({ do: 'listen' });
    expect(await host.next()).toEqual({ event: 'lost', error: 'vmm was started anew' });
    const { machineBoot } = await host.hello();
    expect(machineBoot).toMatch(/^vmm-[0-9a-f]{32}$/);
    host.close();
    await helper.end();
    await start(program);
    host = await Host.connect(helper.at('socket'));
    expect((await host.hello())['machineBoot']).not.toBe(machineBoot);
  });

  it('answers runs in the order in which they came, also behind one that takes time', async () => {
    await host.hello();
    host.send(run(1, [{ op: 'reset', device: 'touch' }]), run(2, [{ op: 'settle' }]), run(3, []));
    expect([await host.next(), await host.next(), await host.next()]).toEqual([
      { id: 1, answers: [{ ok: true }], faults: [] },
      { id: 2, answers: [{ ok: true, syncs: 1 }], faults: [] },
      { id: 3, answers: [], faults: [] },
    ]);
  });

  it('carries out what a host ordered that is gone, before the next one’s, and does not answer it', async () => {
    await host.hello();
    const grant = { op: 'grant', resource: 'touch.mmio0', vm: 'vault' };
    const inspect = { op: 'inspect', resource: 'touch.mmio0' };
    host.send(run(1, [{ op: 'reset', device: 'touch' }, grant]), { id: 0, do: 'hello' }, run(2, [inspect]));
    expect(await host.next()).toMatchObject({ id: 0, running: ['android', 'vault'] });
    expect(await host.next()).toEqual({ id: 2, answers: [{ ok: true, reach: 'vault' }], faults: [] });
  });

  it('refuses by name what nobody knows', async () => {
    await host.hello();
    const refused: readonly (readonly [Json, string])[] = [
      [run(1, [{ op: 'settle' }], 'nosuch'), 'no bundle is called nosuch'],
      [run(1, [{ op: 'reset', device: 'pen' }]), 'no device is called pen'],
      [run(1, [{ op: 'fence', resource: 'touch.mmio9' }]), 'no resource is called touch.mmio9'],
      [run(1, [{ op: 'melt', resource: 'touch.mmio0' }]), 'no call is called melt'],
      [
        run(1, [{ op: 'grant', resource: 'touch.mmio0', vm: 'guest' }]),
        'touch.mmio0: no VM runs that is called guest',
      ],
      [run(1, Array(129).fill({ op: 'settle' })), 'too many calls in a run'],
    ];
    for (const [request, error] of refused) {
      host.send(request);
      expect(await host.next()).toMatchObject({ id: 1, answers: [{ ok: false, error }] });
    }
    // A name that is too long is none; cut off it might be another's.
    host.send(run(2, [{ op: 'fence', resource: `touch.mmio0${'x'.repeat(80)}` }]));
    expect(await host.next()).toMatchObject({ id: 2, answers: [{ ok: false }] });
    host.send({ id: 3, do: 'dance' });
    expect(await host.next()).toEqual({ ok: false, error: 'unknown request' });
    host.write('{"id":1,\n');
    expect(await host.next()).toEqual({ ok: false, error: 'not JSON' });
  });

  it('takes a line of 65536 bytes, drops a longer one, and skips empty ones', async () => {
    await host.hello();
    const longest = JSON.stringify(run(1, [{ op: 'settle' }]));
    host.write(`\n\n${longest}${' '.repeat(65_536 - longest.length)}\n`);
    expect(await host.next()).toMatchObject({ id: 1 });
    host.write(`${longest}${' '.repeat(65_537 - longest.length)}\n`);
    host.write(`${'x'.repeat(300_000)}\n`);
    host.send(run(2, [{ op: 'settle' }]));
    expect(await host.next()).toMatchObject({ id: 2 });
    expect(helper.errors.match(/a line of more than 65536 bytes is dropped/g)).toHaveLength(2);
  });

  it('counts alike faults, and says when some were lost', async () => {
    await host.hello();
    for (let n = 0; n < 3; n++) helper.say('fault vault touch.mmio0 0x10');
    for (let n = 0; n < 80; n++) helper.say(`fault android touch.mmio0 0x${(n * 16).toString(16)}`);
    // Nobody listens: they wait. What the VMM says comes by another way, in its order.
    helper.say('nonsense');
    await until('the faults are taken in', () => helper.errors.includes('not taken: nonsense'));
    host.send({ do: 'listen' });
    const { event, faults } = (await host.next()) as { event: string; faults: Json[] };
    expect(event).toBe('faultsPending');
    expect(faults).toHaveLength(64);
    expect(faults[0]).toEqual({
      ...{ by: 'cpu', vm: 'vault', bundle: 'panel', resource: 'touch.mmio0', event: 'stage-2 abort' },
      ...{ address: 16, write: true, count: 3, lost: false },
    });
    helper.say('fault vault touch.mmio0 0x20');
    expect(await host.next()).toMatchObject({ faults: [{ address: 32, count: 1, lost: true }] });
  });

  it('an acknowledgement is of the life that was told, and may come twice', async () => {
    await host.hello();
    host.send({ do: 'listen' }, { do: 'acknowledgeExit', vm: 'vault' }, run(1, []));
    await host.next();
    helper.say('exit vault');
    expect(await host.next()).toEqual({ event: 'vmExited', vm: 'vault' });
    host.send({ do: 'acknowledgeStart', vm: 'vault' }, { do: 'acknowledgeExit', vm: 'vault' });
    host.send({ do: 'acknowledgeExit', vm: 'vault' }, run(2, []));
    await host.next();
    helper.say('start vault');
    expect(await host.next()).toEqual({ event: 'vmStarting', vm: 'vault' });
    helper.say('start vault');
    await until('it cannot start twice', () => helper.errors.includes('not taken: start vault'));
    expect(helper.errors.match(/vault: acknowledged/g)).toHaveLength(1);
  });

  it('damaged lines end in an answer or in nothing', async () => {
    await host.hello();
    const seed = Number(process.env['BATON_SEED'] ?? '1');
    console.log(`damaged lines: seed ${seed}`);
    let state = seed;
    const below = (limit: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return (state >>> 8) % limit;
    };
    const calls = ['fence', 'grant', 'inspect', 'reset'].map((op) => ({
      ...{ op, resource: 'touch.mmio0', vm: 'vault' },
    }));
    const whole = [run(7, calls), { do: 'acknowledgeStart', vm: 'vault' }].map((line) =>
      JSON.stringify(line),
    );
    for (let round = 0; round < 3_000; round++) {
      const bytes = Buffer.from(whole[below(whole.length)]!);
      for (let left = below(4); left > 0; left--) bytes[below(bytes.length)] = 32 + below(224);
      host.write(bytes);
      host.write('\n');
      if (round % 100 < 99) continue;
      // Whoever does not read what is answered loses some of it.
      host.send({ id: 0, do: 'hello' });
      await until('it answers hello', () => host.skipTo(({ id, name }) => id === 0 && name === 'vmm'));
    }
    expect(helper.errors).not.toMatch(/Sanitizer/);
  });
});

/** A host that says what it wants. */
class Host {
  readonly #socket: Socket;
  readonly #lines: Json[] = [];
  #text = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.removeAllListeners('error').on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      const lines = (this.#text + bytes.toString()).split('\n');
      this.#text = lines.pop()!;
      this.#lines.push(...lines.map((line) => JSON.parse(line) as Json));
    });
  }

  /** Connects as soon as somebody listens: the name of one that ended is there before. */
  static connect(path: string): Promise<Host> {
    return new Promise((resolve) => {
      const tryIt = () => {
        const socket = createConnection(path, () => resolve(new Host(socket)));
        socket.once('error', () => setTimeout(tryIt, 5));
      };
      tryIt();
    });
  }

  write(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  /** Sends lines in one write, so that the other side has read the last one before it has carried out the first. */
  send(...lines: readonly Json[]): void {
    this.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }

  /** The next line that comes. */
  async next(): Promise<Json> {
    await until('a line comes', () => this.#lines.length > 0);
    return this.#lines.shift()!;
  }

  async hello(): Promise<Json> {
    this.send({ id: 0, do: 'hello' });
    return await this.next();
  }

  /** Drops lines up to one that is wanted. Returns whether it has come. */
  skipTo(isWanted: (line: Json) => boolean): boolean {
    while (this.#lines.length > 0) if (isWanted(this.#lines.shift()!)) return true;
    return false;
  }

  close(): void {
    this.#socket.destroy();
  }
}
