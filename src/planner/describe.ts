/** Prints a plan: as text for people, and as JSON for programs. Pure. */

import type { BundleDefinition } from '../core/protocol/bundle.ts';
import { type DeviceLine, streamText } from './access.ts';
import type { Blocker } from './blockers.ts';
import type { Member } from './definition.ts';
import { hookKindsFor } from './hook-kinds.ts';
import { missionOf } from './mission.ts';
import { PLAIN } from './paint.ts';
import type { Plan } from './plan.ts';
import { verdictOf } from './survey.ts';
import type { WayOut } from './ways.ts';

/** The condition of an unsure plan. */
export const IF_NO_DMA = 'if the devices without a stream do no DMA, which is unknown';

/** Most other users that are listed; of more the number is given. */
const USERS_SHOWN = 4;

/** Returns lines for a terminal: what moves and why, what stays, what stands in the way. */
export function planLines(plan: Plan, paint = PLAIN, way?: WayOut): readonly string[] {
  const { members, blockers, accepted, kept, notes } = plan;
  const lines = ['Moves together, in the order in which it is quiesced:'];
  for (const member of members) {
    lines.push(`  ${paint.strong(member.node.path)}  (${member.why})`);
    lines.push(...itemsOf(member).map(({ text }) => `    ${text}`));
    const kinds = hookKindsFor(member.node);
    if (kinds.length > 0) lines.push(`    hook steps that fit: ${kinds.join(', ')}`);
  }
  if (kept.length > 0) lines.push('', 'Stays with the keeper, who leaves it on:');
  for (const role of [...new Set(kept.map((each) => each.role))]) {
    const providers = kept.filter((each) => each.role === role).map(({ provider }) => provider);
    lines.push(`  ${role}: ${providers.join(', ')}`);
  }
  if (notes.length > 0) lines.push('', 'To know:', ...notes.map((note) => `  ${note}`));
  if (accepted.length > 0)
    lines.push('', paint.warn('Accepted:'), ...accepted.flatMap((each) => blockerLines(each, paint, 'warn')));
  lines.push('');
  const verdict = verdictOf(plan);
  if (verdict === 'free') lines.push(paint.good('Nothing stands in the way.'));
  else if (verdict === 'unsure') lines.push(paint.warn(`Nothing else stands in the way, ${IF_NO_DMA}:`));
  else
    lines.push(
      paint.bad(`${blockers.length} ${blockers.length === 1 ? 'thing stands' : 'things stand'} in the way:`),
    );
  for (const blocker of blockers) lines.push(...blockerLines(blocker, paint));
  if (blockers.length > 0)
    lines.push(
      '',
      way
        ? `${paint.good('What would move')}: ask for ${wayText(way)}`
        : 'No choice of devices and of what is accepted moves it as this tree is.',
    );
  return lines;
}

/** Returns a way out as arguments of the command. */
function wayText({ ask, accept }: WayOut): string {
  return [...ask, ...accept.map((word) => `--accept ${word}`)].join(' ');
}

const RESETS = { line: 'reset by its line', power: 'reset by its power switch' } as const;

/** Returns a resource of a member as text. */
export interface Item {
  readonly kind: 'registers' | 'interrupt' | 'stream' | 'reset';
  readonly text: string;
}

/** Returns the resources of a member, and its reset. */
export function itemsOf({ access, reset }: Pick<Member, 'access' | 'reset'>): readonly Item[] {
  const pages = access.pages.map(
    ({ address, bytes }) => `registers 0x${address.toString(16)}, 0x${bytes.toString(16)} bytes`,
  );
  const cleared = reset ? RESETS[reset] : 'no reset: its driver has to clear what stays behind';
  return [
    ...pages.map((text) => ({ kind: 'registers', text }) as const),
    ...access.lines.map((line) => ({ kind: 'interrupt', text: lineText(line) }) as const),
    ...access.streams.map((stream) => ({ kind: 'stream', text: streamText(stream) }) as const),
    { kind: 'reset', text: cleared },
  ];
}

/** The INTID at which each kind of line begins. */
const FIRST = { spi: 32, ppi: 16, espi: 4_096, eppi: 1_056 } as const;

function lineText({ gic, interrupt }: DeviceLine): string {
  if (!gic) return `line <${interrupt.cells.join(' ')}> of ${interrupt.controller.name}`;
  const via =
    interrupt.through.length > 0 ? `, through ${interrupt.through.map(({ name }) => name).join(', ')}` : '';
  return `${gic.kind.toUpperCase()} ${gic.number - FIRST[gic.kind]} (INTID ${gic.number}), ${gic.trigger}${via}`;
}

/** A blocker in lines. */
export function blockerLines(
  { kind, node, what, users, ways }: Blocker,
  paint = PLAIN,
  as: 'bad' | 'warn' = 'bad',
): readonly string[] {
  const shown = users.slice(0, USERS_SHOWN).join(', ');
  const more = users.length > USERS_SHOWN ? `, and ${users.length - USERS_SHOWN} more` : '';
  return [
    `  ${paint[as](kind)}: ${node}`,
    `    ${what}`,
    ...(users.length > 0 ? [`    also used by ${shown}${more}`] : []),
    ...(as === 'warn' ? answered(ways) : ways.map((way) => `    ${paint.good('way out')}: ${way}`)),
  ];
}

/** Returns the condition that a person guarantees by accepting a blocker, from its way out. */
function answered(ways: readonly string[]): readonly string[] {
  return ways.flatMap((way) => {
    const [, what] = /^(.*?):? --accept \w+/.exec(way) ?? [];
    return what === undefined ? [] : [`    you see to it that ${what}`];
  });
}

/**
 * Returns the plan as one value. `bundle` and `digest`: its definition, if there is one; `way`: otherwise what would
 * move.
 */
export function planJson(plan: Plan, bundle?: BundleDefinition, digest?: string, way?: WayOut): object {
  return {
    ok: plan.blockers.length === 0,
    verdict: verdictOf(plan),
    members: plan.members.map(({ node, why, access, reset }) => ({
      node: node.path,
      why,
      reset: reset ?? 'none',
      mission: missionOf(node) ?? null,
      hooks: hookKindsFor(node),
      registers: access.pages.map(({ address, bytes }) => ({
        physical: `0x${address.toString(16)}`,
        bytes: `0x${bytes.toString(16)}`,
      })),
      lines: access.lines.map(
        ({ gic, interrupt }) => gic ?? { at: interrupt.controller.path, cells: interrupt.cells },
      ),
      streams: access.streams.map(({ iommu, id, mask, declaredBy }) => ({
        iommu: iommu.path,
        id,
        mask,
        declaredBy: declaredBy.path,
      })),
    })),
    blockers: plan.blockers,
    wayOut: way ?? null,
    accepted: plan.accepted,
    kept: plan.kept,
    notes: plan.notes,
    ...(bundle ? { bundle, digest } : {}),
  };
}
