/** What enforcers remember that cannot read back: who was granted what, and what they refuse. */

import { expect, it } from 'vitest';
import { resourcesOf } from '../../../src/core/protocol/bundle.ts';
import { Notebook } from '../../../src/edges/enforcer/notebook.ts';
import type { EnforcerCall } from '../../../src/ports/enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';

const names = resourcesOf(PANEL).map(({ id }) => id);
const VMS = [ANDROID, VAULT];

function testbed() {
  const book = new Notebook([PANEL], 'blocked');
  const note = (call: EnforcerCall) => book.note(PANEL.id, call, VMS);
  const grant = (index: number, vm = VAULT) => note({ op: 'grant', resource: names[index]!, vm });
  const fence = (index: number) => note({ op: 'fence', resource: names[index]! });
  const reach = (index: number) => note({ op: 'inspect', resource: names[index]! });
  return { book, note, grant, fence, reach };
}

it('a bundle is held by who was granted all of it', () => {
  const { book, grant } = testbed();
  for (const index of names.keys()) {
    expect(book.holderOf(PANEL.id)).toBeUndefined();
    expect(grant(index)).toEqual({ ok: true });
  }
  expect(book.holderOf(PANEL.id)).toBe(VAULT);
});

it('what is fenced is unknown until it is settled, and granted to nobody', () => {
  const { note, grant, fence, reach } = testbed();
  grant(0);
  fence(0);
  expect(reach(0)).toEqual({ ok: true, reach: 'unknown' });
  expect(grant(0, ANDROID)).toEqual({ ok: false, error: 'touch.mmio0 is fenced and not settled' });
  note({ op: 'settle' });
  expect(reach(0)).toEqual({ ok: true, reach: 'blocked' });
  expect(grant(0, ANDROID)).toEqual({ ok: true });
  expect(grant(0, VAULT)).toEqual({ ok: false, error: 'touch.mmio0 is granted to android: fence it first' });
});

it('who ends loses what it was granted, which has to be settled first', () => {
  const { book, grant, reach } = testbed();
  grant(0);
  grant(1, ANDROID);
  book.forget(VAULT);
  expect(reach(0)).toEqual({ ok: true, reach: 'unknown' });
  expect(reach(1)).toEqual({ ok: true, reach: ANDROID });
  expect(book.notes()['panel']).toMatchObject({ 'touch.mmio0': 'unknown', 'touch.interrupt0': 'android' });
});
