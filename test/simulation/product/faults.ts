/**
 * What can go wrong in the world of the product, each by name, and the phases of a handover in which it can.
 *
 * A fault waits for its phase of its bundle, so that every kind meets every phase, and ends after a while by itself.
 */

import { type BundleId, HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import type { Random } from '../../../targets/lab/machine/random.ts';
import type { Shown } from './client.ts';
import { BUNDLES, type ProductWorld, VMS } from './world.ts';

/** Phases of a bundle, as host, its owner's agent and its enforcer show them. */
export const PHASES = [
  'owner holds',
  'owner decides',
  'owner suspends',
  'fence',
  'settle',
  'clean',
  'grant',
  'borrower resumes',
  'borrower holds',
  'borrower suspends',
  'owner resumes',
  'parked',
  'quarantined',
  'host starts',
  'host is dead',
] as const;
export type Phase = (typeof PHASES)[number];

/** One thing that goes wrong. */
export interface Fault {
  readonly kind: FaultKind;
  readonly bundle: BundleId;
  readonly phase: Phase;
  /** How often the phase is passed before, and how long in it until the fault, in ms. */
  readonly passes: number;
  readonly delayMs: number;
  /** How long it lasts, in ms, where it lasts. */
  readonly forMs: number;
  /** Who it befalls, where it befalls somebody. */
  readonly vm: VmId;
  /** Effects that a process still has before it dies. */
  readonly effects: number;
}

type Start = (world: ProductWorld, fault: Fault) => undefined | (() => void);

const OPERATIONS: Readonly<Record<string, Phase>> = {
  fence: 'fence',
  settle: 'settle',
  reset: 'clean',
  drained: 'clean',
  grant: 'grant',
  inspect: 'grant',
};

/** Each kind: begins, and returns what ends it. */
const KINDS = {
  'frames are lost': (world) => network(world, { loss: 0.3 }),
  'frames arrive twice': (world) => network(world, { duplicate: 0.6 }),
  'frames are reordered': (world) => network(world, { delayMaxMs: 60 }),
  'a party is cut off': (world, { vm, effects }) => cut(world, [effects === 0 ? HOST : vm]),
  'the broker restarts': (world) => cut(world, [HOST, ...VMS]),
  'old frames are replayed': (world) => {
    for (const { from, to, frame } of [...world.frames])
      if (world.random(3) === 0) world.network.inject(from, to, frame);
    return undefined;
  },
  'an agent dies': (world, { vm, effects }) => {
    world.agents.get(vm)?.process.killAfter(effects);
    return undefined;
  },
  'the host dies': (world, { effects }) => {
    world.host?.process.killAfter(effects);
    return undefined;
  },
  'an agent is stopped': (world, { vm }) => stop([world.agents.get(vm)?.process]),
  'the host is stopped': (world) => stop([world.host?.process]),
  'the machine sleeps': (world) =>
    stop([world.host?.process, ...VMS.map((vm) => world.agents.get(vm)?.process)]),
  'a VM ends': (world, { vm, forMs }) => {
    if (world.exitVm(vm)) world.clock.after(forMs, () => !world.guests.has(vm) && world.startVm(vm));
    return undefined;
  },
  'the power fails': (world) => {
    world.losePower();
    return undefined;
  },
  'the table is damaged': (world) => {
    world.host?.process.kill();
    world.disk.damage('table.journal');
    world.disk.damage('table.journal.after-loss');
    return undefined;
  },
  'the disk is full': (world) => {
    world.disk.isFull = true;
    return () => {
      world.disk.isFull = false;
    };
  },
  'calls of the enforcer fail': (world) => enforcer(world, { failPercent: 60 }),
  'the enforcer is slow': (world) => enforcer(world, { slowMs: 150 }),
  'the enforcer answers too late': (world, { forMs }) => enforcer(world, { lateMs: 2_000 + forMs }),
  'hooks fail': (world, { vm }) => drivers(world, vm, { failPercent: 70 }),
  'hooks hang': (world, { vm }) => drivers(world, vm, { slowMs: 1_500 }),
  'a driver lies': (world, { vm }) => drivers(world, vm, { isLying: true }),
  'a VM floods': (world, { vm }) => hostile(world, vm, 300),
  'the owner is hostile': (world, { bundle }) => hostile(world, ownerOf(bundle), 0),
  'a borrower is hostile': (world, { bundle, vm }) =>
    hostile(world, vm === ownerOf(bundle) ? VMS.find((other) => other !== vm)! : vm, 0),
} satisfies Record<string, Start>;
export type FaultKind = keyof typeof KINDS;
export const FAULT_KINDS = Object.keys(KINDS) as FaultKind[];

/** Begins a fault. It ends by itself, or when the returned function is called. */
export function begin(world: ProductWorld, fault: Fault): () => void {
  world.say(`fault: ${fault.kind} (${fault.vm}, ${fault.phase} of ${fault.bundle})`);
  const end = (KINDS[fault.kind] as Start)(world, fault);
  let isOver = false;
  const over = () => {
    if (isOver) return;
    isOver = true;
    end?.();
  };
  world.clock.after(fault.forMs, over);
  return over;
}

/** The phase in which a bundle is. */
export function phaseOf(
  world: ProductWorld,
  bundle: BundleId,
  view: Shown | undefined = world.hostView(bundle),
): Phase {
  if (view === undefined) return 'host is dead';
  if (view.state === 'moving') return OPERATIONS[world.operation] ?? 'clean';
  if (view.state === 'parked' || view.state === 'quarantined') return view.state;
  if (view.state !== 'held') return 'host starts';
  if (view.holder !== view.owner) {
    const state = world.agentView(view.holder!, bundle)?.state;
    if (state === 'suspending' || state === 'releasing') return 'borrower suspends';
    return view.confirmed ? 'borrower holds' : 'borrower resumes';
  }
  const state = world.agentView(view.owner, bundle)?.state;
  if (state === 'offering' || state === 'preparing') return 'owner decides';
  if (state === 'suspending') return 'owner suspends';
  return view.confirmed && state === 'held' ? 'owner holds' : 'owner resumes';
}

/** What brings a bundle into a phase that is rare by itself. */
const OPENERS: Partial<Record<Phase, FaultKind>> = {
  quarantined: 'calls of the enforcer fail',
  'host starts': 'the host dies',
  'host is dead': 'the host dies',
  parked: 'a VM ends',
};
/** Time that an opener lasts, in ms: until a borrower’s return has failed for good. */
const OPENER_MS = 1_000;
/** Longest time for which something is wrong, in ms: longer than each wait of the protocol. */
const TIMES_MS = [5, 50, 300, 1_000, 4_000];

/** Faults of the run of a seed. The first ones of many seeds go through all kinds in all phases. */
export function drawFaults(seed: number, random: Random, count: number): Fault[] {
  const pick = <T>(list: readonly T[]): T => list[random(list.length)]!;
  const fault = (kind: FaultKind, phase: Phase): Fault => ({
    kind,
    phase,
    bundle: pick(BUNDLES).id,
    passes: random(2),
    delayMs: random(2) * random(4),
    forMs: pick(TIMES_MS),
    vm: pick(VMS),
    effects: random(4),
  });
  const cell = seed % (FAULT_KINDS.length * PHASES.length);
  const kind = FAULT_KINDS[cell % FAULT_KINDS.length]!;
  const phase = PHASES[Math.floor(cell / FAULT_KINDS.length)]!;
  const first = { ...fault(kind, phase), passes: 0 };
  const opener = OPENERS[phase];
  const opened = opener
    ? [{ ...fault(opener, 'clean'), passes: 2, forMs: OPENER_MS, bundle: first.bundle }]
    : [];
  return [first, ...opened, ...Array.from({ length: count }, () => fault(pick(FAULT_KINDS), pick(PHASES)))];
}

const ownerOf = (bundle: BundleId): VmId => BUNDLES.find(({ id }) => id === bundle)!.owner;

function network({ network }: ProductWorld, faults: object): () => void {
  network.faults = { ...network.faults, ...faults };
  return () => {
    network.faults = { loss: 0, duplicate: 0, delayMinMs: 0.2, delayMaxMs: 1 };
  };
}

function cut({ network }: ProductWorld, parties: readonly VmId[]): () => void {
  for (const party of parties) network.setCut(party, true);
  return () => {
    for (const party of parties) network.setCut(party, false);
  };
}

function stop(processes: readonly ({ stop(): void; goOn(): void } | undefined)[]): () => void {
  for (const process of processes) process?.stop();
  return () => {
    for (const process of processes) process?.goOn();
  };
}

function enforcer({ enforcer }: ProductWorld, faults: object): () => void {
  Object.assign(enforcer.faults, faults);
  return () => Object.assign(enforcer.faults, { failPercent: 0, slowMs: 0, lateMs: 0 });
}

function drivers(world: ProductWorld, vm: VmId, faults: object): () => void {
  const guest = world.guests.get(vm);
  Object.assign(guest?.faults ?? {}, faults);
  return () => Object.assign(guest?.faults ?? {}, { failPercent: 0, slowMs: 0, isLying: false });
}

function hostile(world: ProductWorld, vm: VmId, frames: number): () => void {
  world.setHostile(vm, true);
  if (frames > 0) world.clock.after(100, () => world.agents.get(vm)?.hostile?.flood(frames));
  return () => world.setHostile(vm, false);
}
