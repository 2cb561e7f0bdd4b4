/**
 * Draws a plan as SVG: the bundle with its members in quiesce order, what stays outside on its left, blockers on its
 * right. Pure: the same plan gives the same text.
 *
 * The font is monospaced, so that cutting, wrapping and placing are the same on every screen.
 */

import type { DtNode } from './blob.ts';
import type { Blocker } from './blockers.ts';
import type { Member } from './definition.ts';
import { IF_NO_DMA, type Item, itemsOf } from './describe.ts';
import type { Plan } from './plan.ts';
import { type Verdict, verdictOf } from './survey.ts';
import { type Card, cardSvg, cut, edgeSvg, escapeXml, heightOf, type Line, textSvg, wrap } from './svg.ts';

/**
 * Most entries of each kind in a picture; of more the number is given. A bundle has at most 8 devices with registers.
 */
const MEMBERS_SHOWN = 12;
const BLOCKERS_SHOWN = 24;
const USERS_SHOWN = 4;
const ROWS_SHOWN = 6;
const NOTES_SHOWN = 6;
const SUPPLIES_SHOWN = 16;
const WHAT_LINES = 3;

/** Columns, in pixels: start and width. The gaps between them are for edges. */
const LEFT = { x: 24, width: 280 };
const MIDDLE = { x: 404, width: 450 };
const RIGHT = { x: 954, width: 520 };
const WIDTH = RIGHT.x + RIGHT.width + 24;
const FRAME = 14;
const GAP = 14;
const TOP = 84;

const COLOURS = {
  stream: '#00796b',
  interrupt: '#6a1b9a',
  supply: '#757575',
  blocker: '#c62828',
  accepted: '#b26a00',
} as const;
type EdgeKind = keyof typeof COLOURS;

interface Edge {
  readonly kind: EdgeKind;
  readonly from: readonly [number, number];
  readonly to: readonly [number, number];
}

/** A member's card, with the start points of its edges. */
interface Placed {
  readonly member: Member;
  readonly card: Card;
}

/** Draws a plan. `title`: what is planned, on which board. */
export function pictureOf(plan: Plan, title: string): string {
  const shown = plan.members.slice(0, MEMBERS_SHOWN);
  const members = stack(shown.map(memberCard), MIDDLE.x, TOP + 30).map(
    (card, index): Placed => ({ member: shown[index]!, card }),
  );
  const frameEnd =
    below(
      members.map(({ card }) => card),
      TOP + 30,
    ) -
    GAP +
    (hidden(plan.members, MEMBERS_SHOWN) ? 22 : 0);
  const notes = plan.notes.length > 0 ? stack([noteCard(plan.notes)], MIDDLE.x, frameEnd + FRAME + GAP) : [];
  const outside = outsideCards(shown);
  const kept = plan.kept.length > 0 ? [keeperCard(plan)] : [];
  const left = stack([...outside.map(({ card }) => card), ...kept], LEFT.x, TOP);
  const trouble = [
    ...plan.blockers.map((blocker) => ({ blocker, kind: 'blocker' as const })),
    ...plan.accepted.map((blocker) => ({ blocker, kind: 'accepted' as const })),
  ];
  const cards = trouble.slice(0, BLOCKERS_SHOWN).map(({ blocker, kind }) => blockerCard(blocker, kind));
  const right = stack(cards.length > 0 ? cards : [freeCard()], RIGHT.x, TOP);
  const more = hidden(trouble, BLOCKERS_SHOWN);
  const end = Math.max(
    below(left, TOP),
    below(right, TOP) + (more ? 22 : 0),
    below(notes, frameEnd + FRAME + GAP),
  );
  const edges = [
    ...outside.flatMap((each, index) => providerEdges(each.node, left[index]!, members)),
    ...(kept.length > 0 ? supplyEdges(plan, left.at(-1)!, members) : []),
    ...trouble
      .slice(0, BLOCKERS_SHOWN)
      .flatMap(({ blocker, kind }, index) => blockerEdges(blocker, kind, right[index]!, members)),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${end + 44}" viewBox="0 0 ` +
      `${WIDTH} ${end + 44}" font-family="'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, ` +
      'monospace" font-size="12">',
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${end + 44}" fill="#ffffff"/>`,
    textSvg(LEFT.x, 34, cut(title, 100), { size: 18, bold: true }),
    textSvg(LEFT.x, 58, summaryOf(plan)),
    `<rect x="${MIDDLE.x - FRAME}" y="${TOP}" width="${MIDDLE.width + 2 * FRAME}" ` +
      `height="${frameEnd - TOP + FRAME}" rx="8" fill="#eef5fd" stroke="#2b6cb0" stroke-width="2"/>`,
    textSvg(MIDDLE.x, TOP + 20, 'The bundle: quiesced in this order, resumed in reverse', {
      colour: '#2b6cb0',
      bold: true,
    }),
    ...edges.map(({ kind, from, to }) => edgeSvg(from, to, COLOURS[kind], kind === 'supply')),
    ...[...members.map(({ card }) => card), ...left, ...right, ...notes].map(cardSvg),
    ...(hidden(plan.members, MEMBERS_SHOWN)
      ? [textSvg(MIDDLE.x, frameEnd, `and ${hidden(plan.members, MEMBERS_SHOWN)} more devices`)]
      : []),
    ...(more ? [textSvg(RIGHT.x, below(right, TOP) + 8, `and ${more} more`)] : []),
    ...legend(end + 22),
    '</svg>',
    '',
  ].join('\n');
}

function summaryOf(plan: Plan): string {
  const { members, blockers, accepted } = plan;
  const devices = members.length === 1 ? 'One device moves' : `${members.length} devices move together`;
  const ways: Readonly<Record<Verdict, string>> = {
    free: 'nothing stands in the way',
    unsure: `nothing else stands in the way, ${IF_NO_DMA}`,
    blocked: `${blockers.length} ${blockers.length === 1 ? 'thing stands' : 'things stand'} in the way`,
  };
  const way = ways[verdictOf(plan)];
  return `${devices}; ${way}${accepted.length > 0 ? `; ${accepted.length} accepted` : ''}.`;
}

const hidden = (list: readonly unknown[], shown: number): number => Math.max(list.length - shown, 0);

/** Puts cards below each other. */
function stack(cards: readonly Card[], x: number, top: number): readonly Card[] {
  let y = top;
  return cards.map((card) => {
    const placed = { ...card, x, y };
    y += heightOf(card) + GAP;
    return placed;
  });
}

/** Top of the next card. */
function below(cards: readonly Card[], top: number): number {
  const last = cards.at(-1);
  return last ? last.y + heightOf(last) + GAP : top;
}

/** Returns the first rows, and the number of the others. */
function bounded(rows: readonly Line[], shown: number, what: string): readonly Line[] {
  const more = hidden(rows, shown);
  return more > 0 ? [...rows.slice(0, shown), { text: `and ${more} more ${what}` }] : rows;
}

function memberCard(member: Member, index: number): Card {
  const { node, why, access } = member;
  const items = itemsOf(member);
  const rows = (kind: Item['kind'], more: (index: number) => Partial<Line> = () => ({})) =>
    items.filter((item) => item.kind === kind).map(({ text }, at) => ({ text, ...more(at) }));
  const lines = rows('interrupt', (at) => ({
    colour: COLOURS.interrupt,
    key: access.lines[at]!.interrupt.controller.path,
  }));
  const streams = rows('stream', (at) => ({ colour: COLOURS.stream, key: access.streams[at]!.iommu.path }));
  return card(MIDDLE.width, '#2b6cb0', '#ffffff', [
    { text: `${index + 1}. ${node.name}`, bold: true },
    { text: node.path, colour: '#555555' },
    { text: why, colour: '#555555' },
    ...bounded(rows('registers'), ROWS_SHOWN, 'ranges'),
    ...bounded(lines, ROWS_SHOWN, 'lines'),
    ...bounded(streams, ROWS_SHOWN, 'streams'),
    ...rows('reset'),
  ]);
}

/** A card whose lines are cut to its width. */
function card(width: number, stroke: string, fill: string, lines: readonly Line[]): Card {
  return { x: 0, y: 0, width, stroke, fill, lines };
}

function noteCard(notes: readonly string[]): Card {
  const lines = notes
    .slice(0, NOTES_SHOWN)
    .flatMap((note) => wrap(note, MIDDLE.width, 3).map((text) => ({ text, colour: '#555555' })));
  const more = hidden(notes, NOTES_SHOWN);
  return card(MIDDLE.width, '#bdbdbd', '#fafafa', [
    { text: 'To know', bold: true },
    ...lines,
    ...(more > 0 ? [{ text: `and ${more} more` }] : []),
  ]);
}

/** Returns the IOMMUs and interrupt controllers of the members, in the order of their first use. */
function outsideCards(members: readonly Member[]): readonly { readonly node: DtNode; readonly card: Card }[] {
  const gics = new Map<DtNode, string>();
  const iommus = new Map<DtNode, string>();
  const inside = new Set(members.map(({ node }) => node));
  for (const { access } of members) {
    for (const { interrupt, gic } of access.lines)
      if (!inside.has(interrupt.controller))
        gics.set(interrupt.controller, gic ? 'GIC: routes the lines' : 'interrupt controller of others, too');
    for (const { iommu } of access.streams) iommus.set(iommu, 'IOMMU: confines the streams');
  }
  return [...iommus, ...gics].slice(0, ROWS_SHOWN).map(([node, what]) => ({
    node,
    card: card(LEFT.width, '#9e9e9e', '#f5f5f3', [
      { text: node.name, bold: true },
      { text: what, colour: '#555555' },
    ]),
  }));
}

function keeperCard({ kept }: Plan): Card {
  const rows: Line[] = [...kept].map(({ role, provider }) => ({
    text: `${role}: ${provider.split('/').at(-1) || provider}`,
  }));
  return card(LEFT.width, '#9e9e9e', '#f5f5f3', [
    { text: 'Keeper', bold: true },
    { text: 'stays outside and leaves on:', colour: '#555555' },
    ...bounded(rows, SUPPLIES_SHOWN, 'supplies'),
  ]);
}

function freeCard(): Card {
  const colour = '#2e7d32';
  return card(RIGHT.width, colour, '#edf7ed', [{ text: 'Nothing stands in the way', bold: true, colour }]);
}

function blockerCard({ kind, node, what, users, ways }: Blocker, as: 'blocker' | 'accepted'): Card {
  const colour = COLOURS[as];
  const more = hidden(users, USERS_SHOWN);
  return card(RIGHT.width, colour, as === 'blocker' ? '#fdecea' : '#fff4e0', [
    { text: `${as === 'accepted' ? 'accepted: ' : ''}${kind}`, bold: true, colour },
    { text: node, colour: '#555555' },
    ...wrap(what, RIGHT.width, WHAT_LINES).map((text) => ({ text })),
    ...users.slice(0, USERS_SHOWN).map((user) => ({ text: `also ${user}`, colour })),
    ...(more > 0 ? [{ text: `and ${more} more`, colour }] : []),
    ...wrap(`way out: ${ways[0] ?? 'none'}`, RIGHT.width, 2).map((text) => ({ text, colour: '#2e7d32' })),
  ]);
}

/** Returns one edge from each member's row to a provider. */
function providerEdges(node: DtNode, to: Card, members: readonly Placed[]): readonly Edge[] {
  return members.flatMap(({ card: from }): Edge[] => {
    const row = from.lines.findIndex(({ key }) => key === node.path);
    if (row < 0) return [];
    const kind = from.lines[row]!.colour === COLOURS.stream ? 'stream' : 'interrupt';
    return [{ kind, from: [from.x, rowY(from, row)], to: [to.x + to.width, to.y + heightOf(to) / 2] }];
  });
}

function supplyEdges({ kept }: Plan, to: Card, members: readonly Placed[]): readonly Edge[] {
  return members
    .filter(({ member }) => kept.some(({ users }) => users.includes(member.node.path)))
    .map(({ card: from }) => ({
      kind: 'supply',
      from: [from.x, rowY(from, 0)],
      to: [to.x + to.width, rowY(to, 0)],
    }));
}

function blockerEdges(
  { node }: Blocker,
  kind: 'blocker' | 'accepted',
  to: Card,
  members: readonly Placed[],
): readonly Edge[] {
  return members
    .filter(({ member }) => member.node.path === node)
    .map(({ card: from }) => ({ kind, from: [from.x + from.width, rowY(from, 0)], to: [to.x, rowY(to, 0)] }));
}

/** Returns the vertical middle of a row of a card. */
function rowY(card: Card, row: number): number {
  return card.y + heightOf({ lines: card.lines.slice(0, row) }) - 1;
}

function legend(y: number): readonly string[] {
  const parts: readonly (readonly [string, string])[] = [
    ['stream', COLOURS.stream],
    ['interrupt', COLOURS.interrupt],
    ['supply', COLOURS.supply],
    ['in the way', COLOURS.blocker],
    ['accepted', COLOURS.accepted],
  ];
  return parts.flatMap(([text, colour], index) => {
    const x = LEFT.x + index * 150;
    const dashes = text === 'supply' ? ' stroke-dasharray="5 4"' : '';
    return [
      `<path d="M ${x} ${y - 4} h 30" stroke="${colour}" stroke-width="2"${dashes}/>`,
      textSvg(x + 38, y, text),
    ];
  });
}
