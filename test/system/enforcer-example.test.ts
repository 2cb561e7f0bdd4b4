/**
 * The platform helper in Python that docs/PLATFORMS.md offers passes `baton enforcer-test`, and serves a host with VMs
 * that come and go.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bundleFileText } from '../../src/config/bundle-file.ts';
import { PANEL } from '../../targets/lab/machine/board.ts';
import { expectEvents, Helper } from './enforcer-helper.ts';

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/enforcer.py', import.meta.url));
/** A bundle file may have comments. */
const BUNDLES = `// "a": /* a board */\n${bundleFileText([PANEL]).replace(/\}\s*$/, ', }')}\n`;
let helper: Helper;
beforeEach(() => {
  helper = new Helper();
});
afterEach(() => helper.stop());

/** Starts the helper of this text. */
async function start(text = readFileSync(EXAMPLE, 'utf8')): Promise<void> {
  const at = (name: string) => helper.at(name);
  writeFileSync(at('enforcer.py'), text);
  writeFileSync(at('bundles.json'), BUNDLES);
  await helper.start('python3', [at('enforcer.py'), at('socket'), at('bundles.json'), 'android', 'vault']);
}

test('it has at most 150 lines, and passes the suite', async () => {
  expect(readFileSync(EXAMPLE, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(150);
  await start();
  const { status, lines } = await helper.enforcerTest(BUNDLES);
  expect(lines.filter((line) => line.startsWith('fail'))).toEqual([]);
  expect(lines.at(-1)).toBe('example: 16 passed, 0 failed, 3 not claimed');
  expect(status).toBe(0);
});

test.each([
  [
    'without its check before a grant',
    'if platform.reach(key) not in ("blocked", vm):',
    'if False:',
    'without fence',
  ],
  ['without its list of VMs', 'if vm not in self.running:', 'if False:', 'a VM that does not run'],
  ['that goes on after a refusal', 'return answers + [{', 'answers += [{', 'calls after a failed one'],
])('one %s fails', async (_what, from, to, check) => {
  const text = readFileSync(EXAMPLE, 'utf8');
  expect(text).toContain(from);
  await start(text.replace(from, to));
  const { status, lines } = await helper.enforcerTest(BUNDLES);
  expect(status).toBe(1);
  expect(lines.filter((line) => line.startsWith('fail')).join('\n')).toContain(check);
});

test('a VM that starts or ends is told until a host has acknowledged it, and a fault is told', async () => {
  await start();
  await expectEvents(helper);
});
