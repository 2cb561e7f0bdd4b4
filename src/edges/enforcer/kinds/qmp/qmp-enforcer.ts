/**
 * The enforcer `qmp`: plain QEMU. It moves only input: events that a program reads from the real device arrive over a
 * socket per bundle, and go by QMP to the holder's QEMU alone.
 *
 * The routing in this process is the access. So `fence` takes effect at once, independent of any holder: a run waits
 * only for runs of its own bundle, and during its settle no VM gets its events. `settle` releases what is pressed at
 * the old holder and waits until all its events are answered. A restarted host routes nothing until a new grant,
 * which counts as a reboot of the machine. QMP cannot report the routing, so the evidence is `asserted`.
 */

import { Lines } from '../../../../common/lines.ts';
import type { BundleDefinition } from '../../../../core/protocol/bundle.ts';
import type { BundleId, VmId } from '../../../../core/protocol/ids.ts';
import type {
  Enforcer,
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
  FaultRecord,
} from '../../../../ports/enforcer.ts';
import type { ByteStream, Clock, Log, StreamNetwork } from '../../../../ports/world.ts';
import { Notebook } from '../../notebook.ts';
import { InputHold, parseEvents, shareOf } from './qmp-input.ts';
import { CALLERS_MAX, type GuestState, QmpLink } from './qmp-link.ts';

/** Most connected programs per bundle: the present one, and its replacement. */
const FEEDERS_MAX = 4;
/** Most runs of one bundle, including the present one: it and repetitions. More indicate a bug. */
const RUNS_MAX = 8;
/** Events kept before there is a listener. */
const EARLY_EVENTS_MAX = 32;

export interface QmpOptions {
  readonly bundles: readonly BundleDefinition[];
  /** VM → address of its QMP socket. */
  readonly vms: ReadonlyMap<VmId, string>;
  /** Bundle → address for its input events. */
  readonly inputs: ReadonlyMap<BundleId, string>;
  readonly limitMs: number;
  /** Differs at each start of the host. */
  readonly machineBoot: string;
  readonly network: StreamNetwork;
  readonly clock: Clock;
  readonly log: Log;
}

/** Opens the enforcer. Calls `done` once every QEMU has answered or is absent, and all inputs are listened on. */
export function openQmpEnforcer(options: QmpOptions, done: (result: QmpEnforcer | Error) => void): void {
  const enforcer = new QmpEnforcer(options);
  enforcer.open((error) => {
    if (error) enforcer.close();
    done(error ?? enforcer);
  });
}

interface Run {
  readonly calls: readonly EnforcerCall[];
  readonly done: (answers: readonly EnforcerAnswer[]) => void;
}

export class QmpEnforcer implements Enforcer {
  readonly #options: QmpOptions;
  readonly #notebook: Notebook;
  readonly #links = new Map<VmId, QmpLink>();
  /** The hold that gets the events of a bundle. */
  readonly #holds = new Map<BundleId, { readonly vm: VmId; readonly hold: InputHold }>();
  /** Holds that were fenced and have not settled. */
  readonly #leaving = new Map<BundleId, Set<InputHold>>();
  /** By bundle: the present run, and those that wait for it. */
  readonly #runs = new Map<BundleId, Run[]>();
  readonly #stops: (() => void)[] = [];
  /** VMs that ran at the start. Later changes before there is a listener are reported to the listener. */
  #runningAtFirst: readonly VmId[] = [];
  #early: EnforcerEvent[] = [];
  #isOpen = false;
  #listener: ((event: EnforcerEvent) => void) | undefined;

  constructor(options: QmpOptions) {
    this.#options = options;
    this.#notebook = new Notebook(options.bundles, 'blocked');
    const { limitMs, network, clock, log } = options;
    for (const [vm, address] of options.vms) {
      const onState = (state: GuestState) => this.#lived(vm, state);
      this.#links.set(vm, new QmpLink({ vm, address, limitMs, network, clock, log, onState }));
    }
  }

  open(done: (error: Error | undefined) => void): void {
    let left = this.#links.size + this.#options.inputs.size + 1;
    let failed: Error | undefined;
    const one = (error?: Error) => {
      failed ??= error;
      left -= 1;
      if (left > 0) return;
      this.#runningAtFirst = this.#alive((state) => state === 'running');
      this.#isOpen = true;
      for (const vm of this.#alive((state) => state === 'waiting')) this.#tell({ kind: 'vmStarting', vm });
      done(failed);
    };
    for (const link of this.#links.values()) link.start(() => one());
    for (const [bundle, address] of this.#options.inputs) {
      let feeders = 0;
      const onConnection = (stream: ByteStream) => {
        if (feeders >= FEEDERS_MAX) return stream.close();
        feeders += 1;
        this.#feed(bundle, stream, () => {
          feeders -= 1;
        });
      };
      this.#stops.push(this.#options.network.listen(address, onConnection, one));
    }
    one();
  }

  describe(): EnforcerDescription {
    return {
      name: 'qmp',
      kind: 'central',
      evidence: 'asserted',
      capabilities: {
        forceRevoke: true,
        reset: false,
        faultReport: false,
      },
    };
  }

  machineBoot(): string {
    return this.#options.machineBoot;
  }

  running(): readonly VmId[] {
    return this.#listener ? this.#alive((state) => state === 'running') : this.#runningAtFirst;
  }

  run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    const runs = this.#runs.get(bundle) ?? [];
    if (runs.length >= RUNS_MAX)
      return done([{ ok: false, error: `${bundle}: ${RUNS_MAX} runs wait already` }]);
    runs.push({ calls, done });
    this.#runs.set(bundle, runs);
    if (runs.length === 1) this.#next(bundle, runs);
  }

  faults(): readonly FaultRecord[] {
    return [];
  }

  acknowledgeStart(vm: VmId): void {
    this.#links.get(vm)?.release();
  }

  /** A QEMU that ends frees its memory without asking. */
  acknowledgeExit(): void {}

  onEvent(listener: (event: EnforcerEvent) => void): void {
    this.#listener = listener;
    for (const event of this.#early.splice(0)) listener(event);
  }

  close(): void {
    this.#listener = undefined;
    for (const stop of this.#stops.splice(0)) stop();
    for (const link of this.#links.values()) link.close();
  }

  /** Carries out the runs of a bundle, one after the other. */
  #next(bundle: BundleId, runs: Run[]): void {
    const [run] = runs;
    if (run === undefined) return void this.#runs.delete(bundle);
    const answers: EnforcerAnswer[] = [];
    const step = (): void => {
      const call = run.calls[answers.length];
      if (call === undefined || answers.some(({ ok }) => !ok)) {
        run.done(answers);
        runs.shift();
        return this.#next(bundle, runs);
      }
      this.#carryOut(bundle, call, (answer) => {
        answers.push(answer);
        step();
      });
    };
    step();
  }

  #carryOut(bundle: BundleId, call: EnforcerCall, done: (answer: EnforcerAnswer) => void): void {
    const alive = this.#alive((state) => state !== 'none');
    const note = () => this.#notebook.note(bundle, call, alive);
    if (call.op === 'settle') {
      return this.#settle(bundle, () => {
        const answer = note();
        done(answer.ok ? { ...answer, syncs: 1 } : answer);
      });
    }
    const answer = note();
    if (answer.ok && call.op === 'fence') this.#end(bundle);
    if (answer.ok && call.op === 'grant') this.#begin(bundle);
    if (answer.ok && call.op === 'drained') return done({ ok: true, idle: !this.#leaving.has(bundle) });
    done(answer);
  }

  /** When all of a bundle is granted, its events go to the holder. */
  #begin(bundle: BundleId): void {
    const vm = this.#notebook.holderOf(bundle);
    const link = vm && this.#links.get(vm);
    if (!link || this.#holds.get(bundle)?.vm === vm) return;
    const hold = new InputHold(
      (events, done) => link.execute('input-send-event', { events }, done),
      // One hold of a bundle sends at a time: a grant requires that the previous one has settled.
      shareOf(CALLERS_MAX, this.#options.bundles.length),
      (text) => this.#options.log('warn', text, { vm, bundle }),
    );
    this.#holds.set(bundle, { vm, hold });
  }

  /** From here on the holder gets no more events of this bundle. */
  #end(bundle: BundleId): void {
    const held = this.#holds.get(bundle);
    if (!held) return;
    this.#holds.delete(bundle);
    held.hold.end();
    const leaving = this.#leaving.get(bundle) ?? new Set();
    this.#leaving.set(bundle, leaving.add(held.hold));
  }

  #settle(bundle: BundleId, done: () => void): void {
    const [hold] = this.#leaving.get(bundle) ?? [];
    if (!hold) return done();
    hold.settle(() => {
      const leaving = this.#leaving.get(bundle);
      leaving?.delete(hold);
      if (leaving?.size === 0) this.#leaving.delete(bundle);
      this.#settle(bundle, done);
    });
  }

  /** A guest started or ended: its grants are void. */
  #lived(vm: VmId, state: GuestState): void {
    if (state === 'none') {
      this.#notebook.forget(vm);
      for (const [bundle, held] of this.#holds) if (held.vm === vm) this.#end(bundle);
    }
    if (this.#isOpen) this.#tell({ kind: state === 'none' ? 'vmExited' : 'vmStarting', vm });
  }

  #tell(event: EnforcerEvent): void {
    if (this.#listener) this.#listener(event);
    else if (this.#early.length < EARLY_EVENTS_MAX) this.#early.push(event);
  }

  #alive(isMeant: (state: GuestState) => boolean): VmId[] {
    return [...this.#links].filter(([, link]) => isMeant(link.state)).map(([vm]) => vm);
  }

  /** Accepts events from a program that reads the device. It gets no answer, since it may not read. */
  #feed(bundle: BundleId, stream: ByteStream, onEnd: () => void): void {
    let isBad = false;
    const bad = (error: string) => {
      if (!isBad) this.#options.log('warn', `input is not understood: ${error}`, { bundle });
      isBad = true;
    };
    new Lines(stream, {
      onLine: (line) => {
        const events = parseEvents(line);
        if (events) this.#holds.get(bundle)?.hold.pass(events);
        else bad('expected {"events":[…]} as QMP’s input-send-event takes them');
      },
      onBad: bad,
      onClose: () => {
        onEnd();
        // No program will report the release of pressed keys any more.
        this.#holds.get(bundle)?.hold.releaseAll();
      },
    });
  }
}
