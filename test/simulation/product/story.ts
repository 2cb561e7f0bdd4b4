/**
 * One run of the whole product by a seed: users borrow, give back and recall while faults come and go, and every
 * property of safety is judged throughout. Then faults and wishes end, and all has to come to rest (L1 to L3).
 */

import type { BundleId, VmId } from '../../../src/core/protocol/ids.ts';
import { seededRandom } from '../../../targets/lab/machine/random.ts';
import type { Client, Shown } from './client.ts';
import { begin, drawFaults, type Fault, phaseOf } from './faults.ts';
import type { Finding } from './judge.ts';
import { BUNDLES, type Controls, ProductWorld, VMS } from './world.ts';

/** What a run is made of. */
export interface Story {
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** How long users want something, in ms. */
  readonly wishesMs: number;
}

/** What came of a run. */
export interface Outcome {
  readonly story: Story;
  readonly findings: readonly Finding[];
  readonly begun: number;
  readonly confirmed: number;
  /** Faults that met their phase, as `kind / phase`. */
  readonly met: readonly string[];
  readonly transcript: readonly string[];
}

/** Longest time until all is at rest once faults and wishes have ended, in ms: several rounds of every wait. */
const REST_MS = 60_000;
/** Time between two looks whether all is at rest, in ms. */
const LOOK_MS = 250;
/** Longest pause of a user, in ms. */
const PAUSE_MAX_MS = 500;
/** What an operator takes to lift a quarantine, in ms. */
const LIFT_MS = 800;
/** Most faults of one run besides the one that its seed is for. */
const FAULTS_MAX = 5;

/** The run of a seed. */
export function storyOf(seed: number): Story {
  const random = seededRandom(seed ^ 0x57_0e1e);
  return { seed, faults: drawFaults(seed, random, random(FAULTS_MAX)), wishesMs: 4_000 + random(6_000) };
}

/** Plays a run. `isTold`: with a transcript. */
export async function play(story: Story, isTold = false, controls: Controls = {}): Promise<Outcome> {
  const run = new Run(story, new ProductWorld(story.seed, isTold, controls));
  const { world, met } = run;
  try {
    await run.play(controls.restMs ?? REST_MS);
  } catch (error) {
    // Whatever is thrown out of the product is a finding, with its seed.
    world.judge.found('S8', (error as Error).stack ?? String(error));
  }
  return {
    story,
    findings: world.judge.findings,
    begun: world.begun.size,
    confirmed: world.confirmed.size,
    met,
    transcript: world.transcript ?? [],
  };
}

class Run {
  readonly world: ProductWorld;
  readonly met: string[] = [];
  readonly #story: Story;
  /** Faults that wait for their phase, with the passes that are left. */
  #waiting: { readonly fault: Fault; left: number }[];
  readonly #ends: (() => void)[] = [];
  readonly #phases = new Map<BundleId, string>();
  /** The last program of each VM that borrowed a bundle. */
  readonly #programs = new Map<string, Client>();
  /** Who was lent a bundle when the host was last looked at. */
  readonly #borrowers = new Map<string, string>();
  #hasWishes = true;

  constructor(story: Story, world: ProductWorld) {
    this.#story = story;
    this.world = world;
    this.#waiting = story.faults.map((fault) => ({ fault, left: fault.passes }));
    this.world.onChange = (bundle) => this.#changed(bundle as BundleId);
  }

  async play(restMs: number): Promise<void> {
    const { clock } = this.world;
    for (const vm of VMS) for (const { id } of BUNDLES) this.#wish(vm, id);
    this.#useDrivers();
    this.#operate();
    await this.#until(clock.nowMs() + this.#story.wishesMs);
    this.world.say('story: faults and wishes end');
    this.#hasWishes = false;
    this.#waiting = [];
    for (const end of this.#ends) end();
    for (const vm of VMS) this.world.setHostile(vm, false);
    for (const { watcher } of this.world.agents.values()) watcher?.ask({ do: 'wake' });
    const endMs = clock.nowMs() + restMs;
    let amiss: string[] = restMs > 0 ? ['nothing was looked at'] : [];
    while (amiss.length > 0 && clock.nowMs() < endMs) {
      await this.#until(clock.nowMs() + LOOK_MS);
      this.world.lookAgain();
      amiss = this.#amiss();
    }
    for (const text of amiss) this.world.judge.found('L1', `${text} ${restMs} ms after all faults ended`);
    this.world.judge.machine(this.world.machine);
    for (const text of this.world.records.faults()) this.world.judge.found('L1', text);
  }

  async #until(untilMs: number): Promise<void> {
    while (await this.world.step(untilMs));
    // Nothing falls due until then: time passes all the same.
    let isOver = false;
    this.world.clock.after(untilMs - this.world.clock.nowMs(), () => {
      isOver = true;
    });
    while (!isOver) await this.world.step(untilMs);
  }

  #changed(bundle: BundleId): void {
    const { world } = this;
    const view = world.hostView(bundle);
    if (view) {
      const isHonest = (vm: string) => world.isHonest(vm);
      world.judge.says(view, world.machine, !world.enforcer.isBusy, isHonest);
      this.#judgeReturn(view);
      if (view.confirmed) world.confirmed.add(`${bundle} ${view.epoch}`);
      if (view.state === 'quarantined' && !world.mayQuarantine && VMS.every((vm) => world.isHonest(vm)))
        world.judge.found('L2', `${bundle} is quarantined although nothing failed: ${view.reason}`);
    }
    const phase = phaseOf(world, bundle, view);
    if (phase === this.#phases.get(bundle)) return;
    this.#phases.set(bundle, phase);
    for (const waiting of [...this.#waiting]) {
      const { fault } = waiting;
      if (fault.bundle !== bundle || fault.phase !== phase) continue;
      if (waiting.left > 0) {
        waiting.left -= 1;
        continue;
      }
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      world.clock.after(fault.delayMs, () => {
        if (!this.#hasWishes) return;
        this.met.push(`${fault.kind} / ${phaseOf(world, bundle)}`);
        this.#ends.push(begin(world, fault));
      });
    }
  }

  /** Nobody but a borrower itself says that it gives a bundle back, and at the present epoch. */
  #judgeReturn({ bundle, state, holder, owner, reason }: Shown): void {
    const before = this.#borrowers.get(bundle);
    if (state === 'held' && holder !== null && holder !== owner) this.#borrowers.set(bundle, holder);
    else this.#borrowers.delete(bundle);
    if (before === undefined || state !== 'moving' || !reason.includes('release')) return;
    if (this.world.isHonest(before) && this.world.agentView(before, bundle)?.state === 'held')
      this.world.judge.found('S4', `${bundle} is taken back by a release that ${before} did not mean`);
  }

  /** A user of a VM wants a bundle now and then: its owner recalls it, others borrow it and give it back. */
  #wish(vm: VmId, bundle: BundleId): void {
    const { world } = this;
    const { random, clock } = world;
    if (!this.#hasWishes) return;
    clock.after(random(PAUSE_MAX_MS), () => {
      if (this.#hasWishes && world.agents.get(vm)?.process.isRunning) this.#ask(vm, bundle);
      this.#wish(vm, bundle);
    });
  }

  #ask(vm: VmId, bundle: BundleId): void {
    const { world } = this;
    const { random } = world;
    const { connect, watcher } = world.agents.get(vm)!;
    const view = watcher?.shown(bundle);
    if (!connect || !watcher || !view) return;
    if (view.role === 'owner') {
      if (random(6) === 0)
        watcher.ask({ do: 'recall', bundle, graceMs: random(200), force: random(2) === 0 });
      // The system of the VM wants to sleep, and wakes.
      if (random(20) === 0) watcher.ask({ do: random(2) === 0 ? 'sleep' : 'wake', graceMs: 50, waitMs: 500 });
      return;
    }
    if (view.state !== 'idle') {
      const how = random(4);
      if (how === 0) watcher.ask({ do: 'return', bundle });
      const program = this.#programs.get(`${vm} ${bundle}`);
      if (how === 1) program?.close();
      if (how === 2) program?.ask({ do: 'renew', bundle, leaseMs: 100 + random(1_000) });
      return;
    }
    world.judge.asks(vm, bundle);
    const program = connect();
    this.#programs.set(`${vm} ${bundle}`, program);
    program.ask({
      do: 'borrow',
      bundle,
      purpose: 'pin',
      leaseMs: 100 + random(1_500),
      minHoldMs: random(2) * random(100),
      noticeMs: random(3) * 50,
      waitMs: 200 + random(1_000),
      evidence: 'observed',
    });
  }

  /** Drivers, fingers and keys are at work all the time. */
  #useDrivers(): void {
    const { world } = this;
    if (!this.#hasWishes) return;
    world.clock.after(20, () => {
      world.machine.touch(world.random(1_000), world.random(1_000), world.random(2) === 0);
      world.machine.tick(world.random(20));
      for (const guest of world.guests.values()) guest.use();
      this.#useDrivers();
    });
  }

  /** An operator lifts quarantines. */
  #operate(): void {
    const { world } = this;
    if (!this.#hasWishes) return;
    world.clock.after(LIFT_MS, () => {
      for (const { id } of BUNDLES)
        if (world.host?.process.isRunning && world.hostView(id)?.state === 'quarantined') {
          world.say(`operator: lifts ${id}`);
          world.host.operator.ask({ do: 'lift', bundle: id });
        }
      this.#operate();
    });
  }

  /** What is not as it has to be once faults have ended. */
  #amiss(): string[] {
    const { world } = this;
    const amiss: string[] = [];
    for (const { id, owner, devices } of BUNDLES) {
      const view = world.hostView(id);
      if (view === undefined) {
        amiss.push('the host is dead');
        continue;
      }
      for (const vm of VMS) {
        const agent = world.agentView(vm, id);
        if (agent === undefined) amiss.push(`${vm} has no agent`);
        else if (vm !== owner && agent.state !== 'idle')
          amiss.push(`${vm} is still ${agent.state} for ${id}`);
        const guest = world.guests.get(vm);
        const isHolder = view.state === 'held' && view.holder === vm;
        const active = devices.filter((device) => guest?.isActive(device.id)).map((device) => device.id);
        // A driver whose suspend failed is left to people, as its agent says.
        if (active.length > 0 && !isHolder && agent?.driver !== 'unknown')
          amiss.push(`${vm} has ${active} active and does not hold ${id}`);
        if (isHolder && active.length < devices.length)
          amiss.push(`${vm} holds ${id}, and its drivers sleep`);
      }
      if (view.state === 'quarantined') continue;
      if (view.state !== 'held') amiss.push(`${id} is ${view.state}: ${view.reason}`);
      else if (view.holder !== owner) amiss.push(`${id} is with ${view.holder}`);
      else if (!view.confirmed) amiss.push(`${id} is with its owner, who has not confirmed`);
    }
    return [...new Set(amiss)];
  }
}
