/**
 * The processes of a testbed and their control sockets, in their own folder: starts the built programs, collects their
 * events, ends them. demo-testbed.ts and real-testbed.ts define the parties.
 */

import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ControlClient } from '../../../src/cli/world.ts';
import type { Json } from '../../../src/common/lines.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { connectControlAt } from '../../node/cli/control-client.ts';
import { ended, Started } from '../../node/system/started.ts';
import { ANDROID, VAULT } from '../machine/board.ts';

/** Longest wait for a process to come up, in ms: six Node programs on two busy cores. */
export const START_MS = 10_000;
/**
 * Start time of the first program on two quiet cores, in ms. Other limits are scaled by its actual time, up to this
 * factor.
 */
const QUIET_START_MS = 250;
const PACE_MAX = 8;
/** Time limit of a process after SIGTERM, in ms. */
const GRACE_MS = 1_000;
/** Most complaints of processes in an error. */
const COMPLAINTS_SHOWN = 6;
/** Interval of the checks of a wait, in ms. */
const LOOK_MS = 5;

/** One event, as reported by a party. */
export interface Told {
  readonly by: 'host' | 'android' | 'vault' | 'app-android' | 'app-vault';
  readonly atMs: number;
  readonly event: Json;
}

export class Parties {
  readonly folder = mkdtempSync(join(tmpdir(), 'baton-'));
  readonly told: Told[] = [];
  onTold: (told: Told) => void = () => {};
  /** Warnings and errors of the processes, which explain a failed expectation. */
  readonly complaints: string[] = [];
  protected readonly programs: string;
  readonly #started = new Started();
  readonly #clients = new Map<string, ControlClient>();
  #host: ChildProcess | undefined;
  /** How much slower this machine is than a quiet one, measured by the first program that was started. */
  #pace: number | undefined;

  /** `programs`: the folder of the built bundles; that of the program that runs, unless told otherwise. */
  constructor(programs: string = dirname(fileURLToPath(import.meta.url))) {
    this.programs = programs;
  }

  /** Starts the host service, and watches it. `program`: the file that it is, in the folder of programs. */
  async startHost(args: readonly string[], program = 'baton-host.mjs'): Promise<void> {
    const words = [process.execPath, join(this.programs, program)];
    this.#host = this.spawnWords('baton-host', [...words, '--config', this.path('host.json'), ...args]);
    await this.watch('host', 'host');
  }

  /** Kills the host service at once; machine, VMs and agents live on. */
  async killHost(): Promise<void> {
    if (!this.#host) return;
    const gone = ended(this.#host);
    this.#host.kill('SIGKILL');
    await gone;
  }

  /** Stops the host service where it is, or lets it go on. */
  signalHost(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.#host?.kill(name);
  }

  /** Resolves when the host service has ended by itself, with its status. */
  async hostEnded(): Promise<number | null> {
    if (this.#host) await ended(this.#host, Number.POSITIVE_INFINITY);
    return this.#host?.exitCode ?? null;
  }

  /** Sends a request to a party; resolves with its answer, of any kind. */
  async ask(party: string, request: Json): Promise<Json> {
    const client = this.#clients.get(party);
    if (!client) throw new Error(`${party} is not connected`);
    return client.request(request);
  }

  /** Opens a separate connection to an agent: the lease ends with it. */
  async program(vm: VmId): Promise<ControlClient> {
    return connectControlAt(this.controlOf(vm));
  }

  /** Returns a duration on a quiet machine, scaled to the pace of this one. */
  pacedMs(quietMs: number): number {
    return Math.round(quietMs * (this.#pace ?? 1));
  }

  /** Waits until `holds` does. Rejects with `what` after `limitMs` of a quiet machine. */
  async until(what: string, limitMs: number, holds: () => boolean | Promise<boolean>): Promise<void> {
    const pacedMs = this.pacedMs(limitMs);
    const endMs = performance.now() + pacedMs;
    while (!(await Promise.resolve(holds()).catch(() => false))) {
      if (performance.now() > endMs)
        throw new Error(`not within ${pacedMs} ms: ${what}: ${this.#lastComplaints()}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  /** Events of one party since the moment `sinceMs`. */
  since(sinceMs: number, by: Told['by'], name?: string): Json[] {
    return this.told
      .filter(
        (told) =>
          told.atMs >= sinceMs && told.by === by && (name === undefined || told.event['event'] === name),
      )
      .map(({ event }) => event);
  }

  /**
   * Ends all processes that were started here and their descendants, and removes the folder. A start still under way
   * starts nothing more.
   */
  async stop(): Promise<void> {
    for (const client of this.#clients.values()) client.close();
    await this.#started.end(GRACE_MS).finally(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** Address of a party's control socket. */
  protected controlOf(party: string): string {
    return `unix:${this.path(`${party}.sock`)}`;
  }

  protected path(name: string): string {
    return join(this.folder, name);
  }

  protected spawn(program: string, args: readonly string[]): ChildProcess {
    return this.spawnWords(program, [process.execPath, join(this.programs, `${program}.mjs`), ...args]);
  }

  /** Starts a program by all its words. `name`: what it is called in complaints. */
  protected spawnWords(name: string, [program = '', ...args]: readonly string[]): ChildProcess {
    const child = this.#started.spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin!.on('error', () => {});
    child.stderr!.on('data', (bytes: Buffer) => this.#complain(name, bytes.toString()));
    return child;
  }

  /** Starts a program that prints a line when it serves; resolves with both. */
  protected startReady(program: string, args: readonly string[]): Promise<[ChildProcess, Json]> {
    const child = this.spawn(program, args);
    const startedMs = performance.now();
    const limitMs = START_MS * (this.#pace ?? PACE_MAX / 2);
    return new Promise((resolve, reject) => {
      const limit = setTimeout(
        () => reject(new Error(`${program} was not ready within ${Math.round(limitMs)} ms`)),
        limitMs,
      );
      child.stdout!.once('data', (bytes: Buffer) => {
        clearTimeout(limit);
        this.#pace ??= Math.min(PACE_MAX, Math.max(1, (performance.now() - startedMs) / QUIET_START_MS));
        resolve([child, JSON.parse(bytes.toString().split('\n')[0]!) as Json]);
      });
      child.once('exit', (status) =>
        reject(new Error(`${program} ended with status ${status}: ${this.#lastComplaints()}`)),
      );
    });
  }

  /** Connects to a control socket of the folder, once it is there, as `party`. */
  protected async connect(socket: string, party: string): Promise<ControlClient> {
    let client: ControlClient | undefined;
    await this.until(`${socket}.sock answers`, START_MS, async () => {
      client = await connectControlAt(this.controlOf(socket));
      return true;
    });
    this.#clients.get(party)?.close();
    this.#clients.set(party, client!);
    return client!;
  }

  /** Connects, and keeps what it tells from now on. */
  protected async watch(socket: string, by: Told['by']): Promise<void> {
    const client = await this.connect(socket, by);
    client.onEvent((event) => {
      const told = { by, atMs: performance.now(), event };
      this.told.push(told);
      this.onTold(told);
    });
    if (!by.startsWith('app-')) await client.request({ do: 'watch' });
  }

  protected write(name: string, value: unknown, mode = 0o644): void {
    const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2);
    writeFileSync(this.path(name), text, { mode });
  }

  /** Key files of the host, ANDROID and VAULT. */
  protected writeKeys(): void {
    const key = () => randomBytes(32).toString('hex');
    const [hostAndroid, hostVault, between] = [key(), key(), key()];
    this.write('host.keys.json', { android: hostAndroid, vault: hostVault }, 0o600);
    this.write('android.keys.json', { host: hostAndroid, vault: between }, 0o600);
    this.write('vault.keys.json', { host: hostVault, android: between }, 0o600);
  }

  protected writeHost(enforcer: Json, transport: Json, rest: Json = {}): void {
    const files = { bundles: 'bundles.json', keys: 'host.keys.json' };
    this.write('host.json', {
      ...files,
      enforcer,
      transport,
      state: 'host-state',
      control: 'host.sock',
      ...rest,
    });
  }

  /** The configuration of a VM's agent. The owner lends to the other for a PIN. */
  protected writeAgent(
    vm: VmId,
    bundle: BundleDefinition,
    transport: Json,
    hooks: Json,
    rest: Json = {},
  ): void {
    mkdirSync(this.path(`state-${vm}`));
    const rule = { bundle: bundle.id, borrower: VAULT, purposes: ['pin'], leaseMaxMs: 60_000 };
    this.write(`${vm}.json`, {
      vm,
      bundles: 'bundles.json',
      keys: `${vm}.keys.json`,
      transport,
      state: `state-${vm}`,
      control: `${vm}.sock`,
      ...(vm === ANDROID ? { policy: { kind: 'list', allow: [rule] } } : {}),
      hooks: { [bundle.id]: hooks },
      ...rest,
    });
  }

  #complain(program: string, text: string): void {
    for (const line of text.split('\n'))
      if (/ (warn|error): |Error/.test(line)) this.complaints.push(`${program}: ${line}`);
  }

  /** The last of them, each once: retries repeat a line with another time. */
  #lastComplaints(): string {
    const words = this.complaints.map((line) =>
      line.replace(/: \d+\.\d+ \S+ (\S+ )?(?=(warn|error): )/, ': '),
    );
    return [...new Set(words)].slice(-COMPLAINTS_SHOWN).join('; ');
  }
}
