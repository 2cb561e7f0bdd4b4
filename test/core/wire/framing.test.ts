/**
 * Frames in a byte stream: whole, byte by byte, several in a chunk; lengths that end the stream.
 */

import { expect, test } from 'vitest';
import { FrameDecoder, frameForStream } from '../../../src/core/wire/framing.ts';
import { FRAME_BYTES_MAX } from '../../../src/core/wire/limits.ts';
import { pattern, unhex } from './samples.ts';

const FRAME = pattern(1, 300);
const OTHER = pattern(2, 5);

test('a whole frame in one chunk', () => {
  expect(new FrameDecoder().push(frameForStream(FRAME))).toEqual({ frames: [FRAME], broken: false });
});

test('a frame that arrives byte by byte', () => {
  const decoder = new FrameDecoder();
  const results = Array.from(frameForStream(FRAME), (byte) => decoder.push(Uint8Array.of(byte)));
  expect(results.flatMap(({ frames }) => frames)).toEqual([FRAME]);
});

test('two frames and the start of a third in one chunk', () => {
  const decoder = new FrameDecoder();
  const third = frameForStream(FRAME);
  const chunk = Uint8Array.from([
    ...frameForStream(FRAME),
    ...frameForStream(OTHER),
    ...third.subarray(0, 7),
  ]);
  expect(decoder.push(chunk).frames).toEqual([FRAME, OTHER]);
  expect(decoder.push(third.subarray(7)).frames).toEqual([FRAME]);
});

test('frames are copies: the chunk may be reused', () => {
  const chunk = frameForStream(OTHER);
  const { frames } = new FrameDecoder().push(chunk);
  chunk.fill(0);
  expect(frames).toEqual([OTHER]);
});

test('the longest frame passes', () => {
  const longest = pattern(3, FRAME_BYTES_MAX);
  expect(new FrameDecoder().push(frameForStream(longest)).frames).toEqual([longest]);
});

test.each([
  ['zero', '00000000'],
  ['one above the limit', '00002001'],
  ['4 GiB', 'ffffffff'],
])('a length of %s breaks the stream for good', (_what, length) => {
  const decoder = new FrameDecoder();
  expect(decoder.push(unhex(length))).toEqual({ frames: [], broken: true });
  expect(decoder.push(frameForStream(FRAME))).toEqual({ frames: [], broken: true });
});

test('frames before a bad length are still delivered', () => {
  const chunk = Uint8Array.from([...frameForStream(OTHER), 0, 0, 0, 0]);
  expect(new FrameDecoder().push(chunk)).toEqual({ frames: [OTHER], broken: true });
});

test('an empty chunk changes nothing', () => {
  expect(new FrameDecoder().push(new Uint8Array())).toEqual({ frames: [], broken: false });
});

test.each([0, FRAME_BYTES_MAX + 1])('a frame of %i bytes is not framed: our own mistake', (length) => {
  expect(() => frameForStream(new Uint8Array(length))).toThrow(RangeError);
});
