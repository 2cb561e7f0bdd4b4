/** What the parts of a message and of a handover cost inside one process: codec, MAC, session, table step, remap. */

import { BORROWER_TABLE } from '../../../src/core/agent/borrower.ts';
import type { RemapPhase } from '../../../src/core/host/host-state.ts';
import { HOST_TABLE } from '../../../src/core/host/host-table.ts';
import { DEFAULT_MACHINE, HOST, type Incarnation } from '../../../src/core/protocol/ids.ts';
import { openMac0, sealMac0 } from '../../../src/core/wire/cose.ts';
import { createEnvelopeKey } from '../../../src/core/wire/envelope.ts';
import { PROTOCOL_VERSION } from '../../../src/core/wire/limits.ts';
import { SESSION_CODEC } from '../../../src/core/wire/payload.ts';
import { scan } from '../../../src/core/wire/scanner.ts';
import { Session } from '../../../src/core/wire/session.ts';
import type { Enforcer } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL } from '../machine/board.ts';
import { SimulatedMachine } from '../machine/machine.ts';
import { MemoryWorld } from './memory-world.ts';
import { pairKey, VMS } from './parties.ts';
import type { Report } from './report.ts';
import { takeScript } from './script.ts';
import { median } from './statistics.ts';

/** Measurements per figure, and how long each lasts at least, in ms: short enough that pauses hit few of them. */
const SAMPLES = 60;
const SAMPLE_MS = 5;
/** Calls before the first sample: engines compile what is called often. */
const WARM_UP_CALLS = 5_000;
/** Remaps whose phases are timed. */
const REMAPS = 400;

/** Returns the median time of a call in µs. */
function timeOf(call: () => unknown): number {
  for (let calls = 0; calls < WARM_UP_CALLS; calls++) call();
  const samples: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample++) {
    const start = performance.now();
    let [calls, ms] = [0, 0];
    for (; ms < SAMPLE_MS; ms = performance.now() - start) {
      for (let more = 0; more < 100; more++) call();
      calls += 100;
    }
    samples.push((1_000 * ms) / calls);
  }
  return median(samples);
}

/** A short message, one with a consent inside, and one with a proof, as they really travel. */
function messages() {
  const { sendings } = takeScript();
  return ['lend', 'requestBorrow', 'remapped'].map((kind) => {
    const { message, hostTime, from, to } = sendings.find((sending) => sending.message.kind === kind)!;
    const payload = SESSION_CODEC.encode(message, 1_000, hostTime);
    if (!payload.ok) throw new Error(`${kind}: ${payload.reason}`);
    return { kind, message, hostTime, from, to, payload: payload.bytes };
  });
}

/** Scan, decode (the scan is part of it) and encode, per message. */
export function benchCodec(report: Report): void {
  for (const { kind, message, hostTime, payload } of messages()) {
    const add = (what: string, call: () => unknown) =>
      report.add({ bench: 'codec', case: `${what} ${kind}`, value: timeOf(call), unit: 'µs' });
    add('scan', () => scan(payload));
    add('decode', () => SESSION_CODEC.decode(payload));
    add('encode', () => SESSION_CODEC.encode(message, 1_000, hostTime));
  }
}

/** Sealing and opening an envelope, without its content. */
export function benchMac(report: Report): void {
  for (const { kind, from, to, payload } of messages()) {
    const key = createEnvelopeKey(
      pairKey(from, to),
      { from, to, channel: 'm', generation: 1 },
      DEFAULT_MACHINE,
    );
    const frame = sealMac0(key, payload);
    const name = `${kind}, ${payload.length} bytes`;
    report.add({
      bench: 'mac',
      case: `seal ${name}`,
      value: timeOf(() => sealMac0(key, payload)),
      unit: 'µs',
    });
    report.add({ bench: 'mac', case: `open ${name}`, value: timeOf(() => openMac0(key, frame)), unit: 'µs' });
  }
}

/** A message through a session: encoded, sealed, verified, scanned, decoded, its number checked. */
export function benchSession(report: Report): void {
  const [host, owner] = sessions();
  for (const { kind, message, hostTime, from } of messages()) {
    const [sender, receiver] = from === HOST ? [host, owner] : [owner, host];
    const value = timeOf(() => {
      const sealed = sender.seal(message, hostTime);
      if (!sealed.ok || receiver.receive(sealed.frame).message === undefined)
        throw new Error(`${kind} is lost`);
    });
    report.add({ bench: 'session', case: `seal and open ${kind}`, value, unit: 'µs' });
  }
}

/** The two ends of a session that is up. */
function sessions(): [Session, Session] {
  const one = 1 as Incarnation;
  const end = (us: typeof HOST, peer: typeof HOST, fill: number) =>
    new Session({
      us,
      peer,
      pairKeys: pairKey(us, peer),
      bootId: new Uint8Array(16).fill(fill),
      incarnation: one,
      peerIncarnation: us === HOST ? one : (0 as Incarnation),
      versions: { min: PROTOCOL_VERSION, max: PROTOCOL_VERSION },
      bundles: [],
    });
  const [host, owner] = [end(HOST, ANDROID, 1), end(ANDROID, HOST, 2)];
  let [frames, from, to] = [owner.start(new Uint8Array(16).fill(3)), owner, host];
  while (frames.length > 0) {
    const answers = frames.flatMap((frame) => to.receive(frame, new Uint8Array(16).fill(4)).frames);
    [frames, from, to] = [answers, to, from];
  }
  return [host, owner];
}

/** A step of a table, mean over all steps of a handover and its way back. */
export function benchStep(report: Report): void {
  const steps = { host: [] as (() => unknown)[], borrower: [] as (() => unknown)[] };
  let isOn = false;
  const world = new MemoryWorld({
    hostTable: {
      ...HOST_TABLE,
      run: (...seen) => {
        if (isOn) steps.host.push(() => HOST_TABLE.run(...seen));
        return HOST_TABLE.run(...seen);
      },
    },
    borrowerTable: {
      ...BORROWER_TABLE,
      run: (...seen) => {
        if (isOn) steps.borrower.push(() => BORROWER_TABLE.run(...seen));
        return BORROWER_TABLE.run(...seen);
      },
    },
  });
  world.round();
  isOn = true;
  world.round();
  for (const [table, calls] of Object.entries(steps)) {
    const all = () => {
      for (const call of calls) call();
    };
    const value = timeOf(all) / calls.length;
    report.add({ bench: 'step', case: `${table}, mean of ${calls.length}`, value, unit: 'µs' });
  }
}

const PHASES: readonly RemapPhase[] = ['fence', 'settle', 'clean', 'grant'];

/** The phases of a remap on the simulated machine: what the enforcer takes for each. */
export function benchRemap(report: Report): void {
  const machine = new SimulatedMachine({ vms: VMS, bundles: [PANEL], seed: 1 });
  const times = new Map<RemapPhase, number[]>(PHASES.map((phase) => [phase, []]));
  const world = new MemoryWorld({ enforcer: timed(machine.enforcer(), times) });
  for (let round = 0; round < REMAPS / 2; round++) world.round();
  for (const [phase, ms] of times) {
    report.add({ bench: 'remap', case: `${phase}, simulated`, value: 1_000 * median(ms), unit: 'µs' });
  }
}

/** The enforcer, with the time of each phase noted. A phase is known by its first call. */
function timed(enforcer: Enforcer, times: ReadonlyMap<RemapPhase, number[]>): Enforcer {
  return {
    describe: () => enforcer.describe(),
    machineBoot: () => enforcer.machineBoot(),
    running: () => enforcer.running(),
    faults: () => enforcer.faults(),
    acknowledgeStart: (vm) => enforcer.acknowledgeStart(vm),
    acknowledgeExit: (vm) => enforcer.acknowledgeExit(vm),
    onEvent: (listener) => enforcer.onEvent(listener),
    close: () => enforcer.close(),
    run: (bundle, calls, done) => {
      const op = calls[0]?.op;
      const phase = op === 'reset' || op === 'drained' ? 'clean' : op;
      const start = performance.now();
      enforcer.run(bundle, calls, (answers) => {
        times.get(phase as RemapPhase)?.push(performance.now() - start);
        done(answers);
      });
    },
  };
}
