/** What the host of the checker's world does, and the enforcer under it; and how a world begins. */

import type { HostEndpointState } from '../../src/core/host/host-endpoint-state.ts';
import type { HostFact, HostOrder } from '../../src/core/host/host-facts.ts';
import type { HostState } from '../../src/core/host/host-state.ts';
import { type Epoch, HOST, type VmId } from '../../src/core/protocol/ids.ts';
import type { Message } from '../../src/core/protocol/messages.ts';
import { answer, applyCall, checkGrant, checkHostStep, Violation } from './properties.ts';
import { BROKEN, BUNDLE, endpoints, isTimeless, O, SETTINGS } from './settings.ts';
import { BOUNDS, type Budget, type Disk, emptyWorld, envelopeOf, seen, send, type World } from './world.ts';
import { feedAgent, startAgent } from './world-agents.ts';

/** The host has given the bundle to its owner, under epoch 1, and both agents are about to start. */
export function initialWorld(budget: Budget): World {
  let world = startHost(emptyWorld(budget), undefined);
  while (world.job) world = runCall(world, false);
  const confirm: Message = { kind: 'confirm', bundle: BUNDLE.id, epoch: 1 as Epoch };
  world = feedHost(world, { on: 'message', nowMs: 0, from: O, message: confirm });
  return startAgent(startAgent({ ...world, net: [], older: world.disk.state }, 'o'), 'b');
}

/** Feeds a fact to the host, as feedAgent does. `ordersMax`: the process dies after so many of its orders. */
export function feedHost(world: World, fact: HostFact, ordersMax = Number.POSITIVE_INFINITY): World {
  const facts = [fact];
  let next = world;
  let done = 0;
  for (let i = 0; i < facts.length; i++) {
    if (!next.endpoint) return next;
    const before = next.host;
    const { orders, endpoint } = stepHost(next.endpoint, facts[i]!);
    const host = endpoint.bundles[BUNDLE.id];
    next = {
      ...next,
      endpoint,
      host,
      incarnations: merged(next.incarnations, endpoint.registry.incarnations),
    };
    if (host) {
      checkHostStep(next, before, host, facts[i]!);
      next = granted(next, before, host);
    }
    for (const order of orders) {
      if (done++ >= ordersMax) return crashHost(next, false);
      next = performHost(next, order, (more) => facts.push(more));
    }
  }
  return next;
}

/** What a fact brings about at the host: it depends on its endpoint and the fact alone. */
function stepHost(before: HostEndpointState, fact: HostFact): HostStep {
  const { host, memo } = endpoints();
  return memo.result(`h${memo.numberOf(before)}${memo.textOf(fact)}`, () => {
    host.state = before;
    const orders = host.step(fact);
    for (const order of orders) if (order.do === 'step') for (const row of order.rows) seen.add(`h:${row}`);
    // What is told to people leaves nothing behind.
    const lasting = orders.filter((order) => !NEWS.has(order.do));
    return { endpoint: memo.one(host.state), orders: lasting };
  });
}

interface HostStep {
  readonly endpoint: HostEndpointState;
  readonly orders: readonly HostOrder[];
}

/** Adds incarnations, where they are not there already. */
function merged(known: World['incarnations'], more: World['incarnations']): World['incarnations'] {
  return Object.entries(more).every(([vm, incarnation]) => known[vm] === incarnation)
    ? known
    : { ...known, ...more };
}

const NEWS: ReadonlySet<string> = new Set([
  'step',
  'audit',
  'handover',
  'phase',
  'vm',
  'drop',
  'fault',
  'strayFault',
]);

/** S4: an epoch makes one incarnation the holder, once and for all. */
function granted(world: World, before: HostState | undefined, after: HostState): World {
  if (after.name !== 'held' || before?.holder?.epoch === after.holder!.epoch) return world;
  const { vm, incarnation, epoch } = after.holder!;
  const { grants } = world.ghost;
  if (grants[epoch] !== undefined && grants[epoch] !== `${vm}#${incarnation}`)
    throw new Violation(`S4: epoch ${epoch} was granted to ${grants[epoch]} and to ${vm}#${incarnation}`);
  return { ...world, ghost: { ...world.ghost, grants: { ...grants, [epoch]: `${vm}#${incarnation}` } } };
}

function performHost(world: World, order: HostOrder, feed: (fact: HostFact) => void): World {
  switch (order.do) {
    case 'send':
      if (order.message.kind === 'heartbeat') return world;
      return send(allocated(world), envelopeOf(HOST, order.to, order.message));
    case 'record': {
      feed({ on: 'recorded', nowMs: 0, bundle: BUNDLE.id });
      if (BROKEN.present.isForgetful && world.disk.state) return world;
      const older = SETTINGS.present.losesRecords ? (world.disk.state ?? order.state) : order.state;
      return { ...world, disk: { ...world.disk, state: order.state }, older };
    }
    case 'recordVms':
      feed({ on: 'recorded', nowMs: 0, bundle: undefined });
      return world;
    case 'writeBounds':
      feed({ on: 'boundsWritten', nowMs: 0, bounds: order.bounds });
      if (BROKEN.present.isForgetful)
        return { ...world, disk: { ...world.disk, bounds: { ...order.bounds, epochs: 0 } } };
      return { ...world, disk: { ...world.disk, bounds: order.bounds } };
    case 'enforce': {
      const { phase, epoch, to, calls } = order;
      return { ...allocated(world), job: { phase, epoch, to, calls, left: calls } };
    }
    case 'timer':
      if (order.bundle === undefined || isTimeless('host', order.timer)) return world;
      return { ...world, hostTimers: [...new Set([...world.hostTimers, order.timer])].sort() };
    case 'stopTimer':
      if (!world.hostTimers.includes(order.timer)) return world;
      return { ...world, hostTimers: world.hostTimers.filter((timer) => timer !== order.timer) };
    case 'acknowledgeExit':
      return letGo(world, order.vm);
    case 'acknowledgeStart':
      return letRun(world, order.vm);
    case 'end':
      throw new Violation(`the host ends: ${order.reason}`);
    default:
      return world;
  }
}

/** An epoch counts as allocated once somebody may have seen it: an agent or the machine. */
function allocated(world: World): World {
  const { host, ghost } = world;
  return !host || host.epoch <= ghost.epoch ? world : { ...world, ghost: { ...ghost, epoch: host.epoch } };
}

/** M5: the VM's memory is free from here on; nothing may reach it or be reached by it. */
function letGo(world: World, vm: VmId): World {
  const reached = world.machine.some((r) => r.now === vm || r.stale === vm);
  if (reached) throw new Violation(`M5: the memory of ${vm} was freed while the bundle could reach it`);
  return { ...world, exiting: world.exiting.filter((other) => other !== vm) };
}

/** A VM runs its first instruction: its agent starts. */
function letRun(world: World, vm: VmId): World {
  if (!world.starting.includes(vm)) return world;
  const next = { ...world, starting: world.starting.filter((other) => other !== vm) };
  return startAgent(next, vm === O ? 'o' : 'b');
}

/** The host process dies: its messages and timers are gone, and with `loses` its last record. The enforcer goes on. */
export function crashHost(world: World, loses: boolean): World {
  const disk = loses ? { ...world.disk, state: world.older } : world.disk;
  return {
    ...world,
    endpoint: undefined,
    host: undefined,
    hostTimers: [],
    disk,
    older: disk.state,
    job: undefined,
    orphan: world.job ?? world.orphan,
    net: world.net.filter(({ from, to }) => from !== HOST && to !== HOST),
  };
}

/** The host process starts again and reads its table. */
export function restartHost(world: World): World {
  const started = startHost(world, world.disk);
  // What nobody let go of is reported again.
  const events = [
    ...world.exiting.map((vm) => ({ on: 'vmExited', nowMs: 0, vm }) as const),
    ...world.starting.map((vm) => ({ on: 'vmStarting', nowMs: 0, vm }) as const),
  ];
  const told = events.reduce((next, event) => feedHost(next, event), started);
  const up = { on: 'sessionUp', nowMs: 0, peer: HOST } as const;
  return feedAgent(feedAgent(told, 'o', up), 'b', up);
}

function startHost(world: World, disk: Disk | undefined): World {
  const registry = {
    machineBoot: 'boot',
    incarnations: world.incarnations as never,
    running: world.running,
    floor: 0,
  };
  const records = disk && { bundles: new Map([[BUNDLE.id, disk.state]]), registry };
  const found = {
    bounds: disk?.bounds,
    records,
    isFirst: disk === undefined,
    machineBoot: 'boot',
    running: world.running,
    freshTableId: BOUNDS.tableId,
  };
  const { host } = endpoints();
  const next: World = { ...world, endpoint: host.initial(), hostBoot: world.hostBoot + 1 };
  return feedHost(next, { on: 'start', nowMs: 0, found });
}

/** Carries out the next call of what a dead host ordered. */
export function runOrphan(world: World): World {
  const orphan = world.orphan!;
  const [call, ...left] = orphan.left;
  const machine = call ? applyCall(world.machine, call) : world.machine;
  if (call?.op === 'grant') checkGrant(machine, call.vm);
  return { ...world, machine, orphan: left.length > 0 ? { ...orphan, left } : undefined };
}

/** Carries out the next call of the running phase; the last one reports to the host. */
export function runCall(world: World, fail: boolean): World {
  const job = world.job!;
  const { phase, epoch, to } = job;
  const answered = { on: 'answers', nowMs: 0, bundle: BUNDLE.id, phase, epoch, to, faults: [] } as const;
  if (fail) {
    const answers = [{ ok: false, error: 'model' } as const];
    return feedHost({ ...world, job: undefined }, { ...answered, answers });
  }
  const [call, ...left] = job.left;
  const machine = call ? applyCall(world.machine, call) : world.machine;
  if (call?.op === 'grant') checkGrant(machine, call.vm);
  const next: World = { ...world, machine, job: { ...job, left } };
  if (left.length > 0) return next;
  const answers = job.calls.map((each) => answer(machine, each));
  return feedHost({ ...next, job: undefined }, { ...answered, answers });
}
