// One self-contained file per program, from what tsc emitted. Any warning fails the build.
import { dirname, join } from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import json from '@rollup/plugin-json';
import resolve from '@rollup/plugin-node-resolve';
import { recordPackages } from './targets/linux/sbom/record-packages.mjs';

const emitted = join(import.meta.dirname, 'dist/js');
const programs = {
  baton: 'lab/demo/baton-main',
  'baton-agent': 'node/agent/agent-main',
  'baton-host': 'node/host/host-main',
  'baton-machine': 'lab/simulator/machine-main',
  'baton-driver': 'lab/simulator/driver-main',
  bench: 'lab/bench/bench-main',
  boards: 'lab/bench/boards-main',
};

/** Our own files import each other by whole names: nobody has to look for them, nor take them for CommonJS. */
const own = {
  name: 'own-files',
  resolveId: (source, importer) =>
    source.startsWith('.') && importer?.startsWith(emitted) ? join(dirname(importer), source) : null,
};
const plugins = [
  own,
  resolve({ preferBuiltins: true, exportConditions: ['node'] }),
  commonjs({ include: /node_modules/ }),
  json(),
];
// Circular imports inside these packages are theirs, and harmless.
const theirs = /node_modules/;

const bundle = (name, input, external = []) => ({
  input: join(emitted, `targets/${input}.js`),
  output: {
    file: `dist/${name}.mjs`,
    format: 'es',
    inlineDynamicImports: true,
    banner: '#!/usr/bin/env node',
  },
  external: [/^node:/, ...external],
  // Nothing in src acts when it is loaded: a file of which nothing is used is left out.
  treeshake: { moduleSideEffects: (id) => !id.startsWith(join(emitted, 'src/')) },
  plugins: [...plugins, recordPackages(`dist/packages/${name}.json`)],
  onwarn(warning) {
    if (warning.code === 'CIRCULAR_DEPENDENCY' && warning.ids?.every((id) => theirs.test(id))) return;
    if (warning.code === 'THIS_IS_UNDEFINED' && theirs.test(warning.id ?? '')) return;
    throw new Error(`${name}: ${warning.message}`);
  },
});

// The broker is a development dependency: the demo finds it in node_modules.
const broker = bundle('baton-broker', 'lab/simulator/broker-main', ['aedes']);
const programsOf = (...names) => names.map((name) => bundle(name, programs[name]));

/** What `--configPart` builds. `a` and `b` take two processes about as long; the benchmark and the survey of boards are
 *  built when they are run. */
const parts = {
  a: programsOf('baton-agent', 'baton-machine', 'baton-driver'),
  b: [...programsOf('baton-host', 'baton'), broker],
  bench: programsOf('bench'),
  boards: programsOf('boards'),
};

export default ({ configPart }) => parts[configPart] ?? Object.values(parts).flat();
