/**
 * A description language for message fields. The TypeScript types, the codec (core/wire/codec.ts), the CDDL in
 * docs/PROTOCOL.md and the test vectors all follow from one description.
 *
 * Pure data; encoding is elsewhere.
 */

/** The type of one field. `T` is the TypeScript type of its value; it exists only for the compiler. */
export type FieldType<T = unknown> = { readonly of?: T } & (
  | { readonly kind: 'uint' }
  | { readonly kind: 'bool' }
  | { readonly kind: 'id' }
  | { readonly kind: 'resource' }
  | { readonly kind: 'text'; readonly bytesMax: number }
  | { readonly kind: 'bytes'; readonly bytesMin: number; readonly bytesMax: number }
  | { readonly kind: 'enum'; readonly names: readonly string[] }
  | { readonly kind: 'struct'; readonly name: string; readonly fields: Fields }
  | { readonly kind: 'list'; readonly item: FieldType; readonly itemsMax: number }
);

/** One field: its integer key on the wire, its type, and whether it may be absent. */
export interface Field<T = unknown, O extends boolean = boolean> {
  readonly key: number;
  readonly type: FieldType<T>;
  readonly optional: O;
}

/** Fields by their TypeScript name. Keys are unique and rise from 1. */
export type Fields = Readonly<Record<string, Field>>;

/** The TypeScript type of a value described by `F`. */
export type ValueOf<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Field<unknown, true> ? never : K]: TypeOf<F[K]>;
} & { readonly [K in keyof F as F[K] extends Field<unknown, true> ? K : never]?: TypeOf<F[K]> };

type TypeOf<F> = F extends Field<infer T> ? T : never;

/** A field that must be present. */
export function required<T>(key: number, type: FieldType<T>): Field<T, false> {
  return { key, type, optional: false };
}

/** A field that may be absent. */
export function optional<T>(key: number, type: FieldType<T>): Field<T, true> {
  return { key, type, optional: true };
}

/** An unsigned integer below 2^32. `T` lets a branded number pass. */
export function uint<T extends number = number>(): FieldType<T> {
  return { kind: 'uint' };
}

/** A boolean. */
export const BOOL: FieldType<boolean> = { kind: 'bool' };

/** The name of a VM, bundle or device (ids.ts). */
export function id<T extends string>(): FieldType<T> {
  return { kind: 'id' };
}

/** The name of a resource: a device name, a dot, a kind and a number. */
export function resource<T extends string>(): FieldType<T> {
  return { kind: 'resource' };
}

/** UTF-8 text for people, at most `bytesMax` bytes. No decision depends on it. */
export function text(bytesMax: number): FieldType<string> {
  return { kind: 'text', bytesMax };
}

/** Bytes; with one argument exactly that many. */
export function bytes(bytesMin: number, bytesMax: number = bytesMin): FieldType<Uint8Array> {
  return { kind: 'bytes', bytesMin, bytesMax };
}

/** One of `names`. Its index goes over the wire, so names are only appended. */
export function oneOf<const N extends readonly string[]>(names: N): FieldType<N[number]> {
  return { kind: 'enum', names };
}

/** A nested map. `name` is its rule name in the CDDL. */
export function struct<F extends Fields>(name: string, fields: F): FieldType<ValueOf<F>> {
  return { kind: 'struct', name, fields };
}

/** A list of at most `itemsMax` items. */
export function list<T>(item: FieldType<T>, itemsMax: number): FieldType<readonly T[]> {
  return { kind: 'list', item, itemsMax };
}
