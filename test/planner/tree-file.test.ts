/** Files that are one board's device tree, and what others are said to be, with the way to a tree. */

import { describe, expect, it } from 'vitest';
import { BLOB_BYTES_MAX, DeviceTreeError } from '../../src/planner/blob.ts';
import { HEAD_BYTES, LISTED_MAX } from '../../src/planner/containers.ts';
import { NotOneTree, readTreeFile } from '../../src/planner/tree-file.ts';
import { BOARD } from './board.ts';
import { blobOf, cells, type Description } from './builder.ts';

const joined = (...parts: readonly (Uint8Array | readonly number[] | string)[]) =>
  new Uint8Array(parts.flatMap((part) => [...(typeof part === 'string' ? ascii(part) : part)]));
const ascii = (text: string) => [...text].map((letter) => letter.charCodeAt(0));
const little = (...numbers: readonly number[]) => numbers.flatMap((number) => [...cells(number)].reverse());
/** Something of `bytes` bytes with `magic` at `offset`. */
const withMagic = (offset: number, ...magic: readonly number[]) => {
  const bytes = new Uint8Array(128);
  bytes.set(magic, offset);
  return bytes;
};

/** What a file is said to be, a line each. */
function saysOf(bytes: Uint8Array, name = 'file'): readonly string[] {
  try {
    readTreeFile(bytes, name);
  } catch (error) {
    if (error instanceof NotOneTree) return error.lines;
    throw error;
  }
  return ['a tree'];
}

const board = blobOf(BOARD);
const boardOf = (model: string, compatible: string) => blobOf({ model, compatible });
const OVERLAY: Description = {
  'fragment@0': { target: [0xffff_ffff], __overlay__: { status: 'okay' } },
  __fixups__: { i2c0: '/fragment@0:target:0' },
};

describe('a file of one tree', () => {
  it.each([
    ['alone', board],
    ['with zeros behind it', joined(board, new Uint8Array(4_096))],
    ['of version 16', blobOf(BOARD, 16)],
    ['with what dtc keeps for overlays', blobOf({ ...BOARD, __symbols__: { i2c0: '/soc@0' } })],
    ['with references to fill in, and CPUs', blobOf({ cpus: {}, __fixups__: { x: '/a:b:0' } })],
    ['with images, and nothing to boot', blobOf({ ...BOARD, images: {} })],
  ])('%s is read', (_, bytes) => {
    expect(saysOf(bytes)).toEqual(['a tree']);
  });

  it('is a tree whatever its memory reservations look like', () => {
    const bytes = board.slice();
    bytes.set(ascii('ARM\x64'), 0x38);
    expect(saysOf(bytes)).toEqual(['a tree']);
  });

  it('with anything else behind it is refused, with the command that cuts it out', () => {
    expect(saysOf(joined(board, [0, 0, 7, 0]))).toEqual([
      `2 bytes behind the device tree, from byte ${board.length + 2} on, are no padding (zeros); if the tree is ` +
        `the board's, cut it out: head -c ${board.length} file >board.dtb`,
    ]);
  });

  it('has a limit of its own, whatever a file may have', () => {
    const bytes = joined(board, new Uint8Array(BLOB_BYTES_MAX));
    bytes.set(cells(BLOB_BYTES_MAX + 1), 4);
    expect(() => readTreeFile(bytes, 'file')).toThrow(
      `${BLOB_BYTES_MAX + 1} bytes; at most ${BLOB_BYTES_MAX}`,
    );
  });

  it('that ends too early says so, as if it were alone', () => {
    expect(() => readTreeFile(board.subarray(0, 200), 'file')).toThrow(/has \d+ bytes, and ends after 200/);
    expect(() => readTreeFile(new Uint8Array(64).fill(65), 'file')).toThrow('does not begin with d00dfeed');
    expect(saysOf(joined(board, board.subarray(0, 200)))[0]).toMatch(/^200 bytes behind the device tree/);
  });

  it('that is damaged, or has no size, says so', () => {
    const changed = (offset: number, word: number) => {
      const bytes = board.slice();
      bytes.set(cells(word), offset);
      return bytes;
    };
    expect(() => readTreeFile(changed(20, 3), 'file')).toThrow('version 3, readable from 16');
    expect(() => readTreeFile(changed(4, 0), 'file')).toThrow(
      /^device tree, byte 0x4: 0 bytes are no header/,
    );
  });
});

describe('a file of several trees', () => {
  const [a, b] = [boardOf('Board \u001b[2J', 'test,a'), boardOf('Board B', 'test,b')];

  it('is refused, with model, compatible and place of each, and a command for each', () => {
    const broken = b.slice();
    broken.set(cells(3), 20);
    const overlay = blobOf(OVERLAY);
    const lines = saysOf(joined(a, [0, 0, 0, 0, 0], b, overlay, broken, 'xy'), "my 'file");
    const [atB, atOverlay] = [a.length + 5, a.length + 5 + b.length];
    const file = "'my '\\''file'";
    expect(lines).toEqual([
      '4 device trees, one behind the other, and 2 other bytes: cut out that of the board',
      `  1: no model (test,a), ${a.length} bytes at 0: head -c ${a.length} ${file} >board.dtb`,
      `  2: Board B (test,b), ${b.length} bytes at ${atB}: ` +
        `tail -c +${atB + 1} ${file} | head -c ${b.length} >board.dtb`,
      expect.stringMatching(`^  3: an overlay, no model \\(no compatible\\), \\d+ bytes at ${atOverlay}: `),
      expect.stringMatching(/^ {2}4: cannot be read \(device tree, byte 0x14: version 3.*\), \d+ bytes at /),
    ]);
  });

  it('is told as such when the first is damaged', () => {
    const broken = b.slice();
    broken.set(cells(3), 20);
    expect(saysOf(joined(broken, a))[0]).toContain('2 device trees');
  });

  it('is listed up to a limit, and counted up to another', () => {
    const small = blobOf({});
    const many = (count: number) =>
      new Uint8Array(count * small.length).map((_, i) => small[i % small.length]!);
    expect(saysOf(many(LISTED_MAX + 2))).toHaveLength(1 + LISTED_MAX + 1);
    expect(saysOf(many(LISTED_MAX + 2)).at(-1)).toBe('  and 2 more');
    expect(saysOf(many(3_000))[0]).toContain('1024 or more device trees');
  });

  it('a command never writes over the file that it reads', () => {
    expect(saysOf(joined(a, b), 'x/board.dtb')[1]).toMatch(/head -c \d+ x\/board.dtb >tree.dtb$/);
    expect(saysOf(withMagic(0, 0x1f, 0x8b), 'board.dtb')[0]).toContain('gunzip <board.dtb >tree.dtb');
  });
});

describe('an overlay', () => {
  const says = [
    'it is an overlay, which describes no board by itself: apply it first: fdtoverlay -i BASE.dtb -o board.dtb file',
  ];
  it.each<[string, Description]>([
    ['by its fragments', { compatible: 'test,board', 'fragment@0': { __overlay__: {} } }],
    ['by its fragments, whatever they are called', { other: { __overlay__: {} } }],
    ['by what a base tree has to fill in', { __fixups__: { i2c0: '/x:y:0' }, x: { y: [0xffff_ffff] } }],
    ['as dtc makes one', OVERLAY],
  ])('%s is refused', (_, description) => {
    expect(saysOf(blobOf(description))).toEqual(says);
  });
});

describe('a FIT image', () => {
  const image = (type: string, more: Description = {}): Description => ({ data: 'x', type, ...more });
  const imageOf = (images: Description) => blobOf({ images, configurations: {} });

  it('is refused, with each of its trees by name and the number that dumpimage gives it', () => {
    const bytes = imageOf({
      kernel: image('kernel'),
      'fdt-1': image('flat_dt', { description: 'revision A', compression: 'none' }),
      'fdt-2': image('flat_dt', { compression: 'gzip' }),
    });
    const expected = [
      'a FIT image of U-Boot with 3 images, no device tree of a board: take out that of the board',
      '  fdt-1, revision A: dumpimage -T flat_dt -p 1 -o board.dtb file',
      '  fdt-2, no description (compressed with gzip): dumpimage -T flat_dt -p 2 -o board.dtb file',
    ];
    expect(saysOf(bytes)).toEqual(expected);
    // Its images may be behind it, and be trees.
    expect(saysOf(joined(bytes, board, board))).toEqual(expected);
  });

  it('may be larger than a tree, and have none', () => {
    const small = imageOf({ kernel: { type: 'kernel' } });
    const bytes = joined(small, new Uint8Array(BLOB_BYTES_MAX));
    bytes.set(cells(bytes.length), 4);
    expect(saysOf(bytes)).toEqual([
      'a FIT image of U-Boot with 1 image, no device tree of a board: none of its images is one (of type flat_dt)',
    ]);
  });
});

const TABLE = joined(cells(0xd7b7_ab1e, 0, 32, 32, 3, 32, 2048, 0), new Uint8Array(96));
const bootImage = (version: number) => {
  const bytes = new Uint8Array(4_096);
  bytes.set(ascii('ANDROID!'));
  bytes.set(little(version), 40);
  return bytes;
};
const QCDT = joined(
  'QCDT',
  little(2, 3),
  little(1, 2, 3, 4, 2_048, 700),
  little(1, 2, 3, 5, 2_048, 700),
  little(9, 2, 3, 4, 4_096, 800),
);
const OTHERS: readonly (readonly [string, Uint8Array, string])[] = [
  ['nothing', new Uint8Array(0), 'an empty file'],
  ['gzip', withMagic(0, 0x1f, 0x8b), 'compressed with gzip: unpack it first: gunzip <file >board.dtb'],
  ['xz', withMagic(0, 0xfd, ...ascii('7zXZ'), 0), 'compressed with xz: unpack it first: xz -d'],
  ['lz4', withMagic(0, 0x04, 0x22, 0x4d, 0x18), 'compressed with lz4'],
  ['lz4 of old', withMagic(0, 0x02, 0x21, 0x4c, 0x18), 'compressed with lz4'],
  ['zstd', withMagic(0, 0x28, 0xb5, 0x2f, 0xfd), 'compressed with zstd'],
  [
    'a table of Android',
    TABLE,
    'with 3 entries, no device tree: mkdtboimg dump file -b board.dtb writes each into a file: board.dtb.0',
  ],
  ['a boot image without a version', bootImage(0), 'has none, or some behind its kernel'],
  ['a boot image with trees', bootImage(2), '--boot_img file --out FOLDER writes its trees into FOLDER/dtb'],
  ['a boot image of now', bootImage(4), 'they are in vendor_boot'],
  ['a boot image of its own kind', bootImage(99_999), "of its maker's own kind"],
  [
    'a vendor boot image',
    joined('VNDRBOOT', little(4), new Uint8Array(99)),
    '(header version 4), no device tree: unpack_bootimg --boot_img file --out FOLDER',
  ],
  [
    'a table of Qualcomm',
    QCDT,
    '(QCDT version 2), with 3 entries, no device tree: cut out that of the board',
  ],
  [
    'a table of Qualcomm of no known version',
    joined('QCDT', little(7, 1)),
    'with 1 entry, no device tree: expected',
  ],
  ['a program', withMagic(0, 0x7f, ...ascii('ELF')), '(ELF)'],
  ['a kernel of arm64', withMagic(0x38, ...ascii('ARM\x64')), 'a kernel (Image of arm64)'],
  ['a kernel of RISC-V', withMagic(0x38, ...ascii('RSC\x05')), 'a kernel (Image of RISC-V)'],
  ['a kernel of arm', withMagic(0x24, 0x18, 0x28, 0x6f, 0x01), 'a kernel (zImage of arm)'],
  [
    'source',
    joined('/* SPDX */\n/dts-v1/;\n/ { };\n'),
    'source of a device tree, no blob: dtc -I dts -O dtb -o board.dtb file',
  ],
  [
    'source with includes',
    joined('/dts-v1/;\n#include "a.dtsi"\n'),
    'cpp -nostdinc -undef -x assembler-with-cpp -I INCLUDES file | dtc -I dts -O dtb -o board.dtb -',
  ],
  [
    'source of an overlay',
    joined('/dts-v1/;\n/plugin/;\n'),
    'dtc -I dts -O dtb -o overlay-board.dtb file, then apply it: fdtoverlay -i BASE.dtb -o board.dtb overlay-board.dtb',
  ],
];

describe('what is no blob', () => {
  it.each(OTHERS)('%s is named, with what to do', (_, bytes, words) => {
    expect(saysOf(bytes)[0]).toContain(words);
    // Of a long file the start is enough.
    if (bytes.length > 0 && bytes[0] !== 0x2f)
      expect(saysOf(joined(bytes, new Uint8Array(HEAD_BYTES)))[0]).toContain(words);
  });

  it('a table of Qualcomm has a command for each tree, which several entries may be of', () => {
    expect(saysOf(QCDT).slice(1)).toEqual([
      '  tail -c +2049 file | head -c 700 >board.dtb',
      '  tail -c +4097 file | head -c 800 >board.dtb',
    ]);
  });
});

it('damaged in any way a file is a tree, a damaged one, or named, in harmless lines of bounded length', () => {
  const rounds = 20_000;
  let seed = Number(process.env['BATON_SEED'] ?? 1);
  console.log(`damaged files: seed ${seed}`);
  const random = (below: number) => {
    // Numerical Recipes' linear congruential generator, its upper bits: the lower ones repeat soon.
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return (seed >>> 8) % below;
  };
  const files = [
    board,
    joined(board, [0, 0], blobOf(OVERLAY), board),
    blobOf(OVERLAY),
    blobOf({ images: { fdt: { type: 'flat_dt', description: 'x' } }, configurations: {} }),
    ...OTHERS.map(([, bytes]) => bytes).filter(({ length }) => length > 0),
  ];
  const ends = { tree: 0, damaged: 0, named: 0 };
  for (let round = 0; round < rounds; round++) {
    let bytes = files[random(random(2) === 0 ? 4 : files.length)]!.slice();
    if (random(4) === 0) bytes = bytes.subarray(0, random(bytes.length));
    if (random(4) === 0) bytes = joined(bytes, files[random(files.length)]!);
    for (let change = random(4); change > 0 && bytes.length > 0; change--)
      bytes[random(random(2) === 0 ? bytes.length : Math.min(64, bytes.length))] = [
        0,
        0xff,
        0x80,
        random(256),
      ][random(4)]!;
    try {
      readTreeFile(bytes, 'file');
      ends.tree++;
    } catch (error) {
      if (error instanceof DeviceTreeError) ends.damaged++;
      else if (!(error instanceof NotOneTree)) throw error;
      else {
        ends.named++;
        expect(error.lines.length).toBeLessThanOrEqual(LISTED_MAX + 2);
        for (const line of error.lines) expect(line).toMatch(/^[\x20-\x7e…]{1,500}$/);
      }
    }
  }
  console.log(ends);
  for (const count of Object.values(ends)) expect(count).toBeGreaterThan(rounds / 50);
}, 60_000);
