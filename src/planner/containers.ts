/**
 * Recognizes files that are not device tree blobs, by their first bytes, and tells how to get a tree from them. Pure.
 * Nothing is unpacked here; the named tools do that.
 */

import { plainText } from '../common/plain-text.ts';

/** Bytes from the start of a file that `otherThanBlob` needs. */
export const HEAD_BYTES = 64 << 10;
/** Most trees or images of a file that are listed, one per line; the others are counted. */
export const LISTED_MAX = 32;

/** The start of a file, and its name for commands. */
interface Head {
  readonly bytes: Uint8Array;
  readonly name: string;
}

/** A known kind of file: its first bytes, and its text. */
interface Other {
  readonly offset: number;
  readonly magic: readonly number[];
  readonly say: (head: Head) => readonly string[];
}

const ascii = (text: string): readonly number[] => [...text].map((letter) => letter.charCodeAt(0));
const packed =
  (how: string, command: string) =>
  ({ name }: Head) => [
    `compressed with ${how}: unpack it first: ${command} <${shellWord(name)} >${outputFor(name)}`,
  ];

/** Offset of the version in a boot image of Android, the only version with trees, and the last version. */
const BOOT_VERSION_AT = 40;
const BOOT_VERSION_WITH_TREES = 2;
const BOOT_VERSION_LAST = 4;

const OTHERS: readonly Other[] = [
  // RFC 1952, 2.3.1.
  { offset: 0, magic: [0x1f, 0x8b], say: packed('gzip', 'gunzip') },
  // The .xz File Format, 2.1.1.1.
  { offset: 0, magic: [0xfd, ...ascii('7zXZ'), 0], say: packed('xz', 'xz -d') },
  // LZ4 Frame Format Description: a frame, and the legacy frame, which kernels use.
  { offset: 0, magic: [0x04, 0x22, 0x4d, 0x18], say: packed('lz4', 'lz4 -d') },
  { offset: 0, magic: [0x02, 0x21, 0x4c, 0x18], say: packed('lz4', 'lz4 -d') },
  // RFC 8878, 3.1.1.
  { offset: 0, magic: [0x28, 0xb5, 0x2f, 0xfd], say: packed('zstd', 'zstd -d') },
  // dt_table_header and dt_table_entry: Android's "DTB and DTBO partitions" (source.android.com), and mkdtboimg.
  { offset: 0, magic: [0xd7, 0xb7, 0xab, 0x1e], say: androidTable },
  // Android's "Boot image header" (source.android.com), and bootimg.h of mkbootimg.
  { offset: 0, magic: ascii('ANDROID!'), say: androidBoot },
  { offset: 0, magic: ascii('VNDRBOOT'), say: androidVendorBoot },
  // dev_tree.h of Little Kernel as Qualcomm has it.
  { offset: 0, magic: ascii('QCDT'), say: qualcommTable },
  // System V ABI, chapter 4, "ELF Identification".
  {
    offset: 0,
    magic: [0x7f, ...ascii('ELF')],
    say: () => ['a program or an object of one (ELF), no device tree: expected the blob, board.dtb'],
  },
  // Linux, Documentation/arch/arm64/booting.rst, and Documentation/arch/riscv/boot-image-header.rst.
  { offset: 0x38, magic: ascii('ARM\x64'), say: kernel('Image of arm64') },
  { offset: 0x38, magic: ascii('RSC\x05'), say: kernel('Image of RISC-V') },
  // Linux, arch/arm/boot/compressed/head.S: 0x016f2818, in the order of the bytes of most.
  { offset: 0x24, magic: [0x18, 0x28, 0x6f, 0x01], say: kernel('zImage of arm') },
];

/**
 * Returns the kind of a file that does not begin as a device tree blob, and how to get a tree, in one or more lines;
 * undefined for an unknown kind. `bytes`: the file, or at least HEAD_BYTES from its start. `name`: its name for the
 * commands in the answer.
 */
export function otherThanBlob(bytes: Uint8Array, name: string): readonly string[] | undefined {
  if (bytes.length === 0) return ['an empty file: expected a device tree blob'];
  const head = { bytes: bytes.subarray(0, HEAD_BYTES), name };
  const other = OTHERS.find(({ offset, magic }) => magic.every((byte, i) => bytes[offset + i] === byte));
  return other ? other.say(head) : source(head);
}

/** Returns a command that copies `bytes` bytes of a file from `offset` on into a new file. */
export function cutCommand(name: string, offset: number, bytes: number): string {
  const [file, output] = [shellWord(name), outputFor(name)];
  if (offset === 0) return `head -c ${bytes} ${file} >${output}`;
  return `tail -c +${offset + 1} ${file} | head -c ${bytes} >${output}`;
}

/** The output file of a command: never its input, which would be truncated. */
export function outputFor(name: string): string {
  return /(^|\/)board\.dtb$/.test(name) ? 'tree.dtb' : 'board.dtb';
}

/** Quotes a word for a POSIX shell. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`;
}

/** Returns one line for each of the first entries, and the number of the others. */
export function listed<T>(all: readonly T[], line: (each: T, index: number) => string): string[] {
  const lines = all.slice(0, LISTED_MAX).map((each, index) => `  ${line(each, index)}`);
  return all.length > LISTED_MAX ? [...lines, `  and ${all.length - LISTED_MAX} more`] : lines;
}

function androidTable(head: Head): readonly string[] {
  const count = numberOf(wordAt(head, 16, 'big'), 'entry', 'entries');
  return [
    `a table of device trees or overlays of Android, with ${count}, no device tree: ` +
      `mkdtboimg dump ${shellWord(head.name)} -b board.dtb writes each into a file: board.dtb.0 and so on`,
  ];
}

function androidBoot(head: Head): readonly string[] {
  const version = wordAt(head, BOOT_VERSION_AT, 'little');
  const what = `a boot image of Android (header version ${version}), no device tree`;
  const unpack = `unpack_bootimg --boot_img ${shellWord(head.name)} --out FOLDER`;
  if (version === BOOT_VERSION_WITH_TREES) return [`${what}: ${unpack} writes its trees into FOLDER/dtb`];
  if (version < BOOT_VERSION_WITH_TREES)
    return [`${what}: one of this version has none, or some behind its kernel, which ${unpack} takes out`];
  // Before Android had versions, vendors had their own sizes in that place.
  if (version > BOOT_VERSION_LAST)
    return [`${what}: it is of its maker's own kind: expected one of its trees`];
  return [`${what}: one of this version has none: they are in vendor_boot`];
}

function androidVendorBoot(head: Head): readonly string[] {
  const version = wordAt(head, 8, 'little');
  return [
    `a vendor boot image of Android (header version ${version}), no device tree: ` +
      `unpack_bootimg --boot_img ${shellWord(head.name)} --out FOLDER writes its trees into FOLDER/dtb`,
  ];
}

/** Bytes of an entry by version; the last two words of each are offset and size of a tree. */
const QUALCOMM_ENTRY_BYTES: Readonly<Record<number, number>> = { 1: 20, 2: 24, 3: 40 };
const QUALCOMM_HEADER_BYTES = 12;

function qualcommTable(head: Head): readonly string[] {
  const [version, count] = [wordAt(head, 4, 'little'), wordAt(head, 8, 'little')];
  const entries = numberOf(count, 'entry', 'entries');
  const what = `a table of device trees of Qualcomm (QCDT version ${version}), with ${entries}, no device tree`;
  const entryBytes = QUALCOMM_ENTRY_BYTES[version];
  if (entryBytes === undefined) return [`${what}: expected one of its trees`];
  // Entries of several boards may share one tree.
  const commands = new Set<string>();
  const inHead = Math.floor((head.bytes.length - QUALCOMM_HEADER_BYTES) / entryBytes);
  for (let i = 0; i < Math.min(count, inHead); i++) {
    const end = QUALCOMM_HEADER_BYTES + (i + 1) * entryBytes;
    commands.add(cutCommand(head.name, wordAt(head, end - 8, 'little'), wordAt(head, end - 4, 'little')));
  }
  return [`${what}: cut out that of the board`, ...listed([...commands], String)];
}

function kernel(what: string) {
  return () => [
    `a kernel (${what}), no device tree: the board's is a file of its own, of the kernel's "make dtbs"`,
  ];
}

/** Source text. Its #include lines need the C preprocessor, which dtc lacks. */
function source({ bytes, name }: Head): readonly string[] | undefined {
  if (bytes.includes(0)) return undefined;
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  if (!text.includes('/dts-v1/')) return undefined;
  const file = shellWord(name);
  const isOverlay = text.includes('/plugin/');
  const output = outputFor(name);
  const made = isOverlay ? `overlay-${output}` : output;
  const compile = /^\s*#\s*include/m.test(text)
    ? `cpp -nostdinc -undef -x assembler-with-cpp -I INCLUDES ${file} | dtc -I dts -O dtb -o ${made} -`
    : `dtc -I dts -O dtb -o ${made} ${file}`;
  return [
    isOverlay
      ? `source of an overlay, no blob: ${compile}, then apply it: fdtoverlay -i BASE.dtb -o ${output} ${made}`
      : `source of a device tree, no blob: ${compile}`,
  ];
}

/** Returns text from a file, escaped and shortened. */
export function shown(text: string): string {
  return plainText(text, 80);
}

/** `1 entry`, `2 entries`. */
export function numberOf(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Reads a 32-bit number; 0 behind the end. */
function wordAt({ bytes }: Head, at: number, order: 'big' | 'little'): number {
  const four = [0, 1, 2, 3].map((i) => bytes[at + i] ?? 0);
  return (order === 'big' ? four : four.reverse()).reduce((number, byte) => number * 256 + byte, 0);
}
