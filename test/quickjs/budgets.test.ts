/** What the static agent may take: bytes on disk, time to its first answer. Memory: memory.test.ts. */

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { ControlClient } from '../../src/cli/world.ts';
import { VAULT } from '../../targets/lab/machine/board.ts';
import { connectControl } from '../../targets/node/cli/control-client.ts';
import { ended } from '../../targets/node/system/started.ts';
import { castOf, ENGINES } from './cells.ts';
import { StreamTestbed } from './stream-testbed.ts';

const MB = 1_000_000;
/** Starts of which the median counts. */
const STARTS = 15;
/** Most starts until one was not delayed by what else the machine does. */
const STARTS_MAX = 100;

describe('the static agent', () => {
  let testbed: StreamTestbed | undefined;
  afterEach(() => testbed?.stop());

  it.each(['x86_64', 'aarch64'] as const)('for %s has at most 1.2 MB', (machine) => {
    expect(statSync(ENGINES[machine].agent.at(-1)!).size).toBeLessThanOrEqual(1.2 * MB);
  });

  it('answers its first request within 20 ms of its start', async () => {
    testbed = new StreamTestbed(castOf('x86_64', 'x86_64'));
    await testbed.start();
    const socket = testbed.file('vault.sock');
    const wallMs: number[] = [];
    const cpuMs: number[] = [];
    for (let start = 0; start < STARTS_MAX && (start < STARTS || Math.min(...wallMs) > 20); start++) {
      await testbed.killAgent(VAULT);
      rmSync(socket, { force: true });
      const startMs = performance.now();
      const agent = testbed.agentProcess(VAULT, ENGINES.x86_64.agent);
      let client: ControlClient | undefined;
      while (!client) {
        client = await connectControl(socket).catch(() => undefined);
        // Whoever asks all the time has the processor that the agent needs.
        if (!client) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      expect(await client.request({ do: 'status' })).toMatchObject({ ok: true });
      wallMs.push(performance.now() - startMs);
      cpuMs.push(onCpuMs(agent.pid!));
      client.close();
      agent.kill('SIGKILL');
      await ended(agent);
    }
    for (const list of [wallMs, cpuMs]) list.sort((a, b) => a - b);
    const shown = [wallMs, cpuMs].map((list) => list.map((ms) => ms.toFixed(1)).join(' '));
    console.log(`start to first answer in ms: ${shown[0]}; on the processor: ${shown[1]}`);
    // 20 ms on a machine on which Node itself starts in 40; on a slower one, or a busy one, as much more as Node takes.
    const limitMs = 20 * Math.max(1, nodeStartMs() / 40);
    console.log(`limit: ${limitMs.toFixed(1)} ms`);
    expect(cpuMs[Math.floor(cpuMs.length / 2)]).toBeLessThanOrEqual(limitMs);
    expect(wallMs[0]).toBeLessThanOrEqual(limitMs);
  }, 60_000);
});

/** The fastest of several starts of Node with nothing to do. */
function nodeStartMs(): number {
  const times = Array.from({ length: STARTS }, () => {
    const startMs = performance.now();
    spawnSync(process.execPath, ['-e', '0']);
    return performance.now() - startMs;
  });
  return Math.min(...times);
}

/** Time that a process had a processor. */
function onCpuMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}
