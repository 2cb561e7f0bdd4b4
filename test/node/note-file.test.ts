/** What an enforcer noted is found again on the same boot of the machine, and only when it is whole. */

import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { noteFile } from '../../targets/node/host/note-file.ts';

const NOTES = { panel: { 'touch.mmio0': 'vault', 'touch.interrupt0': 'blocked' } } as never;

let folder: string;
let logs: string[];
const store = () => noteFile(folder, (level, text) => void logs.push(`${level} ${text}`));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'baton-notes-'));
  logs = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

it('is found again by the next run of the host, not after a reboot', () => {
  expect(store().load('one')).toBeUndefined();
  store().save('one', NOTES);
  expect(store().load('one')).toEqual(NOTES);
  expect(store().load('two')).toBeUndefined();
  expect(statSync(join(folder, 'holders.json')).mode & 0o777).toBe(0o600);
  expect(logs).toEqual([]);
});

it.each(['', '{', '7', 'null', '{"machineBoot":"one"}', '{"machineBoot":"one","notes":{"panel":{"a":1}}}'])(
  'is no note when it reads %j',
  (text) => {
    writeFileSync(join(folder, 'holders.json'), text);
    expect(store().load('one')).toBeUndefined();
    expect(logs).toEqual([`error ${join(folder, 'holders.json')} cannot be used: the holders are unknown`]);
  },
);
