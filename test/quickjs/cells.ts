/** The engines that an agent runs in, and the pairs of them that are tested together. */

import { join } from 'node:path';
import type { Cast } from '../../targets/demo/demo-bed.ts';
import { Engine, HOST } from '../../targets/quickjs/build/engine.ts';

const ROOT = join(import.meta.dirname, '../..');
const built = (name: string) => join(ROOT, 'dist/quickjs', name);

/** An engine as a system has it, which runs the scripts with the native module beside them. */
const QJS = new Engine(ROOT, HOST).interpreter();

/** How an agent, and the command line, are called on an engine. */
export interface EngineWords {
  readonly agent: readonly string[];
  readonly baton: readonly string[];
}

export const ENGINES = {
  node: {
    agent: [process.execPath, join(ROOT, 'dist/baton-agent.mjs')],
    baton: [process.execPath, join(ROOT, 'dist/baton.mjs')],
  },
  script: { agent: [QJS, built('baton-agent.js')], baton: [QJS, built('baton.js')] },
  x86_64: { agent: [built('x86_64/baton-agent')], baton: [built('x86_64/baton')] },
  aarch64: {
    agent: ['qemu-aarch64-static', built('aarch64/baton-agent')],
    // By its name it is told what to be: the emulator hands on the first word that it is given.
    baton: ['qemu-aarch64-static', built('aarch64/baton')],
  },
} as const satisfies Record<string, EngineWords>;

/** The agents that also speak MQTT. */
export const MQTT_AGENTS = {
  x86_64: [built('x86_64/baton-agent-mqtt')],
  aarch64: ['qemu-aarch64-static', built('aarch64/baton-agent-mqtt')],
  script: [QJS, built('baton-agent-mqtt.js')],
} as const;

/** Which engine owner and borrower have. */
export function castOf(owner: keyof typeof ENGINES, borrower: keyof typeof ENGINES): Cast {
  return { agents: { android: ENGINES[owner].agent, vault: ENGINES[borrower].agent }, transport: 'stream' };
}
