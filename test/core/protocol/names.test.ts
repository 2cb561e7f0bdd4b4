/**
 * Names that mean something else inside: of nobody, of what an enforcer answers in place of a VM, of what every object
 * has.
 */

import { describe, expect, it } from 'vitest';
import { bundleId, deviceId, HOST, isId, isParty, isVm, vmId } from '../../../src/core/protocol/ids.ts';
import { parseAnswers, parseExtras, parseHello } from '../../../src/edges/enforcer/kinds/command/contract.ts';
import type { EnforcerCall } from '../../../src/ports/enforcer.ts';
import { HELLO } from '../../edges/enforcer/fake-command.ts';

const TAKEN = ['nobody', 'blocked', 'unknown', 'mixed', 'fenced', 'unsettled'];

describe('a name', () => {
  it.each(TAKEN)('%s is none of a VM, and one of a bundle or device', (name) => {
    expect(() => vmId(name)).toThrow(`"${name}" cannot name a VM: reserved for the host and enforcers`);
    expect([isVm(name), isParty(name), isId(name)]).toEqual([false, false, true]);
    expect([bundleId(name), deviceId(name)]).toEqual([name, name]);
  });

  it('host is that of a party, and of no VM', () => {
    expect([vmId(HOST), isParty(HOST), isVm(HOST)]).toEqual([HOST, true, false]);
  });

  it('that every object of JavaScript has is none at all', () => {
    const inherited = Object.getOwnPropertyNames(Object.prototype).filter((name) =>
      /^[a-z][a-z0-9._-]*$/.test(name),
    );
    expect(inherited).toEqual(['constructor']);
    for (const make of [vmId, bundleId, deviceId])
      expect(() => make('constructor')).toThrow('reserved by the program');
  });

  it('that only begins like one of these is free', () => {
    for (const name of ['blocked2', 'constructor.1', 'unknown-vm', 'hosts', 'nobody_'])
      expect([vmId(name), bundleId(name)]).toEqual([name, name]);
  });
});

describe('an enforcer', () => {
  const inspect = [{ op: 'inspect', resource: 'touch.mmio0' }] as unknown as EnforcerCall[];
  const reach = (name: unknown) =>
    parseAnswers(JSON.stringify({ answers: [{ ok: true, reach: name }] }), inspect)[0];

  it('answers who reaches a resource by a VM, `blocked` or `unknown`, and by nothing like them', () => {
    for (const name of ['vault', 'blocked', 'unknown'])
      expect(reach(name)).toEqual({ ok: true, reach: name });
    for (const name of ['mixed', 'fenced', 'unsettled', 'nobody', 'host', 'constructor', '', null, 7])
      expect(reach(name)).toMatchObject({ ok: false });
  });

  it('has no VM run under such a name', () => {
    for (const name of [...TAKEN, 'host', 'constructor']) {
      expect(parseHello(JSON.stringify({ ...HELLO, running: ['android', name] }))).toMatchObject({
        ok: false,
      });
      expect(parseExtras(JSON.stringify({ events: [{ kind: 'vmStarting', vm: name }] })).events).toEqual([]);
    }
  });
});
