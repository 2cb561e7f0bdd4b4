import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, test } from 'vitest';
import { bundleFileText, readBundleFile } from '../../src/config/bundle-file.ts';
import { BUNDLES_MAX } from '../../src/core/protocol/bundle.ts';
import { bundleDigest } from '../../src/core/wire/digest.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/bundles.json', import.meta.url));

type Device = Record<string, unknown>;
const page = (physical: string, views: object = {}): Device => ({
  mmio: [{ physical, bytes: '0x2000', views }],
});
const irq = (physical: number, views: object = {}): Device => ({
  interrupts: [{ physical, trigger: 'level', views }],
});
const stream = (physical: number, views: object = {}): Device => ({ streams: [{ physical, views }] });

/** A file of bundles a, b, … with one device each. */
function fileOf(...devices: readonly Device[]): string {
  const bundle = (device: Device) => ({ owner: 'android', keeper: 'owner', devices: { d: device } });
  const names = 'abcdefghijklmnopqrstuvwxyz';
  return JSON.stringify({
    bundles: Object.fromEntries(devices.map((device, i) => [names[i], bundle(device)])),
  });
}
const read =
  (...devices: readonly Device[]) =>
  () =>
    readBundleFile('b.json', fileOf(...devices));

describe('a bundle file', () => {
  it('keeps the mask of a stream; refuses one that is too wide, and an ID with bits that it leaves open', () => {
    const masked = (physical: number, mask: number, views: object = {}): Device => ({
      streams: [{ physical, mask, views }],
    });
    const [bundle] = read(masked(0x880, 0x6))();
    expect(bundle!.devices[0]!.resources[0]).toMatchObject({ physical: 0x880, mask: 0x6 });
    expect(readBundleFile('again', bundleFileText([bundle!]))).toEqual([bundle]);
    expect(read(masked(0, 0xff))).not.toThrow();
    expect(read(masked(0, 0x1ff))).toThrow('d.stream0: mask 0x1ff covers more than 256 stream IDs');
    expect(read(masked(0x882, 0x6))).toThrow('d.stream0: 2178 has bits that its mask 0x6 leaves open');
    expect(read(masked(0x880, 0x6, { vault: 2 }))).toThrow('d.stream0: 2 has bits');
  });

  it('is read as it was written, and the example is the demo’s panel', () => {
    const [panel] = readBundleFile(EXAMPLE, readFileSync(EXAMPLE, 'utf8'));
    expect(bundleDigest(panel!)).toEqual(bundleDigest(PANEL));
    expect(readBundleFile('again', bundleFileText([panel!]))).toEqual([panel]);
  });

  test.each([
    ['registers', page('0x10000'), page('0x11000'), /b d\.mmio0 and a d\.mmio0 are the same mmio/],
    ['an interrupt', irq(40), irq(40), /b d\.interrupt0 and a d\.interrupt0 are the same interrupt/],
    [
      'an ID that the mask of a stream leaves open',
      { streams: [{ physical: 0x880, mask: 0x6 }] },
      stream(0x884),
      /b d\.stream0 and a d\.stream0 are the same stream/,
    ],
    ['a stream', stream(7), stream(7), /b d\.stream0 and a d\.stream0 are the same stream/],
    [
      'what a VM sees as registers',
      page('0x10000', { vault: '0x40000' }),
      page('0x20000', { vault: '0x41000' }),
      /b d\.mmio0 and a d\.mmio0 look the same to vault/,
    ],
    [
      'what a VM sees as an interrupt',
      irq(40, { vault: 50 }),
      irq(50),
      /b d\.interrupt0 and a d\.interrupt0 look the same to vault/,
    ],
  ])('whose bundles share %s is refused with both names (M12)', (_, a, b, words) => {
    expect(read(a, b)).toThrow(words);
    expect(read(a, b)).toThrow(/^b\.json:1:\d+: /);
  });

  it('is taken when they only lie side by side', () => {
    expect(read(page('0x10000'), page('0x12000'), irq(40), irq(41), stream(40))).not.toThrow();
  });

  test.each([
    ['without a resource', [{}], /no resource: expected at least one/],
    ['with half a page', [{ mmio: [{ physical: '0x10800', bytes: '0x1000' }] }], /whole pages of 4096/],
    ['with no bytes', [{ mmio: [{ physical: '0x10000', bytes: '0x0' }] }], /whole pages of 4096/],
    [
      'with too many bundles',
      Array.from({ length: BUNDLES_MAX + 1 }, (_, i) => stream(i)),
      /17 bundles: at most 16/,
    ],
  ])('%s is refused', (_, devices, words) => {
    expect(read(...devices)).toThrow(words);
  });
});
