/**
 * Facts are levels: the end of a VM in the middle of a move, a restart or an inspection leads, once things settle, to
 * the same holder, state and cause as if it had come a moment later. For each such state of a small world, and each VM.
 */

import { describe, expect, it } from 'vitest';
import { paced } from '../support/pace.ts';
import { forgetEndpoints, SETTINGS, type Settings, USUAL } from './settings.ts';
import { describeWorld, movesOf, runOn, settled } from './transitions.ts';
import { type Budget, NONE, type World } from './world.ts';
import { initialWorld } from './world-host.ts';

/** States between two stable ones that are looked at: all of a world, in the order in which a search meets them. */
const STATES_MAX = 1_500;

const isStable = ({ host, job, orphan }: World) =>
  host !== undefined && host.name !== 'moving' && host.name !== 'starting' && !job && !orphan;

/** What the host came to. */
function endOf({ host }: World): string {
  const { name, holder, quarantine } = host!;
  const who = holder ? `${holder.vm}#${holder.incarnation}` : 'nobody';
  return `${name} ${who} ${quarantine?.cause ?? ''}`;
}

/** Lets a VM end; undefined if it does not run. */
function ended(world: World, vm: string): World | undefined {
  const able = { ...world, budget: { ...NONE, exit: 1 } };
  const next = movesOf(able)
    .find(({ label }) => label === `${vm} exits`)
    ?.to();
  return next && { ...next, budget: NONE };
}

/** The unstable states that a search from `start` meets. */
function* unstable(start: World): Generator<World> {
  const known = new Set<string>();
  const worlds = [start];
  for (let index = 0; index < worlds.length; index++) {
    const world = worlds[index]!;
    if (!isStable(world)) yield world;
    for (const { to } of movesOf(world)) {
      const next = to();
      const name = JSON.stringify([describeWorld(next), next.budget, next.machine, next.hostBoot]);
      if (known.has(name)) continue;
      known.add(name);
      worlds.push(next);
    }
  }
}

describe('R111 the end of a VM, at any moment', () => {
  /** With the least number of cases that each world has. */
  const WORLDS: readonly (readonly [string, number, Partial<Budget>, Partial<Settings>])[] = [
    ['a loan and its return', 200, { borrow: 1, giveBack: 1 }, {}],
    ['a loan whose owner keeps the supplies', 200, { borrow: 1, giveBack: 1 }, { keeper: 'owner' }],
    ['a host that restarts', 100, { borrow: 1, crashHost: 1 }, {}],
    ['calls that fail', 40, { borrow: 1, failCall: 1 }, {}],
  ];
  it.each(WORLDS.map(([name, least, budget, settings]) => ({ name, least, budget, settings })))(
    '$name: ends as if it had come a moment later',
    ({ least, budget, settings }) => {
      SETTINGS.present = { ...USUAL, ...settings };
      forgetEndpoints();
      try {
        const cold = initialWorld({ ...NONE, ...budget });
        const differing: string[] = [];
        let looked = 0;
        for (const world of unstable(settled({ ...cold, budget: NONE }, cold.budget))) {
          if (looked >= STATES_MAX) break;
          const calm = { ...world, budget: NONE };
          for (const vm of ['android', 'vault']) {
            const now = ended(calm, vm);
            const later = ended(runOn(calm, isStable), vm);
            if (!now || !later) continue;
            looked += 1;
            const ends = [endOf(runOn(now)), endOf(runOn(later))];
            if (ends[0] !== ends[1])
              differing.push(`${vm}: ${ends.join(' / ')} from ${describeWorld(world)}`);
          }
        }
        expect(differing.slice(0, 5)).toEqual([]);
        expect(looked).toBeGreaterThanOrEqual(least);
      } finally {
        SETTINGS.present = USUAL;
        forgetEndpoints();
      }
    },
    paced(120_000),
  );
});
