/** The engines that an agent runs in, and the pairs of them that are tested together. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Cast } from '../../targets/lab/demo/demo-testbed.ts';
import { Engine, HOST } from '../../targets/quickjs/build/engine.ts';
import { mosquittoProgram } from '../system/mosquitto.ts';
import type { Way } from './stream-testbed.ts';

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

export type EngineName = keyof typeof ENGINES;

/** The agents that also speak MQTT. */
export const MQTT_AGENTS = {
  x86_64: [built('x86_64/baton-agent-mqtt')],
  aarch64: ['qemu-aarch64-static', built('aarch64/baton-agent-mqtt')],
  script: [QJS, built('baton-agent-mqtt.js')],
} as const;

/** Which engine owner and borrower have. */
export function castOf(owner: EngineName, borrower: EngineName): Cast {
  return { agents: { android: ENGINES[owner].agent, vault: ENGINES[borrower].agent }, transport: 'stream' };
}

/** What agents speak over; of MQTT, both versions. */
export const WAYS = ['unix', 'vsock-unix', 'mqtt'] as const;

/** An owner and a borrower on an engine each, and what is between them. */
export interface Pair {
  readonly owner: EngineName;
  readonly borrower: EngineName;
  readonly way: (typeof WAYS)[number];
}

/**
 * Engines that are mixed over each way, in both directions: every two of them somewhere, every one of them
 * everywhere.
 */
const MIXED = {
  unix: [
    ['node', 'x86_64'],
    ['script', 'aarch64'],
  ],
  'vsock-unix': [
    ['node', 'script'],
    ['x86_64', 'aarch64'],
  ],
  mqtt: [
    ['node', 'aarch64'],
    ['script', 'x86_64'],
  ],
} as const satisfies Record<Pair['way'], readonly (readonly [EngineName, EngineName])[]>;

/** What is played; `cells.test.ts` says whether a cell is missing. */
export const PAIRS: readonly Pair[] = WAYS.flatMap((way) => [
  ...MIXED[way].flatMap(([one, other]) => [
    { owner: one, borrower: other, way },
    { owner: other, borrower: one, way },
  ]),
  // What most guests will have.
  { owner: 'x86_64', borrower: 'x86_64', way } as const,
]);

const NAMES = Object.keys(ENGINES) as EngineName[];

/** The agents of a pair, and the way between them: in the two directions of a pair, the two versions of MQTT. */
export function castOfPair({ owner, borrower, way }: Pair): { readonly cast: Cast; readonly way: Way } {
  const isFirst = NAMES.indexOf(owner) < NAMES.indexOf(borrower);
  const words = (engine: EngineName) =>
    way === 'mqtt' && engine !== 'node' ? MQTT_AGENTS[engine] : ENGINES[engine].agent;
  return {
    cast: {
      agents: { android: words(owner), vault: words(borrower) },
      transport: way === 'mqtt' ? 'mqtt' : 'stream',
    },
    way: way === 'mqtt' ? (isFirst ? 'mqtt 3.1.1' : 'mqtt 5') : way,
  };
}

/** Why this machine cannot run a pair, as a sentence; undefined when it can. */
export function missingFor({ owner, borrower, way }: Pair): string | undefined {
  const engines = [owner, borrower];
  if (engines.includes('x86_64') && process.arch !== 'x64') return `this machine is ${process.arch}`;
  const [emulator] = ENGINES.aarch64.agent;
  const folders = (process.env['PATH'] ?? '').split(':');
  if (engines.includes('aarch64') && !folders.some((folder) => existsSync(join(folder, emulator))))
    return `needs ${emulator}: apt-get install qemu-user-static`;
  if (way === 'mqtt' && mosquittoProgram() === undefined) return 'needs mosquitto: apt-get install mosquitto';
  return undefined;
}
