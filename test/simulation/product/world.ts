/**
 * The whole product on one virtual clock with one seed: the shipped host, agents, links, sessions, journals, tables and
 * hooks, over a simulated machine with several VMs and bundles, a network, disks and an enforcer that can go wrong.
 *
 * Everything else is the product's own. What goes wrong, and when, is in faults.ts; what users want in story.ts.
 */

import type { BORROWER_TABLE } from '../../../src/core/agent/borrower.ts';
import type { Policy } from '../../../src/core/agent/policy.ts';
import { decodeBounds } from '../../../src/core/host/bounds.ts';
import type { HOST_TABLE } from '../../../src/core/host/host-table.ts';
import { type BundleDefinition, nameResources } from '../../../src/core/protocol/bundle.ts';
import { bundleId, deviceId, HOST, type VmId, vmId } from '../../../src/core/protocol/ids.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import { Agent, type AgentParts } from '../../../src/drivers/agent/agent.ts';
import { AgentControl } from '../../../src/drivers/control/agent-control.ts';
import { HostControl } from '../../../src/drivers/control/host-control.ts';
import { Host } from '../../../src/drivers/host/host.ts';
import type { HostParts } from '../../../src/drivers/host/host-parts.ts';
import { HostTable } from '../../../src/drivers/host/table.ts';
import { Link } from '../../../src/drivers/link/link.ts';
import type { Sabotage } from '../../../src/edges/enforcer/tables.ts';
import { createHooks } from '../../../src/edges/hooks/hooks.ts';
import { MemoryNetwork } from '../../../src/edges/transport/memory.ts';
import type { DriverHooks, Entropy, Log, Transport } from '../../../src/ports/world.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { SimulatedMachine } from '../../../targets/lab/machine/machine.ts';
import { type Random, seededRandom } from '../../../targets/lab/machine/random.ts';
import { VirtualClock } from '../../../targets/lab/virtual-clock.ts';
import { pairKey } from '../../support/unisolated-world.ts';
import { Client, type Shown } from './client.ts';
import { SimulatedDisk } from './disk.ts';
import { EnforcerConfig } from './enforcer.ts';
import { Guest, hooksConfig } from './guest.ts';
import { Hostile } from './hostile.ts';
import { Judge } from './judge.ts';
import { SimulatedProcess } from './process.ts';
import { RunRecords } from './records.ts';

export const WALLET = vmId('wallet');
/** Owner of the panel, borrower of both, and a VM that is both owner and borrower. */
export const VMS: readonly VmId[] = [ANDROID, VAULT, WALLET];
const PAD_DEVICE = deviceId('touchpad');
/** A second touch controller, which vault owns. */
const PAD: BundleDefinition = {
  id: bundleId('pad'),
  owner: VAULT,
  keeper: 'hypervisor',
  devices: [
    {
      id: PAD_DEVICE,
      residualStates: [{ what: 'report FIFO', clearedBy: 'reset' }],
      resources: nameResources(PAD_DEVICE, [
        { kind: 'mmio', physical: 0x0a9a_0000, bytes: 0x1000, views: {} },
        { kind: 'interrupt', physical: 144, trigger: 'level', views: {} },
        { kind: 'stream', physical: 0x7c3, views: {} },
      ] as never),
    },
  ],
};
/** Lent across: each of the first two VMs owns one and borrows the other. */
export const BUNDLES: readonly BundleDefinition[] = [PANEL, PAD];

/** Frames kept for whoever replays them. */
const FRAMES_KEPT = 100;
/** What a supervisor waits before it starts a daemon again, in ms. */
const RESTART_MS = 100;
/** Boots of the machine in one run, at most: each has a seed of its own. */
const BOOTS_MAX = 64;
const TABLE = 'table.journal';
const BOUNDS = 'bounds';
const WATCH = { do: 'watch' };

export interface RunningHost {
  readonly process: SimulatedProcess;
  readonly host: Host;
  /** An operator at its control socket, who is told all changes. */
  readonly operator: Client;
}

/** An agent, or what has taken its place. */
export interface RunningAgent {
  readonly process: SimulatedProcess;
  /** A new program at its control socket; undefined: it has none. */
  readonly connect: (() => Client) | undefined;
  /** One that is told all changes. */
  readonly watcher?: Client;
  readonly hostile?: Hostile;
}

/** Safeguards that are switched off, as negative controls. */
export interface Controls {
  readonly sabotages?: readonly Sabotage[];
  readonly hostTable?: typeof HOST_TABLE;
  readonly borrowerTable?: typeof BORROWER_TABLE;
  /** Other ports for a driver that is about to start. */
  readonly hostParts?: (parts: HostParts) => HostParts;
  readonly agentParts?: (parts: AgentParts) => AgentParts;
  /** Longest time until all must be at rest, in ms; 0: it need not come to rest. */
  readonly restMs?: number;
}

export class ProductWorld {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly judge: Judge;
  readonly network: MemoryNetwork;
  readonly enforcer: EnforcerConfig;
  readonly disk: SimulatedDisk;
  machine!: SimulatedMachine;
  host: RunningHost | undefined;
  readonly agents = new Map<VmId, RunningAgent>();
  readonly guests = new Map<VmId, Guest>();
  /** Frames of the last moments, for replays. */
  readonly frames: { readonly from: VmId; readonly to: VmId; readonly frame: Uint8Array }[] = [];
  /** What happened, for a person who replays one seed; undefined: nobody reads it. */
  readonly transcript: string[] | undefined;
  /** Called after each change that host or agents tell. */
  onChange: (bundle: string) => void = () => {};
  /** Somebody who may quarantine for a reason that is not the product's fault was at work. */
  mayQuarantine = false;
  /** Handovers that the host began, and those that the new holder confirmed, by bundle and epoch. */
  readonly begun = new Set<string>();
  readonly confirmed = new Set<string>();
  /** What the host has the machine do at the moment. */
  operation = 'nothing';
  /** Promises of hooks that may go on without time passing. */
  #hooksAtWork = 0;
  #boots = 0;
  #isHostDue = false;
  #lives = new Map<string, number>();
  readonly #disks = new Map<VmId, SimulatedDisk>();
  readonly #hostile = new Set<VmId>();
  readonly #everHostile = new Set<VmId>();
  readonly #seed: number;
  readonly #controls: Controls;
  readonly #entropy: Entropy;

  /** `isTold`: with a transcript. */
  constructor(seed: number, isTold = false, controls: Controls = {}) {
    this.#seed = seed;
    this.#controls = controls;
    this.random = seededRandom(seed);
    this.transcript = isTold ? [] : undefined;
    this.judge = new Judge(() => this.clock.nowMs());
    this.network = new MemoryNetwork(this.clock, () => this.random(1_000_000) / 1_000_000);
    this.network.tap = (what, from, to, frame) => what === 'sent' && this.#keep(from, to, frame);
    this.#entropy = { random: (count) => Uint8Array.from({ length: count }, () => this.random(256)) };
    this.disk = new SimulatedDisk(this.random);
    for (const vm of VMS) this.#disks.set(vm, new SimulatedDisk(this.random));
    this.enforcer = new EnforcerConfig(this.clock, this.random, {
      granted: (bundle, vm) => this.say(`machine: ${bundle} is granted to ${vm}`),
      exitAcknowledged: (vm) => this.judge.exitAcknowledged(vm, this.machine),
      startAcknowledged: (vm) => {
        this.#learnIncarnations();
        this.clock.after(0, () => this.#vmRuns(vm));
      },
      failed: () => {
        this.mayQuarantine = true;
      },
      operates: (bundle, operation) => {
        this.operation = operation;
        this.onChange(bundle);
      },
    });
    this.#bootMachine();
    this.startHost();
    for (const vm of VMS) this.startVm(vm);
  }

  say(text: string): void {
    this.transcript?.push(`${this.clock.nowMs().toFixed(2)} ${text}`);
  }

  /** Lets the next thing happen. Returns false when it lies beyond `untilMs`. */
  async step(untilMs: number): Promise<boolean> {
    const isDone = this.clock.step(untilMs);
    // Every promise that can settle without time passing has settled after this.
    if (this.#hooksAtWork > 0) await new Promise((settled) => setImmediate(settled));
    return isDone;
  }

  readonly records = new RunRecords();

  /** How the host shows a bundle; undefined while it is dead. */
  hostView(bundle: string): Shown | undefined {
    return this.host?.operator.shown(bundle);
  }

  /** How an honest agent shows a bundle; undefined while there is none. */
  agentView(vm: string, bundle: string): Shown | undefined {
    return this.agents.get(vm as VmId)?.watcher?.shown(bundle);
  }

  /** Has everybody show everything anew. */
  lookAgain(): void {
    for (const client of [this.host?.operator, ...[...this.agents.values()].map(({ watcher }) => watcher)])
      client?.ask(WATCH);
  }

  isHonest(vm: string): boolean {
    return !this.#everHostile.has(vm as VmId);
  }

  /** A process for the host, and the host in it. Waits for what the last one ordered. */
  startHost(): void {
    if (this.host?.process.isAlive) return;
    if (this.enforcer.isBusy) return this.#startHostLater();
    const process = new SimulatedProcess('host', this.clock, () => this.#hostDied(process));
    const log = this.#log('host');
    const freshTable = () => new HostTable(this.disk.openSpareJournal(`${TABLE}.after-loss`, process));
    const bootId = this.#entropy.random(16);
    try {
      const parts: HostParts = {
        bundles: BUNDLES,
        enforcer: this.enforcer.enforcer(this.machine.enforcer(), process),
        link: this.link(HOST, process, bootId, log),
        clock: process.clock,
        log,
        entropy: this.#entropy,
        bootId,
        bounds: this.disk.openRecord(BOUNDS, process),
        table: this.#openTable(process),
        freshTable,
        audit: () => {
          if (process.mayAct() && this.disk.isFull) throw new Error('audit.jsonl: no space left on device');
        },
        auditHash: undefined,
        records: this.records.parts(
          () => this.clock.nowMs(),
          () => process.mayAct(),
          () => this.disk.isFull,
        ),
        end: () => process.kill(),
        ...(this.#controls.hostTable ? { protocol: this.#controls.hostTable } : {}),
      };
      const host = new Host(this.#controls.hostParts?.(parts) ?? parts);
      const control = new HostControl(host, process.clock);
      const operator = new Client(
        process,
        (stream) => control.accept(stream),
        (bundle) => this.onChange(bundle),
      );
      this.host = { process, host, operator };
      operator.ask(WATCH);
      host.on('phase', (bundle, phase, epoch) => phase === 'fence' && this.begun.add(`${bundle} ${epoch}`));
      this.say('host: starts');
      host.start(() => this.#learnIncarnations());
    } catch (error) {
      // As orExit of the daemon: its supervisor tries again.
      this.say(`host: cannot start: ${(error as Error).message}`);
      process.kill();
    }
  }

  /** The platform starts a VM as soon as the last run of it is gone. */
  startVm(vm: VmId): void {
    try {
      this.machine.startVm(vm);
      this.say(`${vm}: is started`);
    } catch {
      const { machine } = this;
      this.clock.after(
        RESTART_MS,
        () => machine === this.machine && !this.guests.has(vm) && this.startVm(vm),
      );
    }
  }

  /** A VM ends, and all that runs in it. Returns false when it does not run. */
  exitVm(vm: VmId): boolean {
    if (!this.guests.has(vm)) return false;
    this.#endGuest(vm);
    this.#disks.get(vm)!.losePower();
    this.machine.exitVm(vm);
    return true;
  }

  /** The agent of a VM, if the VM runs and has none that lives. */
  startAgent(vm: VmId): void {
    const guest = this.guests.get(vm);
    if (guest === undefined || this.agents.get(vm)?.process.isAlive) return;
    const process = new SimulatedProcess(vm, this.clock, () => this.#agentDied(vm, process));
    const log = this.#log(vm);
    const parts: AgentParts = {
      self: vm,
      bundles: BUNDLES,
      link: this.link(vm, process, this.#entropy.random(16), log),
      hooks: this.#hooks(guest, process, log),
      policy: this.#policy(process),
      clock: process.clock,
      entropy: this.#entropy,
      journal: this.#disks.get(vm)!.openSpareJournal('agent.journal', process),
      log,
      ...(this.#controls.borrowerTable ? { borrowerTable: this.#controls.borrowerTable } : {}),
    };
    const agent = new Agent(this.#controls.agentParts?.(parts) ?? parts);
    const control = new AgentControl(agent, log, process.clock);
    const connect = (onChange?: (bundle: string) => void) =>
      new Client(process, (stream) => control.accept(stream), onChange);
    const watcher = connect((bundle) => this.onChange(bundle));
    this.agents.set(vm, { process, connect, watcher });
    watcher.ask(WATCH);
    this.say(`${vm}: its agent starts`);
    process.enter(() => agent.start());
  }

  /** Whether a hostile program speaks for a VM in place of its agent. */
  setHostile(vm: VmId, isHostile: boolean): void {
    if (isHostile === this.#hostile.has(vm)) return;
    if (isHostile) {
      this.#hostile.add(vm);
      this.#everHostile.add(vm);
    } else this.#hostile.delete(vm);
    this.agents.get(vm)?.process.kill();
    this.#speakLater(vm);
  }

  /** The power of the whole machine fails, and comes back. */
  losePower(): void {
    this.say('machine: the power fails');
    this.host?.process.kill();
    for (const vm of [...this.guests.keys()]) this.#endGuest(vm);
    this.judge.machine(this.machine);
    this.disk.losePower();
    for (const disk of this.#disks.values()) disk.losePower();
    this.enforcer.losePower();
    this.#bootMachine();
    this.clock.after(500, () => {
      this.startHost();
      for (const vm of VMS) this.startVm(vm);
    });
  }

  /** A link under its own name, for one process. */
  link(self: VmId, process: SimulatedProcess, bootId: Uint8Array, log: Log): Link {
    const peers = [HOST, ...VMS].filter((peer) => peer !== self);
    return new Link({
      self,
      pairKeys: new Map(peers.map((peer) => [peer, pairKey(self, peer)])),
      bootId,
      bundles: BUNDLES.map((bundle) => ({ bundle: bundle.id, digest: bundleDigest(bundle) })),
      transport: this.#transport(self, process),
      clock: process.clock,
      entropy: this.#entropy,
      log,
    });
  }

  /** Names the life of a VM that runs or ran last, as the host counts. */
  life(vm: string): string {
    return `${vm}#${this.#lives.get(vm) ?? 0}`;
  }

  /** The host alone counts lives. */
  #learnIncarnations(): void {
    for (const vm of VMS) this.#lives.set(vm, this.host?.host.incarnationOf(vm) || this.#lives.get(vm) || 0);
  }

  #bootMachine(): void {
    this.#boots += 1;
    const sabotages = this.#controls.sabotages ?? [];
    const seed = this.#seed * BOOTS_MAX + this.#boots;
    this.machine = new SimulatedMachine({ vms: [], bundles: BUNDLES, seed, sabotages });
    this.#holdIncarnations();
  }

  /** While no host listens, VMs that start or end wait: the platform frees and runs nothing without its word. */
  #holdIncarnations(): void {
    this.machine.enforcer().onEvent(() => {});
  }

  #vmRuns(vm: VmId): void {
    if (this.guests.has(vm)) return;
    // Its kernel boots with the drivers of what it owns; they find what they are given.
    const owned = new Set<string>(BUNDLES.filter(({ owner }) => owner === vm).map(({ id }) => id));
    try {
      const guest = new Guest(this.machine, vm, BUNDLES, this.clock, this.random, owned);
      this.guests.set(vm, guest);
      this.say(`${vm}: runs`);
      this.#speak(vm);
    } catch {
      // It was ended before its first instruction.
    }
  }

  #startHostile(vm: VmId): void {
    const process = new SimulatedProcess(vm, this.clock, () => this.#agentDied(vm, process));
    const hostile = new Hostile(this, vm, process);
    this.agents.set(vm, { process, connect: undefined, hostile });
    hostile.start();
  }

  #endGuest(vm: VmId): void {
    this.guests.get(vm)?.end();
    this.guests.delete(vm);
    this.agents.get(vm)?.process.kill();
  }

  #hostDied(process: SimulatedProcess): void {
    this.say('host: is dead');
    this.network.transport(HOST).close();
    if (this.host?.process === process) this.host = undefined;
    this.#holdIncarnations();
    this.#startHostLater();
  }

  #startHostLater(): void {
    if (this.#isHostDue) return;
    this.#isHostDue = true;
    this.clock.after(RESTART_MS, () => {
      this.#isHostDue = false;
      this.startHost();
    });
  }

  #agentDied(vm: VmId, process: SimulatedProcess): void {
    if (this.agents.get(vm)?.process !== process) return;
    this.say(`${vm}: its agent is dead`);
    this.network.transport(vm).close();
    this.agents.delete(vm);
    this.#speakLater(vm);
  }

  /** Soon something speaks for a VM that runs: its agent, or what has taken its place. */
  #speakLater(vm: VmId): void {
    this.clock.after(RESTART_MS, () => this.#speak(vm));
  }

  #speak(vm: VmId): void {
    if (!this.guests.has(vm) || this.agents.get(vm)?.process.isAlive) return;
    if (this.#hostile.has(vm)) this.#startHostile(vm);
    else this.startAgent(vm);
  }

  #isRebooted(process: SimulatedProcess): boolean {
    const { found } = this.disk.openRecord(BOUNDS, process);
    const bounds = found && decodeBounds(found);
    return bounds !== undefined && bounds.machineBoot !== this.machine.enforcer().machineBoot();
  }

  #openTable(process: SimulatedProcess): HostTable | undefined {
    const path = this.disk.exists(`${TABLE}.after-loss`) ? `${TABLE}.after-loss` : TABLE;
    const isThere = this.disk.exists(path);
    try {
      const table = new HostTable(this.disk.openJournal(path, process));
      if (table.records() || !isThere) return table;
    } catch (error) {
      this.say(`host: ${(error as Error).message}`);
    }
    // A power cut ends all VMs: then nobody holds anything, whatever the table says.
    if (this.#isRebooted(process)) return undefined;
    this.mayQuarantine = true;
    this.judge.tableLost();
    return undefined;
  }

  #hooks(guest: Guest, process: SimulatedProcess, log: Log): DriverHooks {
    const config = hooksConfig(BUNDLES);
    const hooks = createHooks({ self: guest.vm, bundles: BUNDLES, config, world: guest.world(process), log });
    const busy = <T>(done: (result: T) => void) => {
      this.#hooksAtWork += 1;
      return (result: T) => {
        this.#hooksAtWork -= 1;
        process.enter(() => done(result));
      };
    };
    return {
      run: (bundle, hook, epoch, done) => {
        if (!process.mayAct()) return;
        this.say(`${guest.vm}: hook ${hook} of ${bundle} at epoch ${epoch}`);
        if (hook === 'resume') this.judge.resumes(this.life(guest.vm), bundle, epoch, this.machine);
        hooks.run(bundle, hook, epoch, busy(done));
      },
      inspect: (bundle, done) => process.mayAct() && hooks.inspect(bundle, busy(done)),
    };
  }

  /** Decides after a while, mostly yes; sometimes not at all. */
  #policy(process: SimulatedProcess): Policy {
    return (_, done) => {
      const choice = this.random(20);
      if (choice === 0) return;
      const decision = choice === 1 ? { allow: false, reason: 'policy', retryAfterMs: 50 } : { allow: true };
      process.clock.after(this.random(3), () => done(decision as never));
    };
  }

  #transport(self: VmId, process: SimulatedProcess): Transport {
    const inner = this.network.transport(self);
    return {
      open: (listener) =>
        inner.open({
          onFrame: (from, frame) => process.enter(() => listener.onFrame(from, frame)),
          onUp: (peer) => process.enter(() => listener.onUp(peer)),
          onDown: (reason) => process.enter(() => listener.onDown(reason)),
        }),
      send: (to, frame) => process.mayAct() && inner.send(to, frame),
      obstacle: (to) => inner.obstacle(to),
      close: () => process.isAlive && inner.close(),
    };
  }

  #keep(from: VmId, to: VmId, frame: Uint8Array): void {
    this.frames.push({ from, to, frame: frame.slice() });
    if (this.frames.length > FRAMES_KEPT) this.frames.shift();
  }

  #log(name: string): Log {
    const log: Log = (level, message, fields) =>
      this.say(`${name} ${level}: ${message} ${JSON.stringify(fields ?? {})}`);
    return Object.assign(log, { level: this.transcript ? ('debug' as const) : ('error' as const) });
  }
}
