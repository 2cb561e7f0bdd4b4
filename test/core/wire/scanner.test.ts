/**
 * The strict scanner, rule by rule (RFC 8949 sections 3 and 4.2.1, RFC 3629 section 4).
 */

import { describe, expect, test } from 'vitest';
import { DEPTH_MAX, FRAME_BYTES_MAX, ITEMS_MAX } from '../../../src/core/wire/limits.ts';
import { scan } from '../../../src/core/wire/scanner.ts';
import { unhex } from './samples.ts';

describe('in the profile', () => {
  test.each([
    ['smallest integer', '00'],
    ['largest integer of one byte', '17'],
    ['24', '1818'],
    ['255', '18ff'],
    ['256', '190100'],
    ['65536', '1a00010000'],
    ['2^32 - 1', '1affffffff'],
    ['empty byte string', '40'],
    ['byte string of 24', `5818${'00'.repeat(24)}`],
    ['empty text', '60'],
    ['text of every sequence length', '6a41c3a4e282acf09f9880'],
    ['last code point before the surrogates', '63ed9fbf'],
    ['last code point', '64f48fbfbf'],
    ['byte order mark that is not first', '6441efbbbf'],
    ['empty array', '80'],
    ['array in array', '818100'],
    ['empty map', 'a0'],
    ['map of rising keys', 'a3000017011818f5'],
    ['false', 'f4'],
    ['true', 'f5'],
  ])('%s', (_what, bytes) => {
    expect(scan(unhex(bytes))).toBe('ok');
  });
});

describe('outside the profile', () => {
  test.each([
    ['nothing', '', 'truncated'],
    ['head without its argument', '18', 'truncated'],
    ['integer cut short', '1a000100', 'truncated'],
    ['byte string cut short', '4201', 'truncated'],
    ['text cut short', '6241', 'truncated'],
    ['array cut short', '8200', 'truncated'],
    ['map without the last value', 'a100', 'truncated'],
    ['second item', '0000', 'trailing'],
    ['23 in two bytes', '1817', 'head'],
    ['255 in three bytes', '1900ff', 'head'],
    ['65535 in five bytes', '1a0000ffff', 'head'],
    ['5 in nine bytes', '1b0000000000000005', 'head'],
    ['2^32 - 1 in nine bytes', '1b00000000ffffffff', 'head'],
    ['2^32', '1b0000000100000000', 'range'],
    ['2^64 - 1', '1bffffffffffffffff', 'range'],
    ['long head of a byte string', '580100', 'head'],
    ['long head of an array', '980100', 'head'],
    ['reserved additional information 28', '1c', 'head'],
    ['reserved additional information 30', '9e', 'head'],
    ['indefinite array', '9fff', 'indefinite'],
    ['indefinite map', 'bfff', 'indefinite'],
    ['indefinite byte string', '5f4100ff', 'indefinite'],
    ['indefinite text', '7f6141ff', 'indefinite'],
    ['break', 'ff', 'indefinite'],
    ['negative integer', '20', 'type'],
    ['tag', 'c001', 'type'],
    ['tag 64 around bytes', 'd8404100', 'type'],
    ['tag 17 where none is expected', 'd180', 'type'],
    ['null', 'f6', 'type'],
    ['undefined', 'f7', 'type'],
    ['simple value 0', 'e0', 'type'],
    ['simple value 32', 'f820', 'type'],
    ['half float', 'f93c00', 'type'],
    ['float', 'fa3f800000', 'type'],
    ['double', 'fb3ff0000000000000', 'type'],
    ['duplicate key', 'a201000100', 'key'],
    ['falling keys', 'a202000100', 'key'],
    ['text key', 'a1614100', 'key'],
    ['negative key', 'a12000', 'key'],
    ['key `__proto__`', 'a1695f5f70726f746f5f5f00', 'key'],
    ['lone continuation byte', '6180', 'utf8'],
    ['overlong sequence of two', '62c080', 'utf8'],
    ['overlong sequence of three', '63e08080', 'utf8'],
    ['overlong sequence of four', '64f0808080', 'utf8'],
    ['high surrogate', '63eda080', 'utf8'],
    ['low surrogate', '63edbfbf', 'utf8'],
    ['above U+10FFFF', '64f4908080', 'utf8'],
    ['lead byte f5', '64f5808080', 'utf8'],
    ['sequence cut by the end of the text', '61c3', 'utf8'],
    ['sequence broken off', '62c341', 'utf8'],
    ['leading byte order mark', '63efbbbf', 'utf8'],
    // cbor-x 1.6.0 spent 12 seconds and 2 GB on this, and nested 200 times it ran out of memory.
    ['array of 112 million', '9a06b00000', 'truncated'],
    ['200 nested arrays of 112 million', '9a06b00000'.repeat(200), 'truncated'],
    ['map of 4 billion', 'baffffffff', 'truncated'],
  ])('%s', (_what, bytes, reason) => {
    expect(scan(unhex(bytes))).toBe(reason);
  });
});

describe('limits', () => {
  test('the deepest nesting passes, one more does not', () => {
    expect(scan(unhex(`${'81'.repeat(DEPTH_MAX)}00`))).toBe('ok');
    expect(scan(unhex(`${'81'.repeat(DEPTH_MAX + 1)}00`))).toBe('depth');
    expect(scan(unhex(`${'a100'.repeat(DEPTH_MAX + 1)}00`))).toBe('depth');
  });

  test('5000 nested arrays are refused at the limit, not by the stack', () => {
    expect(scan(unhex('81'.repeat(4000)))).toBe('depth');
    expect(scan(unhex('81'.repeat(5000)), { bytesMax: 5000 })).toBe('depth');
  });

  test('the most items pass, one more does not', () => {
    expect(scan(unhex(`9902ff${'00'.repeat(ITEMS_MAX - 1)}`))).toBe('ok');
    expect(scan(unhex(`990300${'00'.repeat(ITEMS_MAX)}`))).toBe('items');
  });

  test('the longest frame passes, one byte more does not', () => {
    const longest = unhex(`591ffd${'00'.repeat(FRAME_BYTES_MAX - 3)}`);
    expect(scan(longest)).toBe('ok');
    expect(scan(unhex(`591ffe${'00'.repeat(FRAME_BYTES_MAX - 2)}`))).toBe('oversize');
    expect(scan(longest, { bytesMax: FRAME_BYTES_MAX - 1 })).toBe('oversize');
  });

  test('announced sizes cost nothing', () => {
    const nested = unhex('9a06b00000'.repeat(200));
    const startMs = performance.now();
    for (let run = 0; run < 1000; run++) scan(nested);
    // A thousand runs within the time that would be generous for one.
    expect(performance.now() - startMs).toBeLessThan(200);
  });
});

describe('outer tag', () => {
  test.each([
    ['tag 17 around the item', 'd100', 'ok'],
    ['no tag', '00', 'type'],
    ['another tag', 'd200', 'type'],
    ['tag 17 in two bytes', 'd81100', 'head'],
    ['tag 17 twice', 'd1d100', 'type'],
    ['nothing after the tag', 'd1', 'truncated'],
  ])('%s', (_what, bytes, result) => {
    expect(scan(unhex(bytes), { outerTag: 17 })).toBe(result);
  });
});
