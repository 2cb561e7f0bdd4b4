/**
 * Host, owner and borrower as processes of built programs, of the product or of a relay, on one medium.
 *
 * The product's host is `baton-host` itself; agents are this program again, since moments must be noted inside.
 */

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import type { HostFile } from '../../src/config/daemon-config.ts';
import { HOST, type VmId } from '../../src/protocol/ids.ts';
import { ANDROID, PANEL, VAULT } from '../../src/simulation/machine/board.ts';
import { PARTIES, pairKey, VMS } from './memory-world.ts';
import { mosquittoProgram, startMosquitto } from './mosquitto.ts';
import type { Kind, Marks, Order, PartySpec, Saying } from './party.ts';

/** What parties talk over. */
export const MEDIA = ['mqtt-tcp', 'mqtt-unix', 'stream-unix'] as const;
export type Medium = (typeof MEDIA)[number];

/** Longest wait for processes to come up, and for half a round, in ms. */
const START_MS = 15_000;
const HALF_ROUND_MS = 5_000;
const BENCH = process.argv[1]!;

/** A fleet at work. */
export class Fleet {
  readonly #children: ChildProcess[] = [];
  readonly #parties = new Map<VmId, ChildProcess>();
  #stopMedium = () => {};

  /** Why a fleet cannot run on `medium` here, or undefined. */
  static whyNot(medium: Medium): string | undefined {
    const needsBroker = medium.startsWith('mqtt');
    return needsBroker && !mosquittoProgram()
      ? 'mosquitto is not installed: apt-get install mosquitto'
      : undefined;
  }

  /** Starts the parties; resolves when the first round may start. */
  async start(kind: Kind, medium: Medium, folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    const transportOf = await this.#transports(medium, folder);
    const others = kind === 'product' ? VMS : PARTIES;
    if (kind === 'product') this.#startHost(folder, transportOf(HOST) as HostFile['transport']);
    await Promise.all(
      others.map((self) => this.#startParty({ kind, self, folder, transport: transportOf(self) })),
    );
  }

  /** A handover and its way back, each followed by `restMs` of rest. */
  async round(restMs: number): Promise<void> {
    await this.#half('lend', 'lent', restMs);
    await this.#half('giveBack', 'back', restMs);
  }

  /** The moments that all parties noted, by name. */
  async marks(): Promise<Marks> {
    const all = await Promise.all(
      [ANDROID, VAULT].map(async (vm) => {
        const answer = this.#hear(vm, 'marks', START_MS);
        this.#tell(vm, 'marks');
        return ((await answer) as Extract<Saying, { is: 'marks' }>).marks;
      }),
    );
    const [owner, borrower] = all as [Marks, Marks];
    return { ...borrower, suspended: owner.suspended, ownerResumed: owner.ownerResumed };
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGTERM');
    this.#stopMedium();
  }

  async #half(order: Order, saying: Saying['is'], restMs: number): Promise<void> {
    const heard = this.#hear(VAULT, saying, HALF_ROUND_MS);
    this.#tell(VAULT, order);
    await heard;
    await new Promise((resolve) => setTimeout(resolve, restMs));
  }

  #tell(vm: VmId, order: Order): void {
    this.#parties.get(vm)!.send(order);
  }

  #hear(vm: VmId, what: Saying['is'], limitMs: number): Promise<Saying> {
    const child = this.#parties.get(vm)!;
    return new Promise((resolve, reject) => {
      const end = (error?: Error) => {
        clearTimeout(limit);
        child.off('message', onSaying);
        child.off('exit', onExit);
        if (error) reject(error);
      };
      const onSaying = (saying: Saying) => {
        if (saying.is === 'failed') return end(new Error(`${vm}: ${saying.why}`));
        if (saying.is !== what) return;
        end();
        resolve(saying);
      };
      const onExit = () => end(new Error(`${vm} has ended`));
      const limit = setTimeout(() => end(new Error(`${vm}: not ${what} within ${limitMs} ms`)), limitMs);
      child.on('message', onSaying);
      child.on('exit', onExit);
    });
  }

  async #startParty(spec: PartySpec): Promise<void> {
    const child = fork(BENCH, ['--party', JSON.stringify(spec)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#children.push(child);
    this.#parties.set(spec.self, child);
    await this.#hear(spec.self, 'ready', START_MS);
  }

  #startHost(folder: string, transport: HostFile['transport']): void {
    const write = (name: string, text: string) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return name;
    };
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    const config = {
      bundles: write('bundles.json', bundleFileText([PANEL])),
      keys: write(
        'keys.json',
        JSON.stringify(Object.fromEntries(VMS.map((vm) => [vm, hex(pairKey(HOST, vm))]))),
      ),
      enforcer: { kind: 'none', vms: [...VMS] },
      transport,
      state: 'state-host',
      control: 'control.sock',
      // It warns that nothing is isolated, which is what a bench wants.
      logLevel: 'error',
    };
    const program = join(dirname(fileURLToPath(import.meta.url)), 'baton-host.mjs');
    const args = [
      program,
      '--config',
      join(folder, write('host.json', JSON.stringify(config))),
      '--create-table',
    ];
    this.#children.push(spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] }));
  }

  /** Starts what the medium needs; returns the configuration of each party's transport. */
  async #transports(medium: Medium, folder: string): Promise<(party: VmId) => PartySpec['transport']> {
    if (medium === 'stream-unix') {
      const address = (vm: VmId) => `unix:${join(folder, `${vm}.sock`)}`;
      const listen = Object.fromEntries(VMS.map((vm) => [vm, address(vm)]));
      return (party) =>
        party === HOST ? { kind: 'stream', listen } : { kind: 'stream', address: address(party) };
    }
    const broker = await startMosquitto(mosquittoProgram()!, folder);
    this.#stopMedium = () => broker.stop();
    const url = medium === 'mqtt-tcp' ? broker.tcpUrl : broker.unixUrl;
    return (party) => ({ kind: 'mqtt', url, username: party, passwordFile: broker.passwordFile(party) });
  }
}
