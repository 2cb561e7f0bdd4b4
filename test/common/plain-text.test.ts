/** Words of others, as they leave a process: one harmless line in a log, at a terminal, in a picture. */

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describe as describeBundle } from '../../src/cli/verbs/describe.ts';
import { status } from '../../src/cli/verbs/status.ts';
import { type CliWorld, type ControlClient, table } from '../../src/cli/world.ts';
import { plainLines, plainText } from '../../src/common/plain-text.ts';
import { readBundleFile } from '../../src/config/bundle-file.ts';
import { ConfigError } from '../../src/config/read.ts';
import { escapeXml } from '../../src/planner/svg.ts';
import { logText } from '../../targets/node/program/log.ts';
import { coloured, terminalLine } from '../../targets/node/program/terminal.ts';

/** What a terminal or a reader can be fooled by, a sign or two of each kind. */
const EVIL: Readonly<Record<string, string>> = {
  newline: '\n',
  'carriage return': '\r',
  tab: '\t',
  zero: '\0',
  escape: '\u001b[2J\u001b]0;owned\u0007',
  backspace: '\b',
  delete: '\u007f',
  'C1 CSI': '\u009b1A',
  'next line': '\u0085',
  'right-to-left override': '\u202e',
  isolates: '\u2066\u2069',
  'bidi marks': '\u200e\u200f\u061c',
  'line and paragraph separators': '\u2028\u2029',
  'byte order mark': '\ufeff',
  'zero width': '\u200b\u200c\u200d\u2060',
  'soft hyphen': '\u00ad',
  'Hangul filler': '\u3164\u115f\uffa0',
  'variation selector': '\ufe0f',
  tags: '\u{e0041}\u{e007f}',
  annotation: '\ufff9\ufffb',
  'no character': '\ufdd0\uffff',
  'lone surrogates': '\ud800 \udc00',
};
const HARMFUL = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u3164\u115f\uffa0\ufdd0\uffff]|\ufe0f/u;

describe('a sign that moves, ends, turns or hides', () => {
  it.each(Object.entries(EVIL))('%s is written as JSON writes it', (_, evil) => {
    const plain = plainText(`a${evil}b`);
    expect(plain).not.toMatch(HARMFUL);
    expect(JSON.parse(`"${plain}"`)).toBe(`a${evil}b`);
  });

  it('marks piled on one letter are written so as well', () => {
    const zalgo = `a${'\u0301\u0489'.repeat(40)}`;
    expect(plainText(zalgo)).not.toMatch(/\p{M}{5}/u);
    expect(plainText('tiếng Việt, e\u0302\u0301, שָּׁ')).toBe('tiếng Việt, e\u0302\u0301, שָּׁ');
  });

  it('other letters stay as they are', () => {
    for (const text of ['', 'panel held', 'größer → 日本語 🙂 Ω', 'a\\b "c" <d>'])
      expect(plainText(text)).toBe(text);
  });

  it('is nowhere in what comes of any text, and a second time changes nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(40), (text, max) => {
        const plain = plainText(text, max + 1);
        expect(plain).not.toMatch(HARMFUL);
        expect(plainText(plain)).toBe(plain);
      }),
    );
  });

  it('too long a text is cut, not in the middle of a letter', () => {
    expect(plainText('x'.repeat(50), 10)).toBe(`${'x'.repeat(9)}…`);
    expect(plainText('🙂'.repeat(50), 10)).toBe(`${'🙂'.repeat(4)}…`);
  });

  it('lines of our own stay lines', () => {
    expect(plainLines('one\ntwo\u001b[2J')).toBe('one\ntwo\\u001b[2J');
  });
});

const all = Object.values(EVIL).join('.');

describe('a line', () => {
  it('of a log is one line, and no value of it passes for another', () => {
    const text = logText(`declined: ${all}`, {
      peer: `vault${all}`,
      reason: 'x bundle=panel',
      epoch: 7,
      odd: [all],
    });
    expect(text).not.toMatch(HARMFUL);
    expect(text).toContain(' reason="x bundle=panel" epoch=7');
    expect(logText('x', { detail: 'a'.repeat(10_000) }).length).toBeLessThan(4_100);
    expect(logText('m'.repeat(100_000)).length).toBeLessThan(4_100);
  });

  it('of a terminal has the colours that this program gives, and none from outside', () => {
    const evil = `\u001b[31m${all}<1.2.3:31>red`;
    expect(terminalLine(evil)).not.toMatch(HARMFUL);
    const line = terminalLine(`${coloured('31', `bad ${evil}`)} and ${evil}`);
    expect(line.startsWith('\u001b[31mbad \\u001b[31m')).toBe(true);
    expect(line.split('\u001b')).toHaveLength(3);
  });

  it('of a table is as wide as it will be seen', () => {
    const [head, row] = table([
      ['A', 'B'],
      ['\u202e', 'x'],
    ]);
    expect([head, row]).toEqual(['A       B', '\\u202e  x']);
  });

  it('of a complaint is one, whatever the file says or is called', () => {
    const text = JSON.stringify({ bundles: { [`p${all}`]: 1, 'q\nq': { owner: all } } });
    let message = '';
    try {
      readBundleFile(`b${all}.json`, text);
    } catch (error) {
      message = (error as ConfigError).message;
    }
    const lines = message.split('\n');
    expect(lines.length).toBe(2);
    for (const line of lines) expect(line).not.toMatch(HARMFUL);
    expect(new ConfigError(`x\ny${all}`).message).not.toMatch(HARMFUL);
  });

  it('of a picture shows nothing hidden', () => {
    expect(escapeXml(`<${all}>`)).not.toMatch(HARMFUL);
  });
});

describe('of an answer of a daemon', () => {
  const print = async (run: typeof status, args: readonly string[], answer: object) => {
    const lines: string[] = [];
    const world = {
      out: (line: string) => lines.push(terminalLine(line)),
      err: (line: string) => lines.push(line),
      after: () => () => {},
    };
    const client = { request: async () => answer };
    await run(world as unknown as CliWorld, client as unknown as ControlClient, args);
    return lines;
  };
  const view = {
    bundle: 'panel',
    holder: 'vault',
    epoch: 3,
    state: 'held',
    leaseLeftMs: null,
    reason: `rejected: ${all}`,
  };

  it('status, describe and their JSON print no harm, a bundle a line', async () => {
    const answer = { ok: true, bundles: [view], peers: [{ peer: 'vault', up: false, forMs: 1, hint: all }] };
    const lines = await print(status, [], answer);
    expect(lines).toHaveLength(3);
    for (const line of lines) expect(line).not.toMatch(HARMFUL);
    const told = await print(describeBundle, ['panel'], { ok: true, ...view, events: [`7 ${all}`] });
    for (const line of told) expect(line).not.toMatch(HARMFUL);
    const [json = ''] = await print(status, ['--json'], answer);
    expect(json).not.toMatch(HARMFUL);
    expect(JSON.parse(json)).toEqual(answer);
  });
});

it('what a person types wrong comes back harmless', () => {
  const dist = join(import.meta.dirname, '../../dist');
  for (const [program, ...args] of [
    ['baton.mjs', 'sta\u001b[2Jtus\u202e'],
    ['baton.mjs', 'check-config', '/no/such\n/file\u202e'],
    ['baton.mjs', 'borrow', 'panel', '--lease', '1\u001b[2Js', '--socket', '/no/such'],
    ['baton-agent.mjs', '--config', '/no/such\u001b[2J\n'],
    ['baton-host.mjs', '--\u202e'],
  ]) {
    const { stderr, stdout } = spawnSync(process.execPath, [join(dist, program!), ...args], {
      encoding: 'utf8',
    });
    const lines = `${stderr}${stdout}`.trimEnd().split('\n');
    expect(lines.length).toBeLessThan(4);
    for (const line of lines) expect(line).not.toMatch(HARMFUL);
  }
});
