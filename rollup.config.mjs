// One self-contained file per program, from what tsc emitted. Any warning fails the build.
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
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
/** The largest package, CommonJS as what it needs: made into one module first, while tsc works, for all programs. */
const MQTT = join(import.meta.dirname, 'dist/packages/mqtt.mjs');

/** Our own files import each other by whole names: nobody has to look for them, nor take them for CommonJS. */
const own = {
  name: 'own-files',
  resolveId: (source, importer) => {
    if (!importer?.startsWith(emitted)) return null;
    if (source === 'mqtt/lib/client') return MQTT;
    return source.startsWith('.') ? join(dirname(importer), source) : null;
  },
};
/** Texts that our own files import, as vitest does it: they are not among what tsc emitted. */
const RAW = '?raw';
const texts = {
  name: 'texts',
  resolveId: (source, importer) =>
    source.endsWith(RAW) ? join(import.meta.dirname, relative(emitted, dirname(importer)), source) : null,
  load: (id) =>
    id.endsWith(RAW)
      ? `export default ${JSON.stringify(readFileSync(id.slice(0, -RAW.length), 'utf8'))};`
      : null,
};
const plugins = [
  texts,
  own,
  resolve({ preferBuiltins: true, exportConditions: ['node'] }),
  commonjs({ include: /node_modules/ }),
  json(),
];
// Circular imports inside these packages are theirs, and harmless.
const theirs = /node_modules/;

const bundle = (name, input, file, more = {}) => ({
  input,
  output: { file, format: 'es', inlineDynamicImports: true },
  external: [/^node:/, ...(more.external ?? [])],
  // Nothing in src acts when it is loaded: a file of which nothing is used is left out.
  treeshake: { moduleSideEffects: (id) => !id.startsWith(join(emitted, 'src/')) },
  plugins: [...plugins, recordPackages(`dist/packages/${name}.json`, { [MQTT]: 'dist/packages/mqtt.json' })],
  onwarn(warning) {
    if (warning.code === 'CIRCULAR_DEPENDENCY' && warning.ids?.every((id) => theirs.test(id))) return;
    if (warning.code === 'THIS_IS_UNDEFINED' && theirs.test(warning.id ?? '')) return;
    throw new Error(`${name}: ${warning.message}`);
  },
});
const program = (name, input, external) => {
  const made = bundle(name, join(emitted, `targets/${input}.js`), `dist/${name}.mjs`, { external });
  return { ...made, output: { ...made.output, banner: '#!/usr/bin/env node' } };
};

// The broker is a development dependency: the demo finds it in node_modules.
const broker = program('baton-broker', 'lab/simulator/broker-main', ['aedes']);
const programsOf = (...names) => names.map((name) => program(name, programs[name]));

/** What `--configPart` builds. `a` and `b` take two processes about as long; the benchmark and the survey of boards are
 *  built when they are run. */
const parts = {
  mqtt: [bundle('mqtt', 'mqtt/lib/client', MQTT)],
  a: programsOf('baton-agent', 'baton-host'),
  b: [...programsOf('baton', 'baton-machine', 'baton-driver'), broker],
  bench: programsOf('bench'),
  boards: programsOf('boards'),
};

export default ({ configPart }) => parts[configPart] ?? Object.values(parts).flat();
