/**
 * docs/wire.cddl is rendered from the schemas; `-u` writes it anew.
 */

import { expect, test } from 'vitest';
import { renderCddl } from '../../../src/core/wire/cddl.ts';
import { HANDSHAKE_MESSAGES, SESSION_MESSAGES } from '../../../src/core/wire/handshake.ts';

test('docs/wire.cddl is what the schemas say', async () => {
  await expect(renderCddl()).toMatchFileSnapshot('../../../docs/wire.cddl');
});

test('every rule that is used is defined exactly once', () => {
  const code = renderCddl()
    .replace(/;.*$/gm, '')
    .replace(/"[^"]*"/g, '');
  const defined = [...code.matchAll(/^([a-z][a-z0-9-]*) = /gm)].map(([, name]) => name!);
  const references = [...code.matchAll(/(?:=> |[[/(] ?|\.cbor |\d )([a-z][a-z0-9-]+)(?![a-zA-Z0-9:-])/g)];
  const used = references.map(([, name]) => name!).filter((name) => !BUILT_IN.includes(name));
  expect(defined).toEqual([...new Set(defined)]);
  expect(used.filter((name) => !defined.includes(name))).toEqual([]);
});

test('no two messages share a number', () => {
  const numbers = Object.values({ ...HANDSHAKE_MESSAGES, ...SESSION_MESSAGES }).map(({ number }) => number);
  expect(new Set(numbers).size).toBe(numbers.length);
});

const BUILT_IN = ['bstr', 'tstr', 'uint', 'bool'];
