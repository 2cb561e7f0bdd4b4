/**
 * Host, owner and borrower as processes of built programs, of the product or of a relay, on one medium. Owner and
 * borrower run on an engine that is chosen, the host always on Node, as the product's does.
 *
 * The product's host is `baton-host` itself; agents are the bench's program for their engine, since moments must be
 * noted inside.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Json, Lines } from '../../../src/common/lines.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import type { HostFile } from '../../../src/config/host-config.ts';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import { STREAMS } from '../../node/net/streams.ts';
import { ANDROID, PANEL, VAULT } from '../machine/board.ts';
import { handingVmm } from '../testbed/fake-vmm.ts';
import { NODE } from './engines.ts';
import { mosquittoProgram, startMosquitto } from './mosquitto.ts';
import { pairKey, VMS } from './parties.ts';
import { type Kind, type Mark, type Order, type PartySpec, type Saying, startOrder } from './party.ts';
import type { Script } from './script.ts';

/** What parties talk over. */
export const MEDIA = ['mqtt-tcp', 'mqtt-unix', 'stream-unix', 'vsock-unix'] as const;
export type Medium = (typeof MEDIA)[number];

/** Longest wait for processes to come up, and for half a round, in ms. */
const START_MS = 15_000;
const HALF_ROUND_MS = 5_000;
/** Between two looks while waiting. */
const LOOK_MS = 10;
/** The port of vsock that the host listens at. */
const VSOCK_PORT = 5_001;

/** What a fleet is to be. */
export interface FleetSpec {
  readonly kind: Kind;
  readonly medium: Medium;
  /** Words that start a party on the engine of owner and borrower; the path of its socket follows them. */
  readonly engine: readonly string[];
  readonly folder: string;
  /** What relays play. */
  readonly script: Script;
}

/** A process that is told what to do, and whoever waits for what it says. */
interface Party {
  readonly lines: Lines;
  heard: (saying: Saying | Error) => void;
}

/** A fleet at work. */
export class Fleet {
  readonly #children: ChildProcess[] = [];
  readonly #parties = new Map<VmId, Party>();
  readonly #stops: (() => void)[] = [];
  /** Files of the sockets that the host listens at. */
  #hostSockets: readonly string[] = [];

  /** Why a fleet cannot run on `medium` here, or undefined. */
  static whyNot(medium: Medium): string | undefined {
    const needsBroker = medium.startsWith('mqtt');
    return needsBroker && !mosquittoProgram()
      ? 'mosquitto is not installed: apt-get install mosquitto'
      : undefined;
  }

  /** Starts the parties; resolves when the first round may start. */
  async start({ kind, medium, engine, folder, script }: FleetSpec): Promise<void> {
    mkdirSync(folder, { recursive: true });
    const transportOf = await this.#transports(medium, folder);
    const start = (self: VmId) =>
      this.#startParty(
        { kind, self, folder, transport: transportOf(self), script },
        self === HOST ? NODE : engine,
      );
    // A host that relays is ready when the others are.
    const host =
      kind === 'product' ? this.#startHost(folder, transportOf(HOST) as HostFile['transport']) : start(HOST);
    // Before it listens, a VMM takes connections for it and drops them.
    for (const socket of this.#hostSockets) await existing(socket);
    await Promise.all([host, ...VMS.map(start)]);
  }

  /** A handover and its way back, each followed by `restMs` of rest. */
  async round(restMs: number): Promise<void> {
    await this.#half('lend', 'lent', restMs);
    await this.#half('giveBack', 'back', restMs);
  }

  /** A handover alone, or what else the script has in its place. */
  async lend(restMs: number): Promise<void> {
    await this.#half('lend', 'lent', restMs);
  }

  /** The moments of one name, of round `since` and later. */
  async moments(mark: Mark, since: number): Promise<readonly number[]> {
    const by = mark === 'suspended' || mark === 'ownerResumed' ? ANDROID : VAULT;
    const answer = await this.#tell(by, { do: 'marks', mark, since }, 'marks', START_MS);
    return (answer as Extract<Saying, { is: 'marks' }>).moments;
  }

  stop(): void {
    for (const child of this.#children) child.kill('SIGTERM');
    for (const stop of this.#stops) stop();
  }

  async #half(order: 'lend' | 'giveBack', saying: Saying['is'], restMs: number): Promise<void> {
    await this.#tell(VAULT, { do: order }, saying, HALF_ROUND_MS);
    await new Promise((resolve) => setTimeout(resolve, restMs));
  }

  /** Tells a party something; resolves with what it says when that is `what`. */
  #tell(vm: VmId, order: Order, what: Saying['is'], limitMs: number): Promise<Saying> {
    const party = this.#parties.get(vm)!;
    return new Promise((resolve, reject) => {
      const late = () => party.heard(new Error(`${vm}: not ${what} within ${limitMs} ms`));
      const limit = setTimeout(late, limitMs);
      party.heard = (saying) => {
        // One that has dialled again says so; what was under way then is late.
        if (!(saying instanceof Error) && saying.is === 'ready' && what !== 'ready') return;
        clearTimeout(limit);
        party.heard = () => {};
        if (saying instanceof Error) reject(saying);
        else if (saying.is === what) resolve(saying);
        else reject(new Error(`${vm}: ${JSON.stringify(saying)} instead of ${what}`));
      };
      party.lines.send(order as unknown as Json);
    });
  }

  async #startParty(spec: PartySpec, engine: readonly string[]): Promise<void> {
    const path = join(spec.folder, `${spec.self}.orders`);
    const connected = new Promise<void>((resolve, reject) => {
      const stopListening = STREAMS.listen(
        `unix:${path}`,
        (stream) => {
          const lines = new Lines(stream, {
            onLine: (line) => party.heard(line as unknown as Saying),
            onBad: (why) => party.heard(new Error(`${spec.self}: ${why}`)),
            onClose: () => party.heard(new Error(`${spec.self} has ended`)),
          });
          const party: Party = { lines, heard: () => {} };
          this.#parties.set(spec.self, party);
          resolve();
        },
        (error) => {
          if (error) return reject(error);
          const [program = '', ...words] = [...engine, path];
          const child = spawn(program, words, { stdio: ['ignore', 'inherit', 'inherit'] });
          child.once('error', reject);
          child.once('exit', () => reject(new Error(`${spec.self} has ended before it began`)));
          this.#children.push(child);
        },
      );
      this.#stops.push(stopListening);
    });
    await connected;
    await this.#tell(spec.self, startOrder(spec), 'ready', START_MS);
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
    if (medium === 'stream-unix' || medium === 'vsock-unix') {
      const form = (vm: VmId) =>
        medium === 'stream-unix'
          ? `unix:${join(folder, `${vm}.sock`)}`
          : `vsock-unix:${join(folder, `${vm}.vmm`)}:${VSOCK_PORT}`;
      if (medium === 'vsock-unix') {
        for (const vm of VMS) {
          const vmm = await handingVmm(join(folder, `${vm}.vmm`), VSOCK_PORT);
          this.#stops.push(() => vmm.close());
        }
      }
      const listen = Object.fromEntries(VMS.map((vm) => [vm, form(vm)]));
      this.#hostSockets = VMS.map((vm) =>
        join(folder, medium === 'stream-unix' ? `${vm}.sock` : `${vm}.vmm_${VSOCK_PORT}`),
      );
      return (party) =>
        party === HOST ? { kind: 'stream', listen } : { kind: 'stream', address: form(party) };
    }
    const broker = await startMosquitto(mosquittoProgram()!, folder);
    this.#stops.push(() => broker.stop());
    const url = medium === 'mqtt-tcp' ? broker.tcpUrl : broker.unixUrl;
    return (party) => ({ kind: 'mqtt', url, username: party, passwordFile: broker.passwordFile(party) });
  }
}

/** Resolves when there is a file at `path`. */
async function existing(path: string): Promise<void> {
  const endMs = performance.now() + START_MS;
  while (!existsSync(path)) {
    if (performance.now() > endMs) throw new Error(`${path}: not there within ${START_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
