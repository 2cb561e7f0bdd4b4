/**
 * Converts between CBOR bytes and the values that core/protocol/schema.ts describes. Pure. Only this file uses
 * cbor-x.
 *
 * Decoding scans the bytes, decodes them to Maps, and checks each field against its description; a value is returned
 * only if all checks pass. A description is compiled once into closures, because this runs for every message. Byte
 * strings are plain copies on every engine (cbor-x returns Buffers on Node, and views of its input).
 */

import { Encoder } from 'cbor-x/index-no-eval';
import { RESOURCES_MAX } from '../protocol/bundle.ts';
import { isId, isUint32 } from '../protocol/ids.ts';
import type { Fields, FieldType, ValueOf } from '../protocol/schema.ts';
import { RESOURCE_NAME_BYTES_MAX } from './limits.ts';
import { type ScanFault, scan } from './scanner.ts';
import { utf8Length } from './utf8.ts';

/** Values of the profile. Numbers are uint32; the keys of a map rise in insertion order. */
export type CborValue =
  | number
  | boolean
  | string
  | Uint8Array
  | readonly CborValue[]
  | ReadonlyMap<number, CborValue>;

/** Why a well-formed value does not fit its description. */
export type ShapeFault = 'type' | 'range' | 'missing' | 'unknownKey';

/** Why encoding or decoding failed; `field` is the path of the faulty field, for a log. */
export interface CodecFault {
  readonly ok: false;
  readonly reason: ScanFault | ShapeFault;
  readonly field: string;
}

/** Encoder and decoder of one description. */
export interface Shape<F extends Fields> {
  /** Returns the map for the wire, or why `value` does not fit the description. */
  toMap(value: ValueOf<F>): { readonly ok: true; readonly map: ReadonlyMap<number, CborValue> } | CodecFault;
  /** Returns the value of `map`, or why it does not fit. `map` may be anything. */
  fromMap(map: unknown): { readonly ok: true; readonly value: ValueOf<F> } | CodecFault;
}

/**
 * Returns the deterministic encoding of `value`, which must be in the profile (the callers ensure it; the tests scan
 * all output). The caller owns the bytes.
 */
export function encodeCbor(value: CborValue): Uint8Array {
  return new Uint8Array(CODEC.encode(value));
}

/** Returns the value of `bytes` after a strict scan, at most `bytesMax` long (default FRAME_BYTES_MAX). */
export function decodeCbor(
  bytes: Uint8Array,
  bytesMax?: number,
): { readonly ok: true; readonly value: unknown } | CodecFault {
  const scanned = scan(bytes, bytesMax === undefined ? {} : { bytesMax });
  if (scanned !== 'ok') return { ok: false, reason: scanned, field: '' };
  try {
    return { ok: true, value: CODEC.decode(bytes) };
  } catch {
    // The scanner accepts nothing that cbor-x refuses (tested). If it ever did, only this message would be
    // lost.
    return { ok: false, reason: 'type', field: '' };
  }
}

/** Compiles a description. Throws a RangeError when its keys do not rise from 1 (a bug of ours). */
export function compile<F extends Fields>(fields: F): Shape<F> {
  const struct = compileStruct(fields);
  return {
    toMap(value) {
      const trouble = new Trouble();
      const map = struct.toWire(value, trouble);
      if (map === undefined) return trouble.fault();
      return { ok: true, map: map as ReadonlyMap<number, CborValue> };
    },
    fromMap(map) {
      const trouble = new Trouble();
      const value = struct.fromWire(map, trouble);
      return value === undefined ? trouble.fault() : { ok: true, value: value as ValueOf<F> };
    },
  };
}

/** Both directions of one type. `undefined` means that the value does not fit; `trouble` has the reason. */
interface Converter {
  toWire(value: unknown, trouble: Trouble): unknown;
  fromWire(value: unknown, trouble: Trouble): unknown;
}

/** Collects the reason of a failure and the path of its field. */
class Trouble {
  reason: ShapeFault = 'type';
  field = '';

  because(reason: ShapeFault): undefined {
    this.reason = reason;
    return undefined;
  }

  inside(name: string): undefined {
    this.field = this.field === '' ? name : `${name}.${this.field}`;
    return undefined;
  }

  fault(): CodecFault {
    return { ok: false, reason: this.reason, field: this.field };
  }
}

function compileType(type: FieldType): Converter {
  switch (type.kind) {
    case 'uint':
      return same(isUint32, (value) => (typeof value === 'number' ? 'range' : 'type'));
    case 'bool':
      return same((value) => typeof value === 'boolean');
    case 'id':
      return same(isId);
    case 'resource':
      return same(isResourceName);
    case 'text':
      return same(
        (value) => typeof value === 'string' && fitsText(value, type.bytesMax),
        (value) => (typeof value === 'string' ? 'range' : 'type'),
      );
    case 'bytes':
      return compileBytes(type.bytesMin, type.bytesMax);
    case 'enum':
      return compileEnum(type.names);
    case 'struct':
      return compileStruct(type.fields);
    case 'list':
      return compileList(type.item, type.itemsMax);
  }
}

/** A type whose value is the same on both sides. */
function same(
  fits: (value: unknown) => boolean,
  why: (value: unknown) => ShapeFault = () => 'type',
): Converter {
  const check = (value: unknown, trouble: Trouble) => (fits(value) ? value : trouble.because(why(value)));
  return { toWire: check, fromWire: check };
}

function compileBytes(bytesMin: number, bytesMax: number): Converter {
  const check = (value: unknown, trouble: Trouble): Uint8Array | undefined => {
    if (!(value instanceof Uint8Array)) return trouble.because('type');
    return value.length < bytesMin || value.length > bytesMax ? trouble.because('range') : value;
  };
  return {
    toWire: check,
    fromWire(value, trouble) {
      const checked = check(value, trouble);
      return checked === undefined ? undefined : new Uint8Array(checked);
    },
  };
}

function compileEnum(names: readonly string[]): Converter {
  const numbers = new Map<unknown, number>(names.map((name, index) => [name, index]));
  return {
    toWire: (value, trouble) => numbers.get(value) ?? trouble.because('range'),
    fromWire: (value, trouble) =>
      isUint32(value) ? (names[value] ?? trouble.because('range')) : trouble.because('type'),
  };
}

function compileList(item: FieldType, itemsMax: number): Converter {
  const converter = compileType(item);
  const convertAll = (direction: 'toWire' | 'fromWire') => (value: unknown, trouble: Trouble) => {
    if (!Array.isArray(value)) return trouble.because('type');
    if (value.length > itemsMax) return trouble.because('range');
    const converted: unknown[] = [];
    for (let index = 0; index < value.length; index++) {
      const one = converter[direction](value[index], trouble);
      if (one === undefined) return trouble.inside(String(index));
      converted.push(one);
    }
    return converted;
  };
  return { toWire: convertAll('toWire'), fromWire: convertAll('fromWire') };
}

function compileStruct(fields: Fields): Converter {
  const rows = Object.entries(fields)
    .map(([name, field]) => ({ name, ...field, converter: compileType(field.type) }))
    .sort((a, b) => a.key - b.key);
  rows.forEach((row, index) => {
    const isRising = row.key > (rows[index - 1]?.key ?? 0);
    if (!isRising) throw new RangeError(`field ${row.name}: key ${row.key} is 0 or used twice`);
  });
  return {
    toWire(value, trouble) {
      if (typeof value !== 'object' || value === null) return trouble.because('type');
      const map = new Map<number, unknown>();
      for (const row of rows) {
        const given = (value as Record<string, unknown>)[row.name];
        if (given === undefined) {
          if (row.optional) continue;
          trouble.because('missing');
          return trouble.inside(row.name);
        }
        const converted = row.converter.toWire(given, trouble);
        if (converted === undefined) return trouble.inside(row.name);
        map.set(row.key, converted);
      }
      return map;
    },
    fromWire(map, trouble) {
      if (!(map instanceof Map)) return trouble.because('type');
      const value: Record<string, unknown> = {};
      let found = 0;
      for (const row of rows) {
        const given = map.get(row.key);
        if (given === undefined) {
          if (row.optional) continue;
          trouble.because('missing');
          return trouble.inside(row.name);
        }
        const converted = row.converter.fromWire(given, trouble);
        if (converted === undefined) return trouble.inside(row.name);
        value[row.name] = converted;
        found++;
      }
      return found === map.size ? value : trouble.because('unknownKey');
    },
  };
}

/** Returns whether `text` may be sent and has at most `bytesMax` bytes. */
function fitsText(text: string, bytesMax: number): boolean {
  if (text.length > bytesMax) return false;
  const bytes = utf8Length(text);
  return bytes >= 0 && bytes <= bytesMax;
}

/** Returns whether `name` names a resource: a device, a dot, a kind and a number without leading zeros. */
function isResourceName(name: unknown): name is string {
  if (typeof name !== 'string' || name.length > RESOURCE_NAME_BYTES_MAX) return false;
  const dot = name.lastIndexOf('.');
  const kind = RESOURCE_KINDS.find((candidate) => name.startsWith(candidate, dot + 1));
  if (dot < 1 || kind === undefined || !isId(name.slice(0, dot))) return false;
  const digits = name.slice(dot + 1 + kind.length);
  const number = Number(digits);
  return String(number) === digits && Number.isInteger(number) && number >= 0 && number < RESOURCES_MAX;
}

const RESOURCE_KINDS = ['mmio', 'interrupt', 'stream'] as const;

/**
 * All options are set, since the defaults differ between engines: by default cbor-x adds record tags, tags byte
 * strings (64) and maps (259), writes map heads of fixed size and turns integer keys into text.
 */
const CODEC_OPTIONS = {
  useRecords: false,
  mapsAsObjects: false,
  useTag259ForMaps: false,
  variableMapSize: true,
  tagUint8Array: false,
  int64AsNumber: true,
  structuredClone: false,
  bundleStrings: false,
  pack: false,
};
const CODEC = new Encoder(CODEC_OPTIONS);
