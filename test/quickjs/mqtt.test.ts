/**
 * The static agents with MQTT: the command line over the broker of the demo, and an end of mosquitto. On every
 * engine: compliance-mqtt.test.ts.
 */

import { spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { Cast } from '../../targets/lab/demo/demo-testbed.ts';
import { VAULT } from '../../targets/lab/machine/board.ts';
import { floodingBroker } from '../edges/transport/flooding-broker.ts';
import { borrowSuite } from '../processes/borrow.suite.ts';
import { ENGINES, MQTT_AGENTS } from './cells.ts';
import { BORROW, StreamTestbed } from './stream-testbed.ts';

const MB = 1_000_000;
const cast = (android: readonly string[], vault: readonly string[]): Cast => ({
  agents: { android, vault },
  transport: 'mqtt',
});
const BOTH = cast(MQTT_AGENTS.x86_64, MQTT_AGENTS.x86_64);

borrowSuite('static over MQTT', BOTH, ENGINES.x86_64.baton);
describe('the static agent with MQTT', () => {
  let testbed: StreamTestbed | undefined;
  afterEach(() => testbed?.stop());

  it.each(['x86_64', 'aarch64'] as const)('for %s has at most 1.5 MB', (machine) => {
    expect(statSync(MQTT_AGENTS[machine].at(-1)!).size).toBeLessThanOrEqual(1.5 * MB);
  });

  it('the one without it says so, whether it is to run or to check', async () => {
    testbed = new StreamTestbed(BOTH, 'mqtt 3.1.1');
    await testbed.start();
    const config = testbed.file(`${VAULT}.json`);
    const small = ENGINES.x86_64;
    for (const words of [
      [...small.baton, 'check-config', config],
      [...small.agent, '--config', config],
    ]) {
      const { status, stdout, stderr } = spawnSync(words[0]!, words.slice(1), { encoding: 'utf8' });
      expect(stdout + stderr).toMatch(/transport\.kind: this baton-agent is built without MQTT/);
      expect(status).toBe(78);
    }
  });

  it('comes back when its broker does', async () => {
    testbed = new StreamTestbed(BOTH, 'mqtt 5');
    await testbed.start();
    await testbed.broker!.stop();
    await testbed.until('its end is noticed', 4_000, () =>
      testbed!.said.get(VAULT)!.includes('not connected'),
    );
    await testbed.until('a refusal is told', 4_000, () => testbed!.said.get(VAULT)!.includes('ECONNREFUSED'));
    await testbed.broker!.start();
    const program = await testbed.program(VAULT);
    await testbed.until('it is lent', 10_000, async () => (await program.request(BORROW))['ok'] === true);
    program.close();
    await testbed.isBack();
  });

  it('leaves a broker that sends on and reads no answer, and lives on', async () => {
    testbed = new StreamTestbed(BOTH, 'mqtt 3.1.1');
    await testbed.start();
    const flood = floodingBroker(`baton/machine/${VAULT}/in/host`, 1);
    await new Promise<void>((resolve) => flood.listen(testbed!.file('flood'), resolve));
    await testbed.killAgent(VAULT);
    const file = testbed.file(`${VAULT}.json`);
    const config = JSON.parse(readFileSync(file, 'utf8'));
    config.transport.url = `mqtt+unix://${testbed.file('flood')}`;
    writeFileSync(file, JSON.stringify(config));
    const agent = testbed.agentProcess(VAULT, MQTT_AGENTS.x86_64);
    const from = testbed.said.get(VAULT)!.length;
    const said = () => testbed!.said.get(VAULT)!.slice(from);
    await testbed.until(
      'it is left',
      15_000,
      () => said().includes('the broker read none of ours') || agent.exitCode !== null,
    );
    expect(said()).not.toContain('uncaught');
    expect(agent.exitCode).toBeNull();
    flood.close();
  });
});
