/** How many devices of many trees can move, in tables by vendor and by kind of device. */

import { expect, it } from 'vitest';
import { readBlob } from '../../src/planner/blob.ts';
import { Board } from '../../src/planner/board.ts';
import { ShareTable, shareOf } from '../../src/planner/shares.ts';
import { survey } from '../../src/planner/survey.ts';
import { Tree } from '../../src/planner/tree.ts';
import { blobOf, type Description } from './builder.ts';
import { boardOf, DISPLAY, other, PINS, SMMU } from './plan-boards.ts';

const surveyOf = (devices: Description) => survey(new Board(new Tree(readBlob(blobOf(boardOf(devices))))));
const TOUCH = other({
  compatible: 'test,touchscreen',
  iommus: [SMMU, 0x50, 0],
  'interrupts-extended': [PINS, 7, 8],
});
const DEVICES: Description = {
  'display@1000': DISPLAY,
  'touch@50000': TOUCH,
  'serial@60000': other({ reg: [0x6_0000, 0x1000], compatible: 'test,serial', interrupts: [0, 20, 4] }),
  'gpu@70000': other({ reg: [0x7_0000, 0x1000], compatible: 'arm,mali-t604', interrupts: [0, 21, 4] }),
  'fan@80000': other({ reg: [0x8_0000, 0x1000], interrupts: [0, 22, 4] }),
};

it('each device is in the group that the list has it in', () => {
  const shares = Object.fromEntries(surveyOf(DEVICES).map((each) => [each.node.name, shareOf(each)]));
  expect(shares).toMatchObject({
    'display@1000': 'free',
    'touch@50000': 'accept',
    'serial@60000': 'unsure',
    'gpu@70000': 'blocked',
  });
});

it('tables count what somebody lends, by vendor and by kind, and what part that is', () => {
  const table = new ShareTable();
  table.add('test', surveyOf(DEVICES));
  table.add('other', surveyOf({ 'display@1000': DISPLAY }));
  table.add('none', surveyOf({}));
  const rows = table.lines().map((line) => line.trim().split(/ {2,}/));
  expect(rows).toEqual([
    ['vendor', 'devices', 'free', 'after --accept', 'unsure', 'blocked'],
    ['other', '1', '1', '100.0 %', '0', '0.0 %', '0', '0.0 %', '0', '0.0 %'],
    ['test', '4', '1', '25.0 %', '1', '25.0 %', '1', '25.0 %', '1', '25.0 %'],
    [''],
    ['device', 'devices', 'free', 'after --accept', 'unsure', 'blocked'],
    ['touch', '1', '0', '0.0 %', '1', '100.0 %', '0', '0.0 %', '0', '0.0 %'],
    ['display', '2', '2', '100.0 %', '0', '0.0 %', '0', '0.0 %', '0', '0.0 %'],
    ['camera', '0', '0', '0', '0', '0'],
    ['gpu', '1', '0', '0.0 %', '0', '0.0 %', '0', '0.0 %', '1', '100.0 %'],
    ['usb', '0', '0', '0', '0', '0'],
    ['serial', '1', '0', '0.0 %', '0', '0.0 %', '1', '100.0 %', '0', '0.0 %'],
    [''],
    ['all', '5', '2', '40.0 %', '1', '20.0 %', '1', '20.0 %', '1', '20.0 %'],
  ]);
});
