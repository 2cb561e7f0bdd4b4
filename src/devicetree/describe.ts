/** A plan in words, for people, and as JSON for programs. Pure. */

import type { BundleDefinition } from '../protocol/bundle.ts';
import { streamText } from './access.ts';
import type { Blocker } from './blockers.ts';
import type { Member, Plan } from './plan.ts';

/** Other users that are named one by one; of more there is a number. */
const USERS_SHOWN = 4;

/** Lines for a terminal: what moves and why, what stays, what stands in the way. */
export function planLines(plan: Plan): readonly string[] {
  const { members, blockers, accepted, kept, notes } = plan;
  const lines = ['Moves together, in the order in which it is quiesced:'];
  for (const member of members) lines.push(`  ${member.node.path}  (${member.why})`, ...accessLines(member));
  if (kept.length > 0) lines.push('', 'Stays with the keeper, who leaves it on:');
  for (const role of [...new Set(kept.map((each) => each.role))]) {
    const providers = kept.filter((each) => each.role === role).map(({ provider }) => provider);
    lines.push(`  ${role}: ${providers.join(', ')}`);
  }
  if (notes.length > 0) lines.push('', 'To know:', ...notes.map((note) => `  ${note}`));
  if (accepted.length > 0) lines.push('', 'Accepted:', ...accepted.flatMap(blockerLines));
  lines.push('');
  if (blockers.length === 0) lines.push('Nothing stands in the way.');
  else
    lines.push(`${blockers.length} ${blockers.length === 1 ? 'thing stands' : 'things stand'} in the way:`);
  for (const blocker of blockers) lines.push(...blockerLines(blocker));
  return lines;
}

export const RESETS = { line: 'reset by its line', power: 'reset by its power switch' } as const;

function accessLines({ access, reset }: Member): readonly string[] {
  const pages = access.pages.map(
    ({ address, bytes }) => `    registers 0x${address.toString(16)}, 0x${bytes.toString(16)} bytes`,
  );
  const lines = access.lines.map(({ gic, interrupt }) =>
    gic
      ? `    ${gic.kind.toUpperCase()} ${gic.number - (gic.kind === 'spi' ? 32 : 16)} (INTID ${gic.number}), ${gic.trigger}`
      : `    line <${interrupt.cells.join(' ')}> of ${interrupt.controller.name}`,
  );
  const streams = access.streams.map((stream) => `    ${streamText(stream)}`);
  const cleared = reset ? RESETS[reset] : 'no reset: its driver has to clear what stays behind';
  return [...pages, ...lines, ...streams, `    ${cleared}`];
}

function blockerLines({ kind, node, what, users, ways }: Blocker): readonly string[] {
  const shown = users.slice(0, USERS_SHOWN).join(', ');
  const more = users.length > USERS_SHOWN ? `, and ${users.length - USERS_SHOWN} more` : '';
  return [
    `  ${kind}: ${node}`,
    `    ${what}`,
    ...(users.length > 0 ? [`    also used by ${shown}${more}`] : []),
    ...ways.map((way) => `    way out: ${way}`),
  ];
}

/** The plan as one value. `bundle`: its definition, where there is one. */
export function planJson(plan: Plan, bundle: BundleDefinition | undefined): object {
  return {
    ok: plan.blockers.length === 0,
    members: plan.members.map(({ node, why, access, reset }) => ({
      node: node.path,
      why,
      reset: reset ?? 'none',
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
    accepted: plan.accepted,
    kept: plan.kept,
    notes: plan.notes,
    ...(bundle ? { bundle } : {}),
  };
}
