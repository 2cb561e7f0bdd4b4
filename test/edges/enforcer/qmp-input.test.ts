/** The enforcer `qmp` over fake QEMUs: input from outside, in any form and at any speed. */

import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeLine } from '../../../src/common/lines.ts';
import { BUNDLES_MAX } from '../../../src/core/protocol/bundle.ts';
import { EVENTS_MAX, parseEvents } from '../../../src/edges/enforcer/kinds/qmp/qmp-input.ts';
import { REDIAL_MS } from '../../../src/edges/enforcer/kinds/qmp/qmp-link.ts';
import { ANDROID, VAULT } from '../../../targets/lab/machine/board.ts';
import { abs, Feeder, key, touch } from './fake-qmp.ts';
import {
  ADDRESS,
  android,
  clock,
  inputOf,
  LIMIT_MS,
  logs,
  MOVED,
  move,
  open,
  reset,
  several,
  streams,
  vault,
} from './qmp-rig.ts';

beforeEach(() => reset());

describe('input from outside', () => {
  it.each([
    [{}],
    [{ events: 7 }],
    [{ events: Array.from({ length: EVENTS_MAX + 1 }, () => touch(true)) }],
    [{ events: [null] }],
    [{ events: [{ type: 'key', data: { down: 1, key: { type: 'qcode', data: 'a' } } }] }],
    [{ events: [{ type: 'key', data: { down: true, key: { type: 'qcode', data: 'A"' } } }] }],
    [{ events: [{ type: 'key', data: { down: true, key: { type: 'number', data: 70_000 } } }] }],
    [{ events: [{ type: 'btn', data: { down: true, button: {} } }] }],
    [{ events: [{ type: 'abs', data: { axis: 'z', value: 1 } }] }],
    [{ events: [{ type: 'abs', data: { axis: 'x', value: -1 } }] }],
    [{ events: [{ type: 'rel', data: { axis: 'x', value: 1.5 } }] }],
    [{ events: [{ type: 'mtt', data: {} }] }],
  ])('%j is not passed on', (line) => {
    expect(parseEvents(line)).toBeUndefined();
  });

  it('is passed on without what is not known', () => {
    const line = { events: [{ ...touch(true), extra: 1, data: { down: true, button: 'left', more: [] } }] };
    expect(parseEvents(line)).toEqual([{ type: 'btn', data: { down: true, button: 'left' } }]);
  });

  it('that is not JSON, or from a fifth program, changes nothing', () => {
    const enforcer = open();
    move(enforcer, VAULT);
    const feeders = Array.from({ length: 5 }, () => new Feeder(streams, ADDRESS.input));
    feeders[0]!.stream.write(Uint8Array.from([0xff, 0x7b, 0x0a, 0x0a]));
    feeders[0]!.stream.write(Uint8Array.from([0x7b, 0x7d, 0x0a]));
    clock.advance(5);
    expect(feeders.map(({ isClosed }) => isClosed)).toEqual([false, false, false, false, true]);
    feeders[0]!.send(key('a', true));
    clock.advance(5);
    expect(vault.seen).toEqual(['+a']);
    expect(logs.filter((line) => line.includes('not understood'))).toHaveLength(1);
  });

  it('that comes faster than a QEMU takes it is dropped, but never a release', () => {
    const enforcer = open();
    move(enforcer, VAULT);
    const feeder = new Feeder(streams, ADDRESS.input);
    feeder.send(key('a', true));
    clock.advance(5);
    vault.reactions.set('input-send-event', 'silence');
    for (let i = 0; i < 2_000; i++) feeder.send(abs('x', i));
    feeder.send(key('a', false), key('b', true));
    clock.advance(5);
    expect(vault.commands.filter((command) => command === 'input-send-event').length).toBeLessThan(12);
    expect(logs.filter((line) => line.includes('dropped'))).toHaveLength(1);
  });
});

it('loses no release where every bundle has as much on its way to one slow QEMU as it may', () => {
  const bundles = several(BUNDLES_MAX);
  const enforcer = open(bundles);
  for (const bundle of bundles) move(enforcer, VAULT, bundle);
  const feeders = bundles.map(({ id }) => new Feeder(streams, inputOf(id)));
  feeders.at(-1)!.send(key('a', true));
  clock.advance(5);
  vault.reactions.set('input-send-event', 'later');
  for (const feeder of feeders.slice(0, -1)) for (let i = 0; i < 20; i++) feeder.send(abs('x', i));
  clock.advance(5);
  feeders.at(-1)!.send(key('a', false));
  clock.advance(5);
  vault.catchUp();
  clock.advance(20);
  expect(vault.seen.filter((text) => text.endsWith('a'))).toEqual(['+a', '-a']);
  expect(logs.filter((line) => line.startsWith('warn'))).toEqual([]);
});

it('throws at nothing that a QEMU or a feeder says', () => {
  const word = fc.constantFrom('QMP', 'event', 'id', 'return', 'error', 'events', 'type', 'data', 'status');
  const value = fc.anything({ withNullPrototype: true, maxDepth: 3 });
  const said = fc.dictionary(
    fc.oneof(word, fc.string()),
    fc.oneof(value, fc.constantFrom('RESET', 'SHUTDOWN', 1, 2)),
  );
  fc.assert(
    fc.property(fc.array(said, { maxLength: 12 }), (lines) => {
      reset();
      const enforcer = open();
      move(enforcer, VAULT);
      const feeder = new Feeder(streams, ADDRESS.input);
      for (const line of lines) {
        const json = JSON.parse(
          JSON.stringify(line, (_, inner) => (typeof inner === 'bigint' ? `${inner}` : inner)),
        );
        vault.say(json);
        feeder.stream.write(encodeLine(json));
        feeder.stream.write(encodeLine({ events: [json] }));
        clock.advance(3);
      }
      clock.advance(2 * (REDIAL_MS + LIMIT_MS));
      expect(move(enforcer, ANDROID)).toEqual(MOVED);
      expect(android.connections).toBe(1);
    }),
    { numRuns: 200 },
  );
});
