/** Breadth-first search over all worlds within a budget, with the properties checked in every one. */

import { NO_QUESTION } from '../../src/core/agent/question.ts';
import type { HostEndpointState } from '../../src/core/host/host-endpoint-state.ts';
import type { ConsentClaims } from '../../src/core/protocol/message-parts.ts';
import { checkStable } from './properties.ts';
import { BUNDLE, VM_OF } from './settings.ts';
import { describeWorld, movesOf, runFairly } from './transitions.ts';
import { type AgentWorld, type Envelope, type Job, NONE, type World } from './world.ts';

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
  const calm = new Set<string>();
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

/** The fair run from a world joins one that was run before, mostly at once. */
function checkFairly(world: World, calm: Set<string>): void {
  const first = key(world, NONE);
  if (calm.has(first)) return;
  const passed = [first];
  runFairly(world, (at) => {
    const hash = key(at, NONE);
    if (passed.length > 1 && calm.has(hash)) return true;
    passed.push(hash);
    return false;
  });
  for (const hash of passed) calm.add(hash);
}

/**
 * All that matters of a world: a number for each part of it, where equal parts have the same number. Proofs and
 * digests follow from the rest. `budget`: as if this were left.
 */
function key(world: World, budget: World['budget'] = world.budget): string {
  const { o, b, endpoint, host, disk, older, job, orphan } = world;
  const net = world.net.map((envelope) => envelopeText(envelope, world)).sort();
  const diskId = idOf(disk.state, plain);
  const parts = [
    idOf(o, agentText),
    idOf(b, agentText),
    host === disk.state ? diskId : host ? idOf(host, plain) : 0,
    endpoint ? idOf(endpoint, hostText) : 0,
    diskId,
    older === disk.state ? diskId : idOf(older, plain),
    world.hostBoot,
    job ? idOf(job, jobText) : 0,
    orphan ? idOf(orphan, jobText) : 0,
    idOf(world.hostTimers, String),
    idOf(world.machine, machineText),
    idOf(budget, valuesText),
  ];
  return `${parts.join()},${seldomText(world)},${net.join('+')}`;
}

/** What seldom changes from one world to the next, with the parts that it was made of last. */
const seldom: { parts: readonly unknown[]; text: string } = { parts: [], text: '' };

function seldomText({ incarnations, running, starting, exiting, ghost }: World): string {
  const parts = [incarnations, running, starting, exiting, ghost];
  if (parts.every((part, index) => part === seldom.parts[index])) return seldom.text;
  seldom.parts = parts;
  const names = [running, starting, exiting].map((vms) => idOf(vms, String));
  seldom.text = [idOf(incarnations, valuesText), ...names, idOf(ghost, ghostText)].join();
  return seldom.text;
}

/** Parts of worlds are never changed, so what says all of one is made once, and numbered by what it says. */
const ids = new WeakMap<object, number>();
const numbered = new Map<string, number>();

function idOf<T extends object>(part: T, textOf: (part: T) => string): number {
  const known = ids.get(part);
  if (known !== undefined) return known;
  const text = textOf(part);
  const id = numbered.get(text) ?? numbered.size + 1;
  numbered.set(text, id);
  ids.set(part, id);
  return id;
}

/** A challenge says no more than whether it is that of the question which is open. */
function envelopeText(envelope: Envelope, { o, b }: World): string {
  const id = idOf(envelope, ({ from, to, message }) => `${from}>${to}${message.kind}${plain(message)}`);
  const { message } = envelope;
  if (!('challenge' in message)) return `${id}`;
  const number = new DataView(message.challenge.buffer).getUint32(0);
  const asker = message.kind === 'queryState' ? envelope.from : envelope.to;
  const { endpoint } = asker === VM_OF.o ? o : b;
  return `${id}${number === endpoint?.questions[BUNDLE.id]?.open ? '?' : ''}`;
}

/** What the host knows besides its bundle. */
function hostText({ exits, bounds, isBeating }: HostEndpointState): string {
  return `${exits.map((exit) => `${exit.vm}${exit.incarnation}${exit.bundles}`)}|${bounds.epochs}|${isBeating}`;
}

const machineText = (machine: World['machine']): string => machine.map((r) => `${r.now}/${r.stale}`).join();
const jobText = (job: Job): string => `${job.phase}${job.epoch}${job.to}${job.left.length}`;
const valuesText = (values: object): string => Object.values(values).join();
const ghostText = (ghost: World['ghost']): string =>
  `${ghost.epoch}|${Object.entries(ghost.grants)}|${ghost.rejected}`;

function agentText(agent: AgentWorld<NonNullable<(World['o'] | World['b'])['state']>>): string {
  const { state, endpoint, timers, hook, inspecting, driverActive } = agent;
  const driver = `${hook?.name}${hook?.epoch};${inspecting}${driverActive}`;
  if (!state || !endpoint) return `dead;${driver}`;
  const { watch, isAsleep, falling } = endpoint;
  const { open, waits } = endpoint.questions[BUNDLE.id] ?? NO_QUESTION;
  const token = watch.token?.bytes[0];
  const whole = `${open > 0},${waits},${token},${watch.sinceMs},${watch.isSilent},${isAsleep}${falling !== undefined}`;
  return `${plain(state)};${whole};${timers};${driver}`;
}

/** Fields that follow from others, or that nothing in the model depends on. */
const SKIPPED = new Set([
  'proof',
  'digest',
  'purpose',
  'granted',
  'challenge',
  'running',
  'startedMs',
  'requests',
  'number',
]);

const consentText = ({ claims }: { readonly claims: ConsentClaims }): string =>
  `c${claims.epoch}.${claims.incarnation}.${claims.hostTime[0]}.${claims.leaseMs}`;

function plain(value: object): string {
  let text = '';
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined) continue;
    // Of what was consented to the number of the request and the lease say all.
    if (name === 'terms') text += `t${field.requestId}.${field.leaseMs}`;
    else if (name === 'consent') text += consentText(field as { claims: ConsentClaims });
    else if (SKIPPED.has(name)) text += name === 'granted' ? `g${field.epoch}` : field ? '+' : '-';
    else text += typeof field === 'object' && field !== null ? `(${plain(field)})` : `${field},`;
  }
  return text;
}
