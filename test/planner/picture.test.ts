/** Pictures of plans: sound XML, every name in it, nothing on top of anything else, and never larger than a limit. */

import { describe, expect, it } from 'vitest';
import { readBlob } from '../../src/planner/blob.ts';
import type { Blocker } from '../../src/planner/blockers.ts';
import { Board } from '../../src/planner/board.ts';
import { pictureOf } from '../../src/planner/picture.ts';
import { type Plan, planBundle } from '../../src/planner/plan.ts';
import { FONT_SIZE, LETTER } from '../../src/planner/svg.ts';
import { Tree } from '../../src/planner/tree.ts';
import { BOARD } from './board.ts';
import { blobOf, type Description } from './builder.ts';
import { boardOf, other } from './plan-boards.ts';

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
interface Text extends Box {
  readonly text: string;
}

/** Reads what `pictureOf` writes, strictly: tags that close, attributes in quotes, the five entities, nothing else. */
function parse(svg: string): { texts: Text[]; cards: Box[]; size: Box } {
  const texts: Text[] = [];
  const cards: Box[] = [];
  const open: string[] = [];
  const TOKEN = /<(\/?)([a-z]+)((?: [a-zA-Z-]+="[^"<&]*")*)(\/?)>|([^<&>]|&(?:amp|lt|gt|quot|apos);)+/gy;
  let size: Box = { x: 0, y: 0, width: 0, height: 0 };
  let current: Text | undefined;
  let at = 0;
  for (let match = TOKEN.exec(svg); match; match = TOKEN.exec(svg)) {
    at = TOKEN.lastIndex;
    const [whole, closes, name = '', attributes = '', alone] = match;
    const of = Object.fromEntries(
      [...attributes.matchAll(/([a-zA-Z-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
    );
    const box = {
      x: Number(of['x'] ?? 0),
      y: Number(of['y'] ?? 0),
      width: Number(of['width']),
      height: Number(of['height']),
    };
    if (name === '') {
      if (current) current = { ...current, text: unescapeXml(whole) };
      else expect(whole.trim()).toBe(open.at(-1) === 'title' ? whole.trim() : '');
    } else if (closes) {
      expect(open.pop()).toBe(name);
      if (name === 'text') texts.push(sized(current!));
      if (name === 'text') current = undefined;
    } else if (name === 'text') {
      current = { ...box, height: Number(of['font-size'] ?? FONT_SIZE), text: '' };
    }
    if (name !== '' && !closes && !alone) open.push(name);
    if (name === 'rect' && of['rx'] === '5') cards.push(box);
    if (name === 'svg' && !closes) size = box;
  }
  expect(at).toBe(svg.length);
  expect(open).toEqual([]);
  return { texts, cards, size };
}

const sized = ({ x, y, height, text }: Text): Text => ({
  x,
  y: y - height * 0.8,
  width: text.length * height * LETTER,
  height,
  text,
});
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const unescapeXml = (text: string) => text.replace(/&(\w+);/g, (_, name: string) => ENTITIES[name]!);
const overlap = (a: Box, b: Box) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const holds = (a: Box, b: Box) =>
  a.x <= b.x && a.y <= b.y && b.x + b.width <= a.x + a.width && b.y + b.height <= a.y + a.height;

/** Nothing may lie on anything else, or outside of where it belongs. */
function expectSound(svg: string): readonly string[] {
  const { texts, cards, size } = parse(svg);
  const bad: string[] = [];
  texts.forEach((text, index) => {
    if (!holds(size, text)) bad.push(`outside the picture: ${text.text}`);
    for (const other of texts.slice(index + 1))
      if (overlap(text, other)) bad.push(`${text.text} on ${other.text}`);
    for (const card of cards)
      if (overlap(card, text) && !holds(card, text)) bad.push(`over its card: ${text.text}`);
  });
  cards.forEach((card, index) => {
    if (!holds(size, card)) bad.push('a card outside the picture');
    for (const other of cards.slice(index + 1)) if (overlap(card, other)) bad.push('a card on another');
  });
  expect(bad).toEqual([]);
  return texts.map(({ text }) => text);
}

function planOf(board: Description, ...names: string[]): Plan {
  const tree = new Tree(readBlob(blobOf(board)));
  return planBundle(
    new Board(tree),
    names.map((name) => tree.find(name)!),
  );
}
const path = (name: string) => (name.length > 60 ? name.slice(-40) : name);

describe('a picture', () => {
  it('shows every member, page, line, stream, supply, blocker and other user', () => {
    const plan = planOf(BOARD, 'touch@20', 'pcie@50000000');
    const texts = expectSound(pictureOf(plan, 'touch of our board')).join('\n');
    expect(plan.members.length).toBeGreaterThan(2);
    for (const { node, access } of plan.members) {
      expect(texts).toContain(node.path);
      for (const { address } of access.pages) expect(texts).toContain(`registers 0x${address.toString(16)}`);
      for (const { gic } of access.lines) if (gic) expect(texts).toContain(`INTID ${gic.number}`);
      for (const { id } of access.streams) expect(texts).toContain(`stream 0x${id.toString(16)}`);
    }
    expect(plan.kept.length).toBeGreaterThan(0);
    for (const { role } of plan.kept) expect(texts).toContain(`${role}: `);
    expect(plan.blockers.length).toBeGreaterThan(0);
    for (const { kind, node } of plan.blockers) expect(texts).toContain(`${kind}\n${node}`);
    for (const user of plan.blockers.flatMap(({ users }) => users)) expect(texts).toContain(`also ${user}`);
  });

  it('of a plan that can move says so', () => {
    const texts = expectSound(pictureOf(planOf(BOARD, 'i2c@1000'), 'bus'));
    expect(texts).toContain('Nothing stands in the way');
    expect(texts.join('\n')).toContain('nothing stands in the way.');
  });

  it('of a plan that depends on there being no DMA says that', () => {
    const board = boardOf({ 'a@50000': other({}) });
    const tree = new Tree(readBlob(blobOf(board)));
    const plan = planBundle(new Board(tree), [tree.find('/a@50000')!]);
    const texts = expectSound(pictureOf(plan, 'bus')).join('\n');
    expect(texts).toContain('nothing else stands in the way, if the devices without a stream do no DMA');
  });

  it('is the same each time', () => {
    const draw = () => pictureOf(planOf(BOARD, 'touch@20'), 'touch');
    expect(draw()).toBe(draw());
  });

  it('tells blockers and accepted ones apart', () => {
    const plan = planOf(BOARD, 'touch@20');
    const accepted = pictureOf({ ...plan, blockers: [], accepted: plan.blockers }, 'touch');
    expect(expectSound(accepted).join('\n')).toContain('accepted: summaryInterrupt');
    expect(accepted).toContain('#b26a00');
    expect(expectSound(pictureOf(plan, 'touch')).join('\n')).not.toContain('accepted: ');
  });
});

/** A plan with so many of everything, and such names. */
function crowded(members: number, blockers: number, name = 'device'): Plan {
  const devices = Object.fromEntries(
    Array.from({ length: members }, (_, i) => [
      `${name}${i}`,
      { compatible: 'test', reg: [0x1000 * (i + 1), 0x800], iommus: [2, i, 0], interrupts: [0, i, 4] },
    ]),
  );
  const plan = planOf(
    {
      '#address-cells': [1],
      '#size-cells': [1],
      'interrupt-parent': [1],
      gic: { compatible: 'arm,gic-v3', phandle: [1], '#interrupt-cells': [3] },
      smmu: { compatible: 'arm,mmu-500', phandle: [2], '#iommu-cells': [2] },
      ...devices,
    },
    ...Object.keys(devices).map((each) => `/${each}`),
  );
  const trouble = Array.from(
    { length: blockers },
    (_, i): Blocker => ({
      kind: 'sharedStream',
      node: plan.members[i % members]!.node.path,
      what: `stream ${i} ${'and so on '.repeat(i)}`,
      users: Array.from({ length: i }, (_unused, user) => `/${name}/${'deep/'.repeat(user)}user${user}`),
      ways: ['a way '.repeat(i + 1)],
      ask: [],
    }),
  );
  return { ...plan, blockers: trouble };
}

describe('a crowded picture', () => {
  it.each([
    [1, 0],
    [1, 1],
    [8, 20],
    [8, 1],
    [1, 30],
    [40, 200],
  ])('%i members, %i blockers: nothing lies on anything else', (members, blockers) => {
    const plan = crowded(members, blockers);
    const svg = pictureOf(plan, 'crowded');
    const texts = expectSound(svg);
    expect(svg.length).toBeLessThan(150_000);
    expect(texts.filter((text) => text === 'sharedStream')).toHaveLength(Math.min(blockers, 24));
    if (blockers > 24) expect(texts).toContain(`and ${blockers - 24} more`);
    if (members > 12) expect(texts).toContain(`and ${members - 12} more devices`);
    if (blockers > 6) expect(texts).toContain('and 2 more');
  });

  it('the longest names a tree may have', () => {
    const svg = pictureOf(crowded(8, 20, 'x'.repeat(250)), 'y'.repeat(500));
    const texts = expectSound(svg);
    expect(texts.some((text) => text.includes('…'))).toBe(true);
    expect(texts.filter((text) => text.length > 110).map(path)).toEqual([]);
  });

  it('names that are meant to break it stay names', () => {
    const name = '<script>&amp;"\'';
    const svg = pictureOf(crowded(2, 3, name), `${name}\u0000\u001b\ud800`);
    const texts = expectSound(svg).join('\n');
    expect(texts).toContain(`/${name}0`);
    expect(svg).not.toContain('<script');
    expect(texts).toContain(`${name}\\u0000\\u001b\\ud800`);
  });
});

it('texts on each other, or over their card, would be found', () => {
  const svg = (...parts: string[]) =>
    `<svg width="900" height="90"><rect x="0" y="0" width="40" height="90" rx="5"/>${parts.join('')}</svg>`;
  expectSound(svg('<text x="0" y="20">ok</text>', '<text x="0" y="40">ok</text>'));
  expect(() => expectSound(svg('<text x="0" y="20">ok</text>', '<text x="10" y="22">ok</text>'))).toThrow();
  expect(() => expectSound(svg('<text x="0" y="20">too long</text>'))).toThrow();
  expect(() => expectSound(svg('<text x="0" y="20">a < b</text>'))).toThrow();
  expect(() => expectSound(svg('<text x="0" y="20">open'))).toThrow();
});
