/**
 * The native core as an addon of Node: it passes the compliance suite over UNIX and TCP sockets, which are the same
 * code as vsock; hashes fit the vectors; and what is missing is said. No vsock is connected: its addresses on this
 * machine are nobody's of ours.
 */

import { createHash, createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FAMILY } from '../../targets/native/core.ts';
import { addonStreams, loadAddon } from '../../targets/node/net/native-streams.ts';
import { parseAddress } from '../../targets/node/net/streams.ts';
import { run } from '../../targets/quickjs/build/engine.ts';
import { unhex } from '../core/wire/samples.ts';
import { describeWire } from '../edges/transport/compliance.ts';
import { GUESTS } from '../edges/transport/party.ts';
import { freePorts, streamWorld, temporaryFolder, unixAddresses } from '../edges/transport/worlds.ts';

const ROOT = join(import.meta.dirname, '../..');
const built = mkdtempSync(join(tmpdir(), 'baton-addon-'));
const file = join(built, 'baton-native.node');
run(join(ROOT, 'targets/native/node/build.sh'), [file]);
const addon = loadAddon(file, 'vsock');
const streams = addonStreams(addon);
const folder = temporaryFolder();
afterAll(() => {
  folder.remove();
  rmSync(built, { recursive: true });
});

const reach = (address: string) => connect(parseAddress(address));
describeWire('streams of the addon over UNIX sockets', async () =>
  streamWorld(unixAddresses(folder.path), undefined, { streams, reach }),
);
describeWire('streams of the addon over TCP', async () => {
  const ports = await freePorts(GUESTS.length);
  const addresses = new Map(GUESTS.map((vm, index) => [vm, `tcp:127.0.0.1:${ports[index]}`]));
  return streamWorld(addresses, undefined, { streams, reach });
});

describe('the addon', () => {
  it('makes SHA-256 and HMAC as OpenSSL does, over parts of buffers', () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, index) => index);
    for (const [from, count] of [
      [0, 0],
      [1, 63],
      [7, 64],
      [0, 300],
    ] as const) {
      const part = bytes.subarray(from, from + count);
      const hash = new Uint8Array(addon.sha256(bytes.buffer, from, count));
      expect(hash).toEqual(new Uint8Array(createHash('sha256').update(part).digest()));
      const state = addon.hmacBegin(bytes.buffer, 10, 32);
      addon.hmacAdd(state, bytes.buffer, from, count);
      const tag = new Uint8Array(32);
      for (let again = 0; again < 2; again++) addon.hmacEnd(state, bytes.buffer, 0, 9, tag.buffer, 0, 32);
      const expected = createHmac('sha256', bytes.subarray(10, 42)).update(part).update(bytes.subarray(0, 9));
      expect(tag).toEqual(new Uint8Array(expected.digest()));
    }
    const { cases } = JSON.parse(readFileSync(join(ROOT, 'test/vectors/rfc4231.json'), 'utf8'));
    for (const { key, data, tag } of cases as Record<string, string>[]) {
      const state = addon.hmacBegin(unhex(key!).slice().buffer, 0, key!.length / 2);
      const made = new Uint8Array(32);
      addon.hmacEnd(state, unhex(data!).slice().buffer, 0, data!.length / 2, made.buffer, 0, 32);
      expect(Buffer.from(made).toString('hex')).toBe(tag);
    }
  });

  it('fills bytes at random, and no others', () => {
    const bytes = new Uint8Array(64);
    expect(addon.random(bytes.buffer, 16, 32)).toBe(0);
    expect(bytes.subarray(0, 16).every((byte) => byte === 0)).toBe(true);
    expect(bytes.subarray(48).every((byte) => byte === 0)).toBe(true);
    expect(new Set(bytes.subarray(16, 48)).size).toBeGreaterThan(10);
  });

  it('refuses buffers that are too short, and what is no descriptor', () => {
    const bytes = new Uint8Array(8);
    expect(() => addon.receive(0, bytes.buffer, 0, 9)).toThrow(RangeError);
    expect(() => addon.send(0, bytes.buffer, 5, 4)).toThrow(RangeError);
    expect(() => addon.sha256(bytes.buffer, -1, 2)).toThrow(RangeError);
    expect(addon.receive(-1, bytes.buffer, 0, 8)).toBe(-9);
    expect(addon.accept(1_000_000)).toBe(-9);
  });

  it('tells who is at the other end of a UNIX socket, and what both ends are called', () => {
    const path = join(built, 'named');
    const listener = addon.listen(FAMILY.unix, path, 0, 0o600);
    const out = addon.connect(FAMILY.unix, path, 0);
    const back = addon.accept(listener);
    expect(addon.credentials(back)).toEqual([process.pid, process.getuid!(), process.getgid!()]);
    expect(addon.socketName(out, true)).toBe(`unix:${path}`);
    expect(addon.socketName(back, true)).toBe('unix:');
    for (const fd of [listener, out, back]) addon.close(fd);
  });

  it('says what is wrong with an address of vsock before anything is connected', () => {
    expect(addon.connect(FAMILY.vsock, '4294967296', 1)).toBe(-22);
    expect(addon.connect(FAMILY.vsock, '-1', 1)).toBe(-22);
    expect(addon.connect(FAMILY.inet, 'localhost', 1)).toBe(-22);
    expect(addon.connect(FAMILY.unix, 'x'.repeat(120), 0)).toBe(-36);
  });

  it('that is missing is named, with what makes it', () => {
    expect(() => loadAddon('/no/such.node', 'vsock')).toThrow(
      'vsock needs native code on Node: no /no/such.node; npm run build:native builds it, with a C compiler',
    );
  });
});
