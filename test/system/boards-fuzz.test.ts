/**
 * Damaged blobs of real boards, read, and planned when they are still trees: nothing throws but DeviceTreeError from
 * the reader, nothing is read outside the blob, nothing takes long. Whole boards are few, for they are slow; the rest
 * are pieces of them: a device with what is above it, below it, and what it points to, which is where a plan looks.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bundleId, vmId } from '../../src/core/protocol/ids.ts';
import { DeviceTreeError, type DtNode, readBlob } from '../../src/planner/blob.ts';
import { Board } from '../../src/planner/board.ts';
import { definitionOf } from '../../src/planner/definition.ts';
import { planLines } from '../../src/planner/describe.ts';
import { pictureOf } from '../../src/planner/picture.ts';
import { planBundle } from '../../src/planner/plan.ts';
import { devicesOf, verdictOf } from '../../src/planner/survey.ts';
import { Tree } from '../../src/planner/tree.ts';
import { blobOf, type Description } from '../planner/builder.ts';
import { BOARDS_FOLDER } from './boards.ts';

const PIECES_PER_BOARD = 24;
/** Pieces that are damaged: a minute's work for `.ci/scheduled` by BATON_PIECES, seconds for each commit. */
const PIECE_ROUNDS = Number(process.env['BATON_PIECES'] ?? 19_700);
const BOARD_ROUNDS = 300;
/** Of each piece of the demo board. */
const DEMO_ROUNDS = 100;
/** The slowest whole board takes some 15 ms; a hang takes for ever; a busy machine takes the processor for seconds. */
const BLOB_MS_MAX = 20_000;
/** A piece has so many of a device's parts. */
const CHILDREN_MAX = 4;

let seed = Number(process.env['BATON_SEED'] ?? 1);
function random(below: number): number {
  // Numerical Recipes' linear congruential generator; its high bits, for the low ones repeat soon.
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 0x1_0000_0000) * below);
}

/** What a node has that is only pointed to, or above: what it would point to itself is not in the piece. */
const OWN =
  /^#|^(reg|ranges|compatible|status|phandle|device_type|interrupt-(controller|parent)|msi-controller|dma-coherent)$/;

/** A piece of a board: the nodes of `kept` with all above them, and `whole` with all that they say. */
function pieceOf(node: DtNode, kept: ReadonlySet<DtNode>, whole: ReadonlySet<DtNode>): Description {
  const children = node.children.filter((child) => kept.has(child) && !node.properties.has(child.name));
  return Object.fromEntries([
    ...[...node.properties].filter(([name]) => whole.has(node) || OWN.test(name)),
    ...children.map((child) => [child.name, pieceOf(child, kept, whole)] as const),
  ]);
}

function piecesOf(blob: Uint8Array): Uint8Array[] {
  const tree = new Tree(readBlob(blob));
  const board = new Board(tree);
  const devices = devicesOf(board);
  return Array.from({ length: PIECES_PER_BOARD }, () => {
    // One to ask for, and somebody to share with.
    const both = [devices[random(devices.length)]!, devices[random(devices.length)]!];
    const whole = new Set(both.flatMap((device) => [device, ...device.children.slice(0, CHILDREN_MAX)]));
    const kept = new Set<DtNode>();
    const keep = (node: DtNode | undefined) => {
      for (let at = node; at !== undefined; at = at.parent) kept.add(at);
    };
    for (const node of whole) {
      keep(node);
      const { lines, streams } = board.access(node);
      for (const { declaredBy, iommu } of streams) {
        whole.add(declaredBy);
        for (const each of [declaredBy, iommu]) keep(each);
      }
      for (const { interrupt } of lines) keep(interrupt.controller);
      for (const { target } of board.needs(node)) keep(target);
    }
    return blobOf(pieceOf(tree.root, kept, whole));
  });
}

const CELLS = [0, 1, 2, 3, 4, 9, 8, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fff0];

/** Some changes, most of them within the structure: bytes, cells, cells from elsewhere, an early end. */
function damaged(whole: Uint8Array): Uint8Array {
  const bytes = whole.slice(0, random(64) === 0 ? random(whole.length) : whole.length);
  const view = new DataView(bytes.buffer);
  const at = new DataView(whole.buffer, whole.byteOffset).getUint32(8);
  for (let change = random(4); change >= 0 && bytes.length > at + 8; change--) {
    const place = random(16) === 0 ? random(bytes.length) : at + random(bytes.length - at);
    const cell = Math.min(place & ~3, (bytes.length & ~3) - 4);
    const kind = random(4);
    if (kind === 0) bytes[place] = random(256);
    else if (kind === 1) view.setUint32(cell, CELLS[random(CELLS.length)]!);
    else if (kind === 2) view.setUint32(cell, view.getUint32(at + (random(bytes.length - at - 4) & ~3)));
    else view.setUint32(cell, (view.getUint32(cell) + random(3) - 1) >>> 0);
  }
  return bytes;
}

/** What reading comes to, in a text that differs when anything differs. Only a DeviceTreeError may be thrown. */
function outcome(bytes: Uint8Array): { text: string; tree: Tree | undefined } {
  try {
    const tree = new Tree(readBlob(bytes));
    const nodes = [...tree.nodes()];
    const size = nodes.reduce(
      (sum, { properties }) => [...properties.values()].reduce((all, { length }) => all + length, sum),
      0,
    );
    return { text: `${nodes.length} nodes, ${size} bytes`, tree };
  } catch (error) {
    if (!(error instanceof DeviceTreeError)) throw error;
    return { text: error.message, tree: undefined };
  }
}

/** The same bytes with other bytes around them: what is read outside would show. */
function surrounded(bytes: Uint8Array, by: number): Uint8Array {
  const room = new Uint8Array(bytes.length + 128).fill(by);
  room.set(bytes, 64);
  return room.subarray(64, 64 + bytes.length);
}

const counts = { trees: 0, free: 0, unsure: 0, blocked: 0, unreadable: 0, slowestMs: 0 };

function round(whole: Uint8Array): void {
  const startMs = performance.now();
  const bytes = damaged(whole);
  const { text, tree } = outcome(surrounded(bytes, 0xff));
  // Views end where the blob does; that nothing passes by them is looked at in every fourth round, for it takes as
  // long as the rest.
  const again = random(4) === 0 ? outcome(surrounded(bytes, 0)).text : text;
  // A hundred thousand calls of expect take seconds.
  if (again !== text) expect(again).toBe(text);
  if (tree) plan(tree);
  counts.slowestMs = Math.max(counts.slowestMs, performance.now() - startMs);
}

function plan(tree: Tree): void {
  counts.trees += 1;
  const board = new Board(tree);
  counts.unreadable += board.unreadable.size > 0 ? 1 : 0;
  const nodes = [...tree.nodes()];
  const wanted = [nodes[random(nodes.length)]!, ...devicesOf(board).slice(0, 1)];
  const found = planBundle(board, wanted, { powerReset: random(2) === 0 });
  counts[verdictOf(found)] += 1;
  const lines = planLines(found).length + planLines({ ...found, accepted: found.blockers }).length;
  definitionOf(found, bundleId('fuzz'), vmId('owner'));
  if (random(16) === 0) expect(pictureOf(found, 'fuzz').length).toBeLessThan(200_000);
  if (lines < 3) throw new Error(`a plan of ${wanted[0]!.path} in ${lines} lines`);
}

it('pieces of the demo board, which is in the repository, end in a plan or in an error, damaged or not', () => {
  const blob = new Uint8Array(readFileSync(join(import.meta.dirname, '../fixtures/board.dtb')));
  const before = counts.trees;
  for (const piece of [blob, ...piecesOf(blob)]) {
    const { tree } = outcome(piece);
    expect(tree).toBeDefined();
    plan(tree!);
    for (let i = 0; i < DEMO_ROUNDS; i++) round(piece);
  }
  expect(counts.trees).toBeGreaterThan(before + PIECES_PER_BOARD);
  expect(counts.slowestMs).toBeLessThan(BLOB_MS_MAX);
});

if (!existsSync(BOARDS_FOLDER)) console.warn(`no boards in ${BOARDS_FOLDER}: none are damaged`);
else
  it(`${PIECE_ROUNDS + BOARD_ROUNDS} damaged blobs of real boards end in a plan or in an error, and soon`, () => {
    console.log(`damaged boards: seed ${seed}`);
    const startMs = performance.now();
    const boards = readdirSync(BOARDS_FOLDER)
      .filter((name) => name.endsWith('.dtb'))
      .map((name) => new Uint8Array(readFileSync(join(BOARDS_FOLDER, name))));
    const pieces = boards.flatMap(piecesOf);
    for (let i = 0; i < BOARD_ROUNDS; i++) round(boards[i % boards.length]!);
    for (let i = 0; i < PIECE_ROUNDS; i++) round(pieces[i % pieces.length]!);
    console.log(
      `${counts.trees} were still trees, ${counts.unreadable} of them with nodes that cannot be ` +
        `read; plans: ${counts.free} can move, ${counts.unsure} unsure, ${counts.blocked} cannot; ` +
        `slowest ${counts.slowestMs.toFixed(0)} ms, all ` +
        `${((performance.now() - startMs) / 1_000).toFixed(1)} s`,
    );
    expect(counts.slowestMs).toBeLessThan(BLOB_MS_MAX);
    // Neither all broken nor all whole, and plans of each kind: else the damage shows nothing.
    expect(counts.trees).toBeGreaterThan(PIECE_ROUNDS / 10);
    expect(counts.trees).toBeLessThan(PIECE_ROUNDS);
    for (const count of [counts.free, counts.unsure, counts.blocked, counts.unreadable])
      expect(count).toBeGreaterThan(PIECE_ROUNDS / 1_000);
  }, 300_000);
