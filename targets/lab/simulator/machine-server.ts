/**
 * The simulated machine as a process: serves the enforcer socket, one socket per VM for its drivers, and a bench socket
 * (fingers on the panel, queries of the picture).
 *
 * VMs are process groups that this process supervises: a VM starts when the host has acknowledged its start, and its
 * end is reported when its last process is gone, before anything of it is freed.
 */

import { type Json, Lines } from '../../../src/common/lines.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import type { BundleId, VmId } from '../../../src/core/protocol/ids.ts';
import { encodeAnswer } from '../../../src/edges/enforcer/remote.ts';
import type { Sabotage } from '../../../src/edges/enforcer/tables.ts';
import type { EnforcerCall, EnforcerEvent } from '../../../src/ports/enforcer.ts';
import type { ByteStream, Log, StreamNetwork } from '../../../src/ports/world.ts';
import { accessContext, type GuestAccess } from '../machine/drivers.ts';
import { SimulatedMachine } from '../machine/machine.ts';
import { VmGroup } from './vm-group.ts';

/** Parameters of the process. */
export interface MachineServerOptions {
  /** Folder of the sockets: machine.sock, bench.sock, vm-NAME.sock. */
  readonly folder: string;
  readonly bundles: readonly BundleDefinition[];
  /** Commands of each VM's processes. */
  readonly vms: Readonly<Record<VmId, readonly (readonly string[])[]>>;
  readonly seed: number;
  readonly sabotages: readonly Sabotage[];
  readonly network: StreamNetwork;
  readonly log: Log;
}

/** Interval of rounds of the simulated hardware in real time, in ms, and ticks per round. */
const ROUND_MS = 2;
const TICKS_PER_ROUND = 8;

export class MachineServer {
  readonly #options: MachineServerOptions;
  readonly #machine: SimulatedMachine;
  readonly #enforcer: ReturnType<SimulatedMachine['enforcer']>;
  readonly #groups = new Map<VmId, VmGroup>();
  readonly #stops: (() => void)[] = [];
  /** Starts and exits that the host has not acknowledged. */
  readonly #unacknowledged = new Map<VmId, 'vmStarting' | 'vmExited'>();
  #host: Lines | undefined;
  #faultsDue = false;
  #round: NodeJS.Timeout | undefined;

  constructor(options: MachineServerOptions) {
    this.#options = options;
    const { bundles, seed, sabotages } = options;
    this.#machine = new SimulatedMachine({ vms: [], bundles, seed, sabotages });
    this.#enforcer = this.#machine.enforcer();
    this.#enforcer.onEvent((event) => this.#onEvent(event));
  }

  /** Opens the sockets, then runs the hardware. VMs start on requests on the bench socket. */
  async start(): Promise<void> {
    await this.#listen('machine', (stream) => this.#acceptHost(stream));
    await this.#listen('bench', (stream) => this.#acceptBench(stream));
    for (const vm of Object.keys(this.#options.vms) as VmId[]) {
      await this.#listen(`vm-${vm}`, (stream) => this.#acceptDriver(vm, stream));
    }
    this.#round = setInterval(() => this.#machine.tick(TICKS_PER_ROUND), ROUND_MS);
  }

  /** Ends all VMs and the machine. */
  stop(): void {
    clearInterval(this.#round);
    for (const group of this.#groups.values()) group.kill();
    for (const stop of this.#stops) stop();
    this.#host?.close();
  }

  #listen(name: string, accept: (stream: ByteStream) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const address = `unix:${this.#options.folder}/${name}.sock`;
      const stop = this.#options.network.listen(address, accept, (error) =>
        error ? reject(error) : resolve(),
      );
      this.#stops.push(stop);
    });
  }

  #onEvent(event: EnforcerEvent): void {
    if (event.kind === 'faultsPending') return this.#sendFaultsSoon();
    if (event.kind !== 'vmStarting' && event.kind !== 'vmExited') return;
    this.#unacknowledged.set(event.vm, event.kind);
    this.#host?.send({ event: event.kind, vm: event.vm });
  }

  /** Never synchronously: the event may come in the middle of an access by the hypervisor itself. */
  #sendFaultsSoon(): void {
    if (this.#faultsDue) return;
    this.#faultsDue = true;
    setImmediate(() => {
      this.#faultsDue = false;
      this.#host?.send({ event: 'faultsPending', faults: this.#enforcer.faults() });
    });
  }

  #acceptHost(stream: ByteStream): void {
    const lines = new Lines(stream, {
      onLine: (line) => this.#serveHost(lines, line),
      onBad: (error) => this.#options.log('warn', `enforcer socket: ${error}`),
      onClose: () => {
        if (this.#host === lines) this.#host = undefined;
      },
    });
  }

  #serveHost(lines: Lines, line: Json): void {
    const { id = null, vm } = line;
    switch (line['do']) {
      case 'hello':
        lines.send({
          id,
          ...this.#enforcer.describe(),
          machineBoot: `${this.#enforcer.machineBoot()}-${process.pid}`,
          running: this.#enforcer.running(),
        });
        return;
      case 'listen':
        this.#host = lines;
        for (const [name, event] of this.#unacknowledged) lines.send({ event, vm: name });
        return;
      case 'run': {
        const calls = line['calls'] as EnforcerCall[];
        this.#enforcer.run(line['bundle'] as BundleId, calls, (answers) =>
          lines.send({ id, answers: answers.map(encodeAnswer), faults: this.#enforcer.faults() }),
        );
        return;
      }
      case 'acknowledgeStart':
        this.#unacknowledged.delete(vm as VmId);
        this.#enforcer.acknowledgeStart(vm as VmId);
        return this.#run(vm as VmId);
      case 'acknowledgeExit':
        this.#unacknowledged.delete(vm as VmId);
        return this.#enforcer.acknowledgeExit(vm as VmId);
      default:
        lines.send({ id, answers: [{ ok: false, error: `unknown request ${JSON.stringify(line['do'])}` }] });
    }
  }

  /** The VM's first instruction: its processes start. */
  #run(vm: VmId): void {
    const commands = this.#options.vms[vm] ?? [];
    if (commands.length === 0 || this.#groups.has(vm)) return;
    const group = new VmGroup(vm, commands, this.#options.log, () => {
      this.#groups.delete(vm);
      this.#machine.exitVm(vm);
    });
    this.#groups.set(vm, group);
  }

  #acceptDriver(vm: VmId, stream: ByteStream): void {
    let context: ReturnType<SimulatedMachine['context']>;
    try {
      context = this.#machine.context(vm);
    } catch {
      return stream.close();
    }
    const lines = new Lines(stream, {
      onLine: (line) => {
        const result = accessContext(context, line['access'] as GuestAccess);
        lines.send({ id: line['id'] ?? null, ...result });
      },
      onBad: (error) => this.#options.log('warn', `driver of ${vm}: ${error}`),
      onClose: () => context.onInterrupt(null),
    });
    context.onInterrupt((virtual) => lines.send({ event: 'interrupt', virtual }));
  }

  #acceptBench(stream: ByteStream): void {
    const lines = new Lines(stream, {
      onLine: (line) => {
        const { id = null } = line;
        try {
          lines.send({ id, ok: true, ...this.#bench(line) });
        } catch (error) {
          lines.send({ id, ok: false, error: (error as Error).message });
        }
      },
      onBad: (error) => this.#options.log('warn', `bench socket: ${error}`),
      onClose: () => {},
    });
  }

  #bench(line: Json): Json {
    const vm = line['vm'] as VmId;
    switch (line['do']) {
      case 'touch':
        this.#machine.touch(line['x'] as number, line['y'] as number, line['down'] === true);
        return {};
      case 'screen':
        return {
          vm: this.#machine.screen().vm,
          words: this.#machine.screen().lines.map(({ words }) => words[0] ?? 0),
        };
      case 'judge':
        return { violations: this.#machine.checker.violations, carried: this.#machine.carriedContacts() };
      case 'startVm':
        this.#machine.startVm(vm);
        return {};
      case 'killVm': {
        const group = this.#groups.get(vm);
        if (!group) throw new Error(`VM ${vm} does not run`);
        group.kill();
        return {};
      }
      case 'killProcess': {
        const group = this.#groups.get(vm);
        if (!group) throw new Error(`VM ${vm} does not run`);
        group.killProcess(Number(line['index']));
        return {};
      }
      default:
        throw new Error(`unknown request ${JSON.stringify(line['do'])}`);
    }
  }
}
