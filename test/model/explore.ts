/** Breadth-first search over all worlds within a budget, with the properties checked in every one. */

import type { Message } from '../../src/protocol/index.ts';
import { consentMark } from '../../src/protocol/messages.ts';
import { checkStable } from './properties.ts';
import { describeWorld, movesOf, runFairly } from './transitions.ts';
import type { AgentWorld, Job, World } from './world.ts';

/** What a search found. */
export interface Explored {
  readonly states: number;
  readonly transitions: number;
  /** Named situations, and how many states show them. */
  readonly sometimes: ReadonlyMap<string, number>;
  readonly violation?: { readonly error: string; readonly path: readonly string[] };
}

/** A situation that must occur, or the search proves nothing. */
export type Situation = readonly [name: string, holds: (world: World) => boolean];

interface Node {
  readonly world: World;
  readonly parent: number;
  readonly label: string;
}

/** Explores from `start`; stops at the first violation or after `statesMax` states. */
export function explore(start: World, situations: readonly Situation[], statesMax: number): Explored {
  const nodes: Node[] = [{ world: start, parent: -1, label: 'start' }];
  const known = new Set([key(start)]);
  const calm = new Set<number>();
  const sometimes = new Map(situations.map(([name]) => [name, 0]));
  let transitions = 0;
  const pathTo = (index: number, last?: string): string[] => {
    const path = last ? [last] : [];
    for (let i = index; i >= 0; i = nodes[i]!.parent) path.unshift(nodes[i]!.label);
    return path;
  };
  for (let index = 0; index < nodes.length; index++) {
    const { world } = nodes[index]!;
    try {
      checkStable(world);
      checkFairly(world, calm);
    } catch (error) {
      return {
        states: nodes.length,
        transitions,
        sometimes,
        violation: { error: `${(error as Error).message}\n at ${describeWorld(world)}`, path: pathTo(index) },
      };
    }
    for (const [name, holds] of situations) if (holds(world)) sometimes.set(name, sometimes.get(name)! + 1);
    for (const move of movesOf(world)) {
      transitions += 1;
      let next: World;
      try {
        next = move.to();
      } catch (error) {
        return {
          states: nodes.length,
          transitions,
          sometimes,
          violation: { error: `${(error as Error).stack}`, path: pathTo(index, move.label) },
        };
      }
      const hash = key(next);
      if (known.has(hash)) continue;
      known.add(hash);
      if (nodes.length >= statesMax)
        return {
          states: nodes.length,
          transitions,
          sometimes,
          violation: { error: `more than ${statesMax} states`, path: [] },
        };
      nodes.push({ world: next, parent: index, label: move.label });
    }
  }
  return { states: nodes.length, transitions, sometimes };
}

/** The fair run from a world joins one that was run before, mostly after a step or two. */
function checkFairly(world: World, calm: Set<number>): void {
  const passed: number[] = [];
  runFairly(world, (at) => {
    const hash = key(at);
    if (calm.has(hash)) return true;
    passed.push(hash);
    return false;
  });
  for (const hash of passed) calm.add(hash);
}

/** 53 bits of hash: among a million states, two share one with probability 6e-5. */
function key(world: World): number {
  const text = canonical(world);
  let h1 = 0xdeadbeef;
  let h2 = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    h1 = Math.imul(h1 ^ c, 2_654_435_761);
    h2 = Math.imul(h2 ^ c, 1_597_334_677);
  }
  h1 = Math.imul(h1 ^ (h1 >>> 16), 2_246_822_507) ^ Math.imul(h2 ^ (h2 >>> 13), 3_266_489_909);
  h2 = Math.imul(h2 ^ (h2 >>> 16), 2_246_822_507) ^ Math.imul(h1 ^ (h1 >>> 13), 3_266_489_909);
  return 4_294_967_296 * (2_097_151 & (h2 >>> 0)) + (h1 >>> 0);
}

/** All that matters of a world, as text. Proofs and digests follow from the rest. */
function canonical(world: World): string {
  const { o, b, host, disk, durable, job, orphan, machine, budget } = world;
  const net = world.net.map(({ from, to, message }) => `${from}>${to}${messageKey(message)}`).sort();
  return [
    agentKey(o),
    agentKey(b),
    host ? hostKey(host) : 'dead',
    hostKey(disk),
    durable === disk ? '' : hostKey(durable),
    world.hostTimers,
    world.hostBoot,
    net,
    machine.map((r) => `${r.now}/${r.stale}`),
    jobKey(job),
    jobKey(orphan),
    Object.values(world.lives),
    world.running,
    world.exiting,
    world.ghost.epoch,
    Object.entries(world.ghost.grants),
    world.ghost.rejected,
    Object.values(budget),
  ].join('|');
}

function jobKey(job: Job | undefined): string {
  return job ? `${job.phase}${job.epoch}${job.to}${job.left.length}` : '';
}

function agentKey(agent: AgentWorld<NonNullable<(World['o'] | World['b'])['state']>>): string {
  const { state, timers, hook, inspecting, driverActive } = agent;
  return `${state ? plain(state) : 'dead'};${timers};${hook?.name}${hook?.epoch};${inspecting}${driverActive}`;
}

function hostKey(host: NonNullable<World['host']>): string {
  return plain(host);
}

/** Fields that follow from others, or that nothing in the model depends on. */
const SKIPPED = new Set(['proof', 'digest', 'purpose', 'granted', 'challenge', 'running', 'startedMs']);

/** States and messages are never changed, so their text is made once. */
const texts = new WeakMap<object, string>();

function plain(value: object): string {
  const known = texts.get(value);
  if (known !== undefined) return known;
  let text = '';
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue;
    // Of what was consented to the mark says all; before it is sealed, the lease does.
    if (name === 'terms') text += `t${field.mark ?? field.leaseMs}`;
    else if (name === 'consent') text += `c${consentMark(field)}`;
    else if (SKIPPED.has(name)) text += name === 'granted' ? `g${field.epoch}` : field ? '+' : '-';
    else text += typeof field === 'object' && field !== null ? `(${plain(field)})` : `${field},`;
  }
  texts.set(value, text);
  return text;
}

function messageKey(message: Message): string {
  return `${message.kind}${plain(message)}`;
}
