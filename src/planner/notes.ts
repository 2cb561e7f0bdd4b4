/** Notes of a plan for people: facts that do not block it, about what stays connected, shared or unsure. Pure. */

import { hasRegisters, sameStream } from './access.ts';
import type { DtNode } from './blob.ts';
import type { Situation } from './blockers.ts';
import { connectedTo, picturesWith } from './graph.ts';
import { overlap } from './ranges.ts';
import { iommuKind } from './streams.ts';

/** Returns the notes of a plan. */
export function notesOf(all: Situation): string[] {
  const { board, members, inside } = all;
  const notes: string[] = [];
  for (const { node, access, needs } of members) {
    const isPart = inside(node.parent);
    const whole = wholeOf(node);
    if (whole !== undefined && !isPart && !inside(whole))
      notes.push(`${node.path} is part of ${whole.path}, which stays: whoever has that can switch it off`);
    const halves = picturesWith(board, node);
    for (const other of connectedTo(board, node))
      if (!inside(other) && !halves.includes(other))
        notes.push(`${node.path} is connected to ${other.path}, which stays as it is`);
    for (const { role, target } of needs)
      if (role === 'memory' && target !== undefined)
        notes.push(`${node.path} may use ${target.name}: this memory does not move`);
    for (const { iommu, id, mask, declaredBy } of access.streams)
      if (mask !== 0 && declaredBy === node && iommuKind(iommu) !== 'unknown')
        notes.push(
          `${node.path}: mask 0x${mask.toString(16)} leaves bits of stream 0x${id.toString(16)} open: ` +
            'all that agree elsewhere move as one',
        );
  }
  notes.push(...sharedPages(members), ...idleMasters(all));
  const players = members.flatMap(({ node }) => board.consumersOf(node));
  for (const { node, role } of players)
    if (role === 'sound' && all.outside(node))
      notes.push(`${node.path} plays or records through it, and stays`);
  for (const { access } of members)
    for (const { interrupt } of access.lines)
      for (const { path } of interrupt.through)
        if (!inside(board.tree.find(path)))
          notes.push(`its lines pass through ${path}, which stays: whoever keeps that leaves them open`);
  return [...new Set(notes)];
}

/** The holder of the registers of an unused device can start it, and its DMA then has the access of the bundle. */
function idleMasters({ board, members }: Situation): readonly string[] {
  const own = members.flatMap(({ access }) => access.streams);
  const found = board.idle.filter(({ streams }) =>
    streams.some((each) => own.some((one) => sameStream(one, each))),
  );
  const [first] = found;
  if (first === undefined) return [];
  const who =
    found.length === 1 ? `${first.node.path} is` : `${first.node.path} and ${found.length - 1} more are`;
  return [`${who} disabled, and would have a stream of the bundle: no VM may reach the registers`];
}

/** Returns the nearest node above with registers and a driver; undefined when there is none. */
function wholeOf(node: DtNode): DtNode | undefined {
  for (let at = node.parent; at !== undefined; at = at.parent)
    if (at.properties.has('compatible') && hasRegisters(at)) return at;
  return undefined;
}

/** Pages of two members, which the bundle file assigns to the first. Sorted ranges overlap only their neighbours. */
function sharedPages(members: Situation['members']): readonly string[] {
  const all = members
    .flatMap(({ node, access }, index) => access.pages.map((page) => ({ node, index, page })))
    .sort((a, b) =>
      a.page.address < b.page.address ? -1 : a.page.address > b.page.address ? 1 : a.index - b.index,
    );
  const found: string[] = [];
  let widest = all[0];
  for (const next of all.slice(1)) {
    if (widest && widest.node !== next.node && overlap(widest.page, next.page)) {
      const [first, second] = [widest, next].sort((a, b) => a.index - b.index) as [typeof next, typeof next];
      found.push(
        `${first.node.name} and ${second.node.name} are on one page (0x${next.page.address.toString(16)}): ` +
          'it is in the bundle file once',
      );
    }
    if (!widest || next.page.address + next.page.bytes >= widest.page.address + widest.page.bytes)
      widest = next;
  }
  return found;
}
