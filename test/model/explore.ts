/** Breadth-first search over all worlds within a budget, with the properties checked in every one. */

import { NO_QUESTION } from '../../src/core/agent/question.ts';
import type { HostEndpointState } from '../../src/core/host/host-endpoint-state.ts';
import type { ConsentClaims } from '../../src/core/protocol/message-parts.ts';
import { type Fingerprint, FingerprintSet, fingerprintOf } from './fingerprints.ts';
import { checkStable } from './properties.ts';
import { BUNDLE, VM_OF } from './settings.ts';
import { describeWorld, movesOf, runFairly } from './transitions.ts';
import type { AgentWorld, Envelope, Job, World } from './world.ts';

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

/** Explores from `start`; stops at the first violation or after `statesMax` states. */
export function explore(start: World, situations: readonly Situation[], statesMax: number): Explored {
  const reached = new Reached(start);
  const calm = new FingerprintSet();
  const sometimes = new Map(situations.map(([name]) => [name, 0]));
  let transitions = 0;
  const found = () => ({ states: reached.states, transitions, sometimes });
  const violated = (error: string, path: readonly string[]) => ({ ...found(), violation: { error, path } });
  for (let index = 0; index < reached.states; index++) {
    const { world, place } = reached.take(index);
    try {
      checkStable(world);
      checkFairly(world, place, calm);
    } catch (error) {
      return violated(`${(error as Error).message}\n at ${describeWorld(world)}`, reached.pathTo(index));
    }
    for (const [name, holds] of situations) if (holds(world)) sometimes.set(name, sometimes.get(name)! + 1);
    for (const move of movesOf(world)) {
      transitions += 1;
      let next: World;
      try {
        next = move.to();
      } catch (error) {
        return violated(`${(error as Error).stack}`, [...reached.pathTo(index), move.label]);
      }
      if (!reached.add(next, index, move.label, statesMax))
        return violated(`more than ${statesMax} states`, []);
    }
  }
  return found();
}

/** A world that is still to be looked at. */
interface Pending {
  readonly world: World;
  readonly place: Fingerprint;
}

/** The worlds that were reached, and how. Of those that were looked at only fingerprint and way are kept. */
class Reached {
  readonly #known = new FingerprintSet();
  readonly #pending: (Pending | undefined)[];
  readonly #parents: number[] = [-1];
  /** What led there, by its number: there are few different ones. */
  readonly #labels: number[] = [0];
  readonly #labelTexts = ['start'];
  readonly #labelIds = new Map<string, number>();

  constructor(start: World) {
    const { place, key } = fingerprintsOf(start);
    this.#known.add(key);
    this.#pending = [{ world: start, place }];
  }

  get states(): number {
    return this.#parents.length;
  }

  /** Returns a world, once. */
  take(index: number): Pending {
    const pending = this.#pending[index]!;
    this.#pending[index] = undefined;
    return pending;
  }

  /** Adds a world unless it is known. Returns false when that would be more than `statesMax`. */
  add(world: World, parent: number, label: string, statesMax: number): boolean {
    const { place, key } = fingerprintsOf(world);
    if (!this.#known.add(key)) return true;
    if (this.states >= statesMax) return false;
    this.#pending.push({ world, place });
    this.#parents.push(parent);
    this.#labels.push(this.#labelId(label));
    return true;
  }

  /** Labels of the moves that led to a world. */
  pathTo(index: number): string[] {
    const path: string[] = [];
    for (let i = index; i >= 0; i = this.#parents[i]!) path.unshift(this.#labelTexts[this.#labels[i]!]!);
    return path;
  }

  #labelId(label: string): number {
    const known = this.#labelIds.get(label);
    if (known !== undefined) return known;
    const id = this.#labelTexts.push(label) - 1;
    this.#labelIds.set(label, id);
    return id;
  }
}

/** The fair run from a world joins one that was run before, mostly at once. It spends nothing: its place says all. */
function checkFairly(world: World, place: Fingerprint, calm: FingerprintSet): void {
  if (calm.has(place)) return;
  const passed = [place];
  runFairly(world, (at) => {
    const next = fingerprintsOf(at).place;
    if (passed.length > 1 && calm.has(next)) return true;
    passed.push(next);
    return false;
  });
  for (const one of passed) calm.add(one);
}

/** Numbers of the parts of a world, one after the other. */
const parts = new Int32Array(64);

/**
 * All that matters of a world: a number for each part of it, where equal parts have the same number. Proofs and digests
 * follow from the rest. `place`: without what is left of its budget.
 */
function fingerprintsOf(world: World): { readonly place: Fingerprint; readonly key: Fingerprint } {
  const { o, b, endpoint, host, disk, older, job, orphan, net } = world;
  parts[0] = idOf(o, agentText);
  parts[1] = idOf(b, agentText);
  parts[2] = host ? idOf(host, plain) : 0;
  parts[3] = endpoint ? idOf(endpoint, hostText) : 0;
  parts[4] = idOf(disk.state, plain);
  parts[5] = idOf(older, plain);
  parts[6] = world.hostBoot;
  parts[7] = job ? idOf(job, jobText) : 0;
  parts[8] = orphan ? idOf(orphan, jobText) : 0;
  parts[9] = idOf(world.hostTimers, String);
  parts[10] = idOf(world.machine, machineText);
  parts[11] = seldomId(world);
  // Messages are in no order.
  const messages = parts.subarray(12, 12 + net.length);
  for (let i = 0; i < net.length; i++) messages[i] = envelopeId(net[i]!, world);
  if (net.length > 1) messages.sort();
  const count = 12 + net.length;
  const place = fingerprintOf(parts, count);
  parts[count] = -1;
  parts[count + 1] = idOf(world.budget, valuesText);
  return { place, key: fingerprintOf(parts, count + 2) };
}

/** What seldom changes from one world to the next, with the parts that it was made of last. */
const seldom = { parts: [] as readonly unknown[], id: 0 };

function seldomId({ incarnations, running, starting, exiting, ghost }: World): number {
  const now = [incarnations, running, starting, exiting, ghost];
  if (now.every((part, index) => part === seldom.parts[index])) return seldom.id;
  seldom.parts = now;
  const names = [running, starting, exiting].map((vms) => idOf(vms, String));
  seldom.id = idOfText([idOf(incarnations, valuesText), ...names, idOf(ghost, ghostText)].join());
  return seldom.id;
}

/** Parts of worlds are never changed, so what says all of one is made once, and numbered by what it says. */
const ids = new WeakMap<object, number>();
const numbered = new Map<string, number>();

function idOf<T extends object>(part: T, textOf: (part: T) => string): number {
  const known = ids.get(part);
  if (known !== undefined) return known;
  const id = idOfText(textOf(part));
  ids.set(part, id);
  return id;
}

function idOfText(text: string): number {
  const id = numbered.get(text) ?? numbered.size + 1;
  numbered.set(text, id);
  return id;
}

/** A challenge says no more than whether it is that of the question which is open. */
function envelopeId(envelope: Envelope, { o, b }: World): number {
  const id = 2 * idOf(envelope, ({ from, to, message }) => `${from}>${to}${message.kind}${plain(message)}`);
  const { message } = envelope;
  if (!('challenge' in message)) return id;
  const number = new DataView(message.challenge.buffer).getUint32(0);
  const asker = message.kind === 'queryState' ? envelope.from : envelope.to;
  const { endpoint } = asker === VM_OF.o ? o : b;
  return number === endpoint?.questions[BUNDLE.id]?.open ? id + 1 : id;
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
  const { watch, isAsleep, sleepRequest } = endpoint;
  const { open, waits } = endpoint.questions[BUNDLE.id] ?? NO_QUESTION;
  const token = watch.token?.bytes[0];
  const hasWish = sleepRequest !== undefined;
  const whole = `${open > 0},${waits},${token},${watch.sinceMs},${watch.isSilent},${isAsleep}${hasWish}`;
  return `${idOf<object>(state, plain)};${whole};${timers};${driver}`;
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
  `c${claims.epoch}.${claims.incarnation}.${claims.hostTime[0]}.${claims.leaseMs}.${claims.renewal}`;

function plain(value: object): string {
  let text = '';
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined || name === 'steps') continue;
    // Of what was consented to the number of the request and the lease say all.
    if (name === 'terms') text += `t${field.requestId}.${field.leaseMs}`;
    else if (name === 'consent') text += consentText(field as { claims: ConsentClaims });
    else if (SKIPPED.has(name)) text += name === 'granted' ? `g${field.epoch}` : field ? '+' : '-';
    else text += typeof field === 'object' && field !== null ? `(${plain(field)})` : `${field},`;
  }
  return text;
}
