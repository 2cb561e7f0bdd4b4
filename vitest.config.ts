/**
 * Every test, in projects by what they need: `npx vitest run --project NAME`. `npm test` runs `unit` and `alone`.
 *
 * unit         Node alone; files that come one after the other in a thread share the modules that they import
 * alone        Node alone; files with modules of their own: they replace some, or start and end processes
 * simulation   minutes of both processors: every schedule of a small world (test/model), and thousands of handovers of
 *              the whole product under faults (test/simulation/product); `unit` has their controls
 * system       programs of the machine, such as mosquitto
 * recipes      those of docs/HACKING.md, carried out on a copy of the tree
 * quickjs      the agents that `npm run build:quickjs` has built
 * kvm          a real hypervisor: KVM in an emulated aarch64 machine, by QEMU
 * guests       Linux guests under it, each with an agent of its own
 */

import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { measurePace, paced } from './test/support/pace.ts';
import { SecondTries } from './test/support/second-tries.ts';

measurePace();

/** Of every project. */
const COMMON = {
  // Whatever tests start ends with their file, and with the run.
  globalSetup: ['test/support/ends-run.ts'],
  setupFiles: 'test/support/ends-file.ts',
  pool: 'threads' as const,
  // The machine that this must pass on has two cores; left alone, the runner would use one of them.
  maxWorkers: 2,
};
/** What starts processes has a second try in `.ci/run`; test/support/second-tries.ts says why, and names them. */
const PROCESSES = { ...COMMON, retry: process.env['BATON_TRIES'] === '2' ? 1 : 0 };
/** One emulated machine at a time: it takes both cores. The first time, packages are fetched and unpacked. */
const EMULATED = { ...PROCESSES, maxWorkers: 1, testTimeout: paced(120_000), hookTimeout: paced(300_000) };

/** What needs Node alone. */
const PLAIN = {
  ...COMMON,
  testTimeout: paced(30_000),
  hookTimeout: paced(30_000),
  // Those of processes wait, those of the core compute.
  maxWorkers: 3,
  // A test that asserts nothing passes whatever happens.
  expect: { requireAssertions: true },
};
const OTHERS = [
  'test/system/**',
  'test/quickjs/**',
  'test/model/searches-*',
  'test/simulation/product/runs-*',
];
const ALONE = [
  ...['node', 'processes', 'support'].map((room) => `test/${room}/**/*.test.ts`),
  'test/config/schema.test.ts',
];

const projects = [
  { ...PLAIN, retry: PROCESSES.retry, name: 'alone', include: ALONE },
  // A third of the processor time of these tests went into loading the same modules for each file anew.
  { ...PLAIN, name: 'unit', include: ['test/**/*.test.ts'], exclude: [...OTHERS, ...ALONE], isolate: false },
  {
    ...COMMON,
    name: 'simulation',
    include: ['test/model/searches-*.test.ts', 'test/simulation/product/runs-*.test.ts'],
  },
  {
    ...PROCESSES,
    name: 'system',
    include: ['test/system/**/*.test.ts'],
    exclude: ['test/system/kvm/**', 'test/system/guests/**', 'test/system/recipes/**'],
    maxWorkers: 3,
    testTimeout: paced(30_000),
    hookTimeout: paced(20_000),
  },
  { ...PROCESSES, name: 'recipes', include: ['test/system/recipes/**/*.test.ts'] },
  {
    ...PROCESSES,
    name: 'quickjs',
    include: ['test/quickjs/**/*.test.ts'],
    globalSetup: [...COMMON.globalSetup, 'test/quickjs/setup.ts'],
    // They wait for processes more than they compute.
    maxWorkers: 4,
    testTimeout: paced(30_000),
    hookTimeout: paced(20_000),
  },
  { ...EMULATED, name: 'kvm', include: ['test/system/kvm/**/*.test.ts'] },
  { ...EMULATED, name: 'guests', include: ['test/system/guests/**/*.test.ts'] },
];

const orderOf = (name: string) =>
  Math.max(
    1,
    projects.findIndex((project) => project.name === name),
  );

/**
 * What waits for processes comes first, so that no long file is left at the end, and what shares modules in one piece.
 */
class AloneFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isAlone = ({ project }: TestSpecification) => project.name === 'alone';
    return [...sorted.filter(isAlone), ...sorted.filter((file) => !isAlone(file))];
  }
}

export default defineConfig({
  test: {
    // What is compared with a file that is missing fails: `-u` alone writes it.
    update: 'none',
    // The runner has no two projects of different numbers of workers at once.
    projects: projects.map((test) => ({ test: { ...test, sequence: { groupOrder: orderOf(test.name) } } })),
    sequence: { sequencer: AloneFirst },
    reporters: ['default', new SecondTries()],
  },
});
