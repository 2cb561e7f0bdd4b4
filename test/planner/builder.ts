/** Writes flattened device trees, sound ones and others, from a nested description. */

/** A node: properties are bytes, texts, or lists of cells; children are nodes. */
export interface Description {
  readonly [name: string]: Uint8Array | string | readonly number[] | Description;
}

const isNode = (value: Description[string]): value is Description =>
  typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array);

/** Big-endian cells. */
export function cells(...numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 4);
  numbers.forEach((number, index) => {
    new DataView(bytes.buffer).setUint32(index * 4, number);
  });
  return bytes;
}

function bytesOf(value: Uint8Array | string | readonly number[]): Uint8Array {
  if (typeof value === 'string') return new TextEncoder().encode(`${value}\0`);
  return value instanceof Uint8Array ? value : cells(...value);
}

const padded = (bytes: Uint8Array): number[] => [
  ...bytes,
  ...new Array((4 - (bytes.length % 4)) % 4).fill(0),
];

/** A blob of version 16 or 17. */
export function blobOf(root: Description, version: 16 | 17 = 17): Uint8Array {
  const strings: number[] = [];
  const places = new Map<string, number>();
  const struct: number[] = [];
  const word = (number: number) => struct.push(...cells(number));
  const write = (name: string, node: Description) => {
    word(1);
    struct.push(...padded(new TextEncoder().encode(`${name}\0`)));
    for (const [property, value] of Object.entries(node)) {
      if (isNode(value)) continue;
      if (!places.has(property)) {
        places.set(property, strings.length);
        strings.push(...new TextEncoder().encode(`${property}\0`));
      }
      const bytes = bytesOf(value);
      word(3);
      word(bytes.length);
      word(places.get(property)!);
      // One by one: a call has not room for all bytes of a huge property.
      for (const byte of padded(bytes)) struct.push(byte);
    }
    for (const [child, value] of Object.entries(node)) if (isNode(value)) write(child, value);
    word(2);
  };
  write('', root);
  word(9);
  const header = version === 17 ? 40 : 36;
  const reserve = Math.ceil(header / 8) * 8;
  const structAt = reserve + 32;
  const stringsAt = structAt + struct.length;
  const total = stringsAt + strings.length;
  const head = [0xd00d_feed, total, structAt, stringsAt, reserve, version, 16, 0, strings.length];
  const bytes = new Uint8Array(total);
  bytes.set(cells(...head, ...(version === 17 ? [struct.length] : [])));
  bytes.set(cells(0, 0x8000_0000, 0, 0x1000, 0, 0, 0, 0), reserve);
  bytes.set(struct, structAt);
  bytes.set(strings, stringsAt);
  return bytes;
}
