/**
 * What one VM that floods its stream costs the others: a handover between two other VMs, and the host's `status`,
 * beside their quiet time. The shipped programs as processes; blocks without and with a flood take turns.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ControlClient } from '../../../src/cli/world.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import { DEFAULT_MACHINE, HOST, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import { sealMac0 } from '../../../src/core/wire/cose.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { createEnvelopeKey } from '../../../src/core/wire/envelope.ts';
import { Link } from '../../../src/drivers/link/link.ts';
import { StreamTransport } from '../../../src/edges/transport/kinds/stream/stream-transport.ts';
import { connectControl } from '../../node/cli/control-client.ts';
import { STREAMS } from '../../node/net/streams.ts';
import { CLOCK } from '../../node/system/clock.ts';
import { ENTROPY } from '../../node/system/entropy.ts';
import { ANDROID, PANEL, VAULT } from '../machine/board.ts';
import { NODE } from './engines.ts';
import { pairKey } from './parties.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

/** The built programs are where this one is. */
const DIST = dirname(fileURLToPath(import.meta.url));
const EVIL = vmId('evil');
const VMS: readonly VmId[] = [ANDROID, VAULT, EVIL];
/** Blocks of each kind, and handovers in a block. */
const BLOCKS = 4;
const HANDOVERS = 25;
/** Longest wait for a program or an answer, in ms. */
const LIMIT_MS = 20_000;
/** What the design allows (section 7). */
const RATIO_MAX = 3;
const STATUS_MAX_MS = 100;

/** What a flood consists of. */
const FLOODS = {
  /** Frames to the host that do not verify. */
  unverified: 'frames that do not verify',
  /** Questions to the host in a sound session: it answers each. */
  questions: 'questions that the host answers',
  /** Frames to the borrower that do not verify there. */
  guest: 'frames to another guest',
} as const;
type Flood = keyof typeof FLOODS;

/** Floods the host at `address` without end: `KIND ADDRESS`. */
export function runFlood(words: string): void {
  const [kind, address] = words.split(' ') as [Flood, string];
  const own = { self: EVIL, address, streams: STREAMS, clock: CLOCK, entropy: ENTROPY, log: () => {} };
  const transport = new StreamTransport(own);
  if (kind === 'questions') return ask(transport);
  const to = kind === 'guest' ? VAULT : HOST;
  const wrong = createEnvelopeKey(
    new Uint8Array(32),
    { from: EVIL, to, channel: 'm', generation: 1 },
    DEFAULT_MACHINE,
  );
  const frame = sealMac0(wrong, new Uint8Array(200));
  transport.open({ onUp: () => {}, onDown: () => {}, onFrame: () => {} });
  forEver(() => transport.send(to, frame));
}

function ask(transport: StreamTransport): void {
  const link = new Link({
    self: EVIL,
    pairKeys: new Map([[HOST, pairKey(EVIL, HOST)]]),
    bootId: ENTROPY.random(16),
    bundles: [{ bundle: PANEL.id, digest: bundleDigest(PANEL) }],
    transport,
    clock: CLOCK,
    entropy: ENTROPY,
    log: () => {},
  });
  link.open({ onMessage: () => {}, onUp: () => {}, onDown: () => {}, onDigestMismatch: () => {} });
  const question = {
    kind: 'queryState',
    bundle: PANEL.id,
    epoch: 0 as never,
    challenge: new Uint8Array(8),
  } as const;
  forEver(() => link.send(HOST, question));
}

/** Sends whenever there is room. */
function forEver(send: () => boolean): void {
  while (send());
  setTimeout(() => forEver(send), 1);
}

export async function benchFlood(report: Report): Promise<void> {
  const testbed = new Testbed();
  try {
    await testbed.start();
    const kinds = [undefined, ...Object.keys(FLOODS)] as (Flood | undefined)[];
    const figures = new Map(
      kinds.map((kind) => [kind, { handovers: [] as number[], statuses: [] as number[] }]),
    );
    await testbed.play(HANDOVERS);
    for (let block = 0; block < BLOCKS; block++) {
      for (const kind of kinds) {
        const stop = kind && (await testbed.flood(kind));
        const { handovers, statuses } = await testbed.play(HANDOVERS);
        stop?.();
        figures.get(kind)!.handovers.push(...handovers);
        figures.get(kind)!.statuses.push(...statuses);
      }
    }
    const quiet = median(figures.get(undefined)!.handovers);
    for (const [kind, { handovers, statuses }] of figures) {
      const name = kind === undefined ? 'quiet' : FLOODS[kind];
      const value = median(handovers);
      const row = { bench: 'flood', case: `handover, ${name}`, value, unit: 'ms' };
      if (kind === undefined) report.add(row);
      else report.compare({ ...row, baseline: { name: 'quiet', value: quiet } }, RATIO_MAX);
      report.limit({ ...row, case: `longest status, ${name}`, value: Math.max(...statuses) }, STATUS_MAX_MS);
    }
  } finally {
    testbed.stop();
  }
}

class Testbed {
  readonly #folder = mkdtempSync(join(tmpdir(), 'baton-flood-'));
  readonly #children: ChildProcess[] = [];
  #host: ControlClient | undefined;
  #vault: ControlClient | undefined;

  async start(): Promise<void> {
    const write = (name: string, value: unknown) =>
      writeFileSync(this.#at(name), typeof value === 'string' ? value : JSON.stringify(value), {
        mode: 0o600,
      });
    const hex = (a: VmId, b: VmId) => Buffer.from(pairKey(a, b)).toString('hex');
    write('bundles.json', bundleFileText([PANEL]));
    write('host.keys', Object.fromEntries(VMS.map((vm) => [vm, hex(vm, HOST)])));
    const listen = Object.fromEntries(VMS.map((vm) => [vm, this.#stream(vm)]));
    const common = { bundles: 'bundles.json', logLevel: 'error' };
    write('host.json', {
      ...common,
      keys: 'host.keys',
      enforcer: { kind: 'none', vms: VMS },
      transport: { kind: 'stream', listen },
      state: 'host-state',
      control: 'host.sock',
    });
    this.#run('baton-host.mjs', '--config', this.#at('host.json'), '--create-table');
    this.#host = await this.#connect('host.sock');
    for (const [vm, other] of [
      [ANDROID, VAULT],
      [VAULT, ANDROID],
    ] as const) {
      write(`${vm}.keys`, { host: hex(vm, HOST), [other]: hex(vm, other) });
      write(`${vm}.json`, {
        ...common,
        vm,
        keys: `${vm}.keys`,
        transport: { kind: 'stream', address: this.#stream(vm) },
        state: `${vm}-state`,
        control: `${vm}.sock`,
        ...(vm === ANDROID
          ? { policy: { kind: 'list', allow: [{ bundle: PANEL.id, borrower: VAULT }] } }
          : {}),
      });
      this.#run('baton-agent.mjs', '--config', this.#at(`${vm}.json`));
    }
    this.#vault = await this.#connect(`${VAULT}.sock`);
    await this.#until(async () => (await this.#handover()) !== undefined);
  }

  /** Starts a flood, and returns what ends it. */
  async flood(kind: Flood): Promise<() => void> {
    const child = this.#spawn([...NODE.slice(0, 2), '--flood', `${kind} ${this.#stream(EVIL)}`]);
    // Until it has connected and fills what can be filled.
    await new Promise((resolve) => setTimeout(resolve, 700));
    return () => child.kill('SIGKILL');
  }

  /** Plays handovers, with a question to the host after each. Times in ms. */
  async play(count: number): Promise<{ handovers: number[]; statuses: number[] }> {
    const handovers: number[] = [];
    const statuses: number[] = [];
    while (handovers.length < count) {
      const ms = await this.#handover();
      if (ms === undefined) throw new Error('a handover was refused');
      handovers.push(ms);
      const asked = performance.now();
      await this.#host!.request({ do: 'status' });
      statuses.push(performance.now() - asked);
    }
    return { handovers, statuses };
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Lends and gives back; how long the borrower waited, in ms; undefined when it was refused. */
  async #handover(): Promise<number | undefined> {
    const asked = performance.now();
    const terms = { purpose: 'bench', leaseMs: 30_000, waitMs: 5_000, evidence: 'none' };
    const answer = await this.#vault!.request({ do: 'borrow', bundle: PANEL.id, ...terms });
    const ms = performance.now() - asked;
    if (answer['ok'] !== true) return undefined;
    await this.#vault!.request({ do: 'return', bundle: PANEL.id });
    await this.#until(async () => {
      const { bundles } = (await this.#host!.request({ do: 'status' })) as unknown as {
        bundles: readonly { holder: string | null; confirmed: boolean }[];
      };
      return bundles[0]?.holder === ANDROID && bundles[0].confirmed;
    });
    return ms;
  }

  async #connect(name: string): Promise<ControlClient> {
    await this.#until(async () => existsSync(this.#at(name)));
    return connectControl(this.#at(name));
  }

  async #until(isSo: () => Promise<boolean>): Promise<void> {
    const endMs = performance.now() + LIMIT_MS;
    while (!(await isSo())) {
      if (performance.now() > endMs) throw new Error(`not so within ${LIMIT_MS} ms: ${isSo}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  #run(program: string, ...words: readonly string[]): void {
    this.#spawn([process.execPath, join(DIST, program), ...words]);
  }

  #spawn([program, ...words]: readonly string[]): ChildProcess {
    const child = spawn(program!, words, { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#children.push(child);
    return child;
  }

  #at(name: string): string {
    return join(this.#folder, name);
  }

  #stream(vm: VmId): string {
    return `unix:${this.#at(`${vm}.stream`)}`;
  }
}
