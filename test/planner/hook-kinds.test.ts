/** Which kinds of hook steps are named for which device: those that CONFIG has, and the fitting ones. */

import { expect, it } from 'vitest';
import { readBlob } from '../../src/planner/blob.ts';
import { planJson, planLines } from '../../src/planner/describe.ts';
import { hookKindsFor } from '../../src/planner/hook-kinds.ts';
import { Tree } from '../../src/planner/tree.ts';
import { blobOf } from './builder.ts';
import { boardOf, DISPLAY, planOf } from './plan-boards.ts';

const kindsOf = (name: string, compatible?: string) => {
  const tree = new Tree(readBlob(blobOf({ [name]: compatible === undefined ? {} : { compatible } })));
  return hookKindsFor(tree.root.children[0]!);
};
const ALWAYS = ['runtime-pm', 'unbind'];

it.each([
  ['touchscreen@20', 'goodix,gt911', ['input-inhibit', ...ALWAYS]],
  ['touchscreen@38', 'focaltech,fts8719', ['input-inhibit', 'trusted-touch', ...ALWAYS]],
  ['touchscreen@49', 'st,fts', ['input-inhibit', 'trusted-touch', ...ALWAYS]],
  ['keyboard@1', 'hid-over-i2c', ['input-inhibit', ...ALWAYS]],
  ['gpio-keys', 'gpio-keys', ['input-inhibit', ...ALWAYS]],
  ['dss@30200000', 'ti,am625-dss', ['fb-blank', ...ALWAYS]],
  ['framebuffer@9d400000', 'simple-framebuffer', ['fb-blank', ...ALWAYS]],
  ['i2c@a90000', 'qcom,geni-i2c', ALWAYS],
  // What has no driver has no hooks.
  ['port', undefined, []],
])('%s (%s)', (name, compatible, kinds) => {
  expect(kindsOf(name, compatible)).toEqual(kinds);
});

it('a plan names them with each member, in words and as JSON', () => {
  const plan = planOf(boardOf({ 'display@1000': DISPLAY }), 'display@1000');
  expect(planLines(plan)).toContain('    hook steps that fit: fb-blank, runtime-pm, unbind');
  expect(planJson(plan)).toMatchObject({
    members: [{ hooks: ['fb-blank', 'runtime-pm', 'unbind'], mission: 'display' }],
  });
});
