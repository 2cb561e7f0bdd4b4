/** Reads what `dtc -O dts` prints: a second opinion on a blob, by path and property. */

import { execFileSync } from 'node:child_process';
import { expect } from 'vitest';
import { readBlob } from '../../src/planner/blob.ts';
import { nodesBelow } from '../../src/planner/tree.ts';

/** Path → property → bytes. */
export type Listing = ReadonlyMap<string, ReadonlyMap<string, Uint8Array>>;

/** Texts, numbers, bytes, names and signs of the language, as far as dtc prints them. */
const TOKENS = /"(?:[^"\\]|\\.)*"|\[[^\]]*\]|<[^>]*>|[{};=]|[^\s{};="<>[\]]+/g;

export function listingOf(text: string): Listing {
  const tokens = text.replace(/\/\*.*?\*\//g, '').match(TOKENS) ?? [];
  const listing = new Map<string, Map<string, Uint8Array>>();
  const stack: string[] = [];
  let words: string[] = [];
  for (const token of tokens) {
    if (token === '{') {
      // The root is called `/`; a label may stand before a name.
      const name = words.at(-1)!;
      stack.push(stack.length === 0 ? '' : `${stack.at(-1)}/${name}`);
      listing.set(stack.at(-1) || '/', new Map());
      words = [];
    } else if (token === '}') {
      stack.pop();
      words = [];
    } else if (token === ';') {
      const properties = listing.get(stack.at(-1) || '/');
      if (words.length > 0 && stack.length > 0) {
        const [name = '', ...values] = words;
        properties!.set(name, bytesOf(values.filter((value) => value !== '=' && value !== ',')));
      }
      words = [];
    } else {
      words.push(token);
    }
  }
  return listing;
}

function bytesOf(values: readonly string[]): Uint8Array {
  return Uint8Array.from(
    values.flatMap((value): number[] => {
      const inner = value.slice(1, -1).trim();
      if (value.startsWith('"')) return [...textBytes(value.slice(1, -1)), 0];
      if (value.startsWith('['))
        return inner
          .split(/\s+/)
          .flatMap((bytes) => (bytes.match(/../g) ?? []).map((byte) => Number(`0x${byte}`)));
      const cells = inner === '' ? [] : inner.split(/\s+/).map(Number);
      return cells.flatMap((cell) => [cell >>> 24, (cell >>> 16) & 255, (cell >>> 8) & 255, cell & 255]);
    }),
  );
}

const ESCAPES: Readonly<Record<string, number>> = { 0: 0, a: 7, b: 8, t: 9, n: 10, v: 11, f: 12, r: 13 };

function textBytes(text: string): number[] {
  const bytes: number[] = [];
  for (const [part, hex, letter] of text.matchAll(/\\x([0-9a-fA-F]{2})|\\(.)|[\s\S]/g)) {
    if (hex !== undefined) bytes.push(Number(`0x${hex}`));
    else if (letter !== undefined) bytes.push(ESCAPES[letter] ?? letter.charCodeAt(0));
    else bytes.push(part.charCodeAt(0));
  }
  return bytes;
}

/** Compares what dtc says of a blob with what we say. Returns what differs, and how many properties were compared. */
export function compare(blob: Uint8Array): { differing: string[]; nodes: number; compared: number } {
  const text = execFileSync('dtc', ['-q', '-I', 'dtb', '-O', 'dts'], {
    input: blob,
    encoding: 'latin1',
    maxBuffer: 1 << 24,
  });
  const theirs = listingOf(text);
  const ours = new Map([...nodesBelow(readBlob(blob).root)].map((node) => [node.path, node.properties]));
  expect([...ours.keys()]).toEqual([...theirs.keys()]);
  const differing: string[] = [];
  let compared = 0;
  for (const [path, properties] of ours) {
    const other = theirs.get(path)!;
    if ([...properties.keys()].join() !== [...other.keys()].join()) differing.push(path);
    for (const [name, bytes] of properties) {
      compared += 1;
      if (!Buffer.from(bytes).equals(other.get(name) ?? Buffer.alloc(0))) differing.push(`${path} ${name}`);
    }
  }
  return { differing, nodes: ours.size, compared };
}
