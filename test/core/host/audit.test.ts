/** The audit log's chain: what was changed, removed or put in is found, at its line. */

import { describe, expect, it } from 'vitest';
import {
  AUDIT_START,
  AuditChecker,
  auditLine,
  lastSoundLine,
  SKIPPED_EVENT,
} from '../../../src/core/host/audit.ts';

/** Lines of a log, without their newlines. */
function log(count: number, event = 'held'): string[] {
  let hash = AUDIT_START;
  return Array.from({ length: count }, (_, atMs) => {
    const line = auditLine(hash, { atMs, bundle: 'panel', event, epoch: 3, holder: 'vault' });
    hash = line.hash;
    return line.line.trimEnd();
  });
}

/** What is wrong with each line, up to the first that is. */
function check(lines: readonly string[]): (string | undefined)[] {
  const checker = new AuditChecker();
  const said: (string | undefined)[] = [];
  for (const line of lines) {
    said.push(checker.next(line));
    if (said.at(-1) !== undefined) break;
  }
  return said;
}

describe('a chain', () => {
  it('that nobody touched is sound', () => {
    expect(check(log(4))).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('shows a line that was changed', () => {
    const lines = log(4);
    lines[2] = lines[2]!.replace('"vault"', '"other"');
    expect(check(lines)).toEqual([undefined, undefined, 'the line was changed: its hash does not fit']);
  });

  it.each([
    ['removed', (lines: string[]) => lines.splice(1, 1)],
    ['put in', (lines: string[]) => lines.splice(1, 0, log(1, 'other')[0]!)],
    ['moved', (lines: string[]) => lines.splice(1, 2, lines[2]!, lines[1]!)],
  ])('shows a line that was %s', (_, change) => {
    const lines = log(4);
    change(lines);
    expect(check(lines)).toEqual([undefined, 'the line before was changed, removed or inserted']);
  });

  it('says where lines were lost, and where it begins', () => {
    const [first, second] = log(2, SKIPPED_EVENT);
    const checker = new AuditChecker();
    expect(checker.next(second!)).toBeUndefined();
    expect(checker.losses).toEqual([1]);
    expect(checker.begins).not.toBe(AUDIT_START);
    const whole = new AuditChecker();
    whole.next(first!);
    expect(whole.begins).toBe(AUDIT_START);
  });
});

describe('the last sound line', () => {
  const text = log(3)
    .map((line) => `${line}\n`)
    .join('');

  it('is the last whole one whose hash fits', () => {
    expect(lastSoundLine(text, true)?.end).toBe(text.length);
    const [, second] = log(3);
    const torn = text.slice(0, -10);
    expect(lastSoundLine(torn, true)?.end).toBe(text.indexOf(second!) + second!.length + 1);
  });

  it('is none where the only line may lack its beginning', () => {
    const [first] = log(1);
    expect(lastSoundLine(`${first}\n`, true)).toBeDefined();
    expect(lastSoundLine(`${first}\n`, false)).toBeUndefined();
    expect(lastSoundLine('', true)).toBeUndefined();
  });
});
