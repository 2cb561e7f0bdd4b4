// Rolls up a program for QuickJS from what tsc emitted. Any warning fails the build.
//
// The sources are those of the agent on Node. A file of targets/quickjs with the name of one of targets/node stands in its
// place, one of targets/quickjs/node in place of a module of Node, and SUBSTITUTES in place of what is left.
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import commonjs from '@rollup/plugin-commonjs';
import resolve from '@rollup/plugin-node-resolve';
import terser from '@rollup/plugin-terser';

/** What is replaced by which file of targets/quickjs, by path of the emitted file or by name of a package. */
const SUBSTITUTES = {
  'src/wire/hash.js': 'hash.js',
  typebox: 'typebox.js',
  'typebox/value': 'typebox-value.js',
};
const WITHOUT_MQTT = {
  ...SUBSTITUTES,
  'src/transport/mqtt.js': 'no-mqtt.js',
  'targets/node/mqtt.js': 'no-mqtt.js',
};

const substitutes = (js, table) => ({
  name: 'substitutes',
  resolveId: (source, importer) => {
    const ours = join(js, 'targets/quickjs');
    const node = join(js, 'targets/node');
    if (table[source] !== undefined) return join(ours, table[source]);
    if (source.startsWith('node:')) return join(ours, 'node', `${source.slice(5)}.js`);
    if (importer === undefined || !source.startsWith('.')) return null;
    const path = join(dirname(importer), source);
    const substitute = table[relative(js, path)];
    if (substitute !== undefined) return join(ours, substitute);
    const sameName = join(ours, relative(node, path));
    return dirname(path) === node && existsSync(sameName) ? sameName : null;
  },
});

/**
 * Returns the configuration of one program. `js`: the folder that tsc emitted to; `entry`: a file of it; `native`: what the engine knows
 * the native module by, its name or the path of a library.
 */
export const bundle = ({ js, entry, output, native }) => {
  const names = { 'qjs:std': 'std', 'qjs:os': 'os', 'qjs:baton': native };
  return {
    input: join(js, entry),
    external: Object.keys(names),
    output: { file: output, format: 'es', paths: names, inlineDynamicImports: true },
    plugins: [
      substitutes(js, WITHOUT_MQTT),
      resolve({ browser: true, preferBuiltins: false }),
      commonjs(),
      terser({ module: true, ecma: 2020, compress: { passes: 2 } }),
    ],
    // What of these nobody uses is not loaded either: to build what is never looked at would take a third of the start.
    treeshake: { moduleSideEffects: (id) => !/\/dist\/[^/]+\/src\/|\/jsonc-parser\//.test(id) },
    onwarn(warning) {
      const isTheirs = warning.ids?.every((id) => id.includes('node_modules'));
      if (warning.code === 'CIRCULAR_DEPENDENCY' && isTheirs) return;
      throw new Error(`${output}: ${warning.message}`);
    },
  };
};
