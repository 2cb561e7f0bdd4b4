// Rolls up a program for QuickJS from what tsc emitted. Any warning fails the build.
//
// The sources are those of the agent on Node. SUBSTITUTES lists the files that a file of targets/quickjs replaces; the
// files of targets/quickjs/node replace modules of Node.
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import commonjs from '@rollup/plugin-commonjs';
import json from '@rollup/plugin-json';
import resolve from '@rollup/plugin-node-resolve';
import terser from '@rollup/plugin-terser';
import { recordPackages } from '../../linux/sbom/record-packages.mjs';

/** Path of an emitted file, or name of a package → the file of targets/quickjs that replaces it. */
const SUBSTITUTES = {
  'src/core/wire/hash.js': 'hash.js',
  'targets/node/agent/attributes.js': 'attributes.js',
  'targets/node/net/mqtt.js': 'mqtt.js',
  'targets/node/net/streams.js': 'streams.js',
  'targets/node/system/supervisor.js': 'supervisor.js',
};
const WITHOUT_MQTT = {
  ...SUBSTITUTES,
  'src/edges/transport/kinds/mqtt/mqtt-transport.js': 'no-mqtt.js',
  'targets/node/net/mqtt.js': 'no-mqtt.js',
};

/**
 * Files of src/edges that only a host runs, by their names: `check-config` here checks the configuration of every
 * enforcer, and opens none.
 */
const OF_A_HOST =
  /src\/edges\/(enforcer\/(kinds\/[^/]+\/[^/]+-enforcer|remote)|transport\/kinds\/[^/]+\/[^/]+-router)\.js$/;
const NOTHING = '\0of-a-host';

/** Parts of npm mqtt that are not used here, and replacements for Node's streams. */
const STUBS = join(dirname(fileURLToPath(import.meta.url)), '../stubs');
const FOR_MQTT = {
  debug: join(STUBS, 'debug.cjs'),
  'worker-timers': join(STUBS, 'worker-timers.cjs'),
  'abort-controller': join(STUBS, 'abort-controller.cjs'),
};
/** Packages that replace others. */
const PACKAGES = { bl: 'bl/BufferList', 'node:stream': 'readable-stream' };

const substitutes = (js, table) => ({
  name: 'substitutes',
  resolveId(source, importer) {
    const ours = join(js, 'targets/quickjs');
    if (FOR_MQTT[source] !== undefined) return FOR_MQTT[source];
    if (PACKAGES[source] !== undefined) return this.resolve(PACKAGES[source], importer);
    if (table[source] !== undefined) return join(ours, table[source]);
    if (source.startsWith('node:')) return join(ours, 'node', `${source.slice(5)}.js`);
    if (importer === undefined || !source.startsWith('.')) return null;
    const file = join(dirname(importer), source);
    if (OF_A_HOST.test(file)) return NOTHING;
    const substitute = table[relative(js, file)];
    return substitute === undefined ? null : join(ours, substitute);
  },
  load: (id) => (id === NOTHING ? { code: 'export default {};', syntheticNamedExports: true } : null),
});

/**
 * What only documents are rendered from: guards of rows in words, sentences about messages, descriptions in schemas. A
 * static agent is 12 KB smaller without.
 */
const FOR_DOCS =
  /\b(?:when|says|description):\s*(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")(?!\s*\+)(?:,|(?=\s*\}))/g;
const withoutDocs = (js) => ({
  name: 'without-docs',
  transform: (code, id) =>
    /^src\/(core|config|common|edges)\//.test(relative(js, id))
      ? { code: code.replaceAll(FOR_DOCS, ''), map: null }
      : null,
});

/**
 * Returns the configuration of one program. `js`: output folder of tsc; `entry`: a file in it; `native`: name of the
 * native module in the engine, or the path of its library; `mqtt`: with npm mqtt; `packages`: file for the list of its
 * packages.
 */
export const bundle = ({ js, entry, output, native, mqtt = false, packages }) => {
  const names = { 'qjs:std': 'std', 'qjs:os': 'os', 'qjs:baton': native };
  return {
    input: join(js, entry),
    external: Object.keys(names),
    output: { file: output, format: 'es', paths: names, inlineDynamicImports: true },
    plugins: [
      substitutes(js, mqtt ? SUBSTITUTES : WITHOUT_MQTT),
      resolve({ browser: true, preferBuiltins: false }),
      commonjs(),
      json(),
      withoutDocs(js),
      terser({ module: true, ecma: 2020, compress: { passes: 2 } }),
      ...(packages === undefined ? [] : [recordPackages(packages)]),
    ],
    // Unused modules of these are not loaded: evaluating them would take a third of the start.
    treeshake: { moduleSideEffects: (id) => !/\/dist\/[^/]+\/src\/|\/jsonc-parser\//.test(id) },
    onwarn(warning) {
      const isTheirs = (warning.ids ?? [warning.id]).every((id) => id?.includes('node_modules'));
      if (['CIRCULAR_DEPENDENCY', 'THIS_IS_UNDEFINED'].includes(warning.code) && isTheirs) return;
      throw new Error(`${output}: ${warning.message}`);
    },
  };
};
