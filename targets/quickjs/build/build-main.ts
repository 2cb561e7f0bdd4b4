/**
 * `npm run build:quickjs` makes dist/quickjs/<machine>/baton-agent, one static program per machine (baton-agent-mqtt:
 * with MQTT), and dist/quickjs/baton-agent.js with baton.so, for a `qjs` of the system; each also under the name
 * `baton`. `--machine NAME` builds for that machine only. It also makes dist/linux: the source as an archive for other
 * compilers, with recipes.
 */

import { mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packSource } from './archive.ts';
import { bytecodeFile, Engine, HOST, MACHINES, missingPrograms, run } from './engine.ts';

/** From dist/js/targets/quickjs/build. */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../../../..');
const OUTPUT = join(ROOT, 'dist/quickjs');

/** Without and with MQTT. */
const NAMES = ['agent', 'agent-mqtt'];

/** Exit status when something must be installed first. */
const EXIT_UNAVAILABLE = 69;

function build(names: readonly string[]): void {
  const machines = MACHINES.filter(({ name }) => names.length === 0 || names.includes(name));
  const missing = missingPrograms(machines);
  if (missing !== undefined) {
    process.stderr.write(`build:quickjs: ${missing}\n`);
    process.exit(EXIT_UNAVAILABLE);
  }
  mkdirSync(OUTPUT, { recursive: true });
  const host = new Engine(ROOT, HOST);
  const rollup = ['--silent', '-c', join(ROOT, 'targets/quickjs/build/rollup.config.mjs')];
  run(join(ROOT, 'node_modules/.bin/rollup'), rollup, ROOT);
  for (const name of NAMES) {
    const script = join(OUTPUT, `${name}.js`);
    const bytecode = join(OUTPUT, `${name}.c`);
    bytecodeFile(host.compiler(), script, bytecode);
    for (const machine of machines) {
      const program = join(OUTPUT, machine.name, `baton-${name}`);
      mkdirSync(dirname(program), { recursive: true });
      new Engine(ROOT, machine).link(bytecode, program);
      console.log(`${program}: ${statSync(program).size} bytes`);
    }
    rmSync(script);
  }
  const bytecodes = Object.fromEntries(NAMES.map((name) => [`${name}.c`, join(OUTPUT, `${name}.c`)]));
  console.log(packSource(ROOT, host.headers, bytecodes, join(ROOT, 'dist/linux')));
  for (const bytecode of Object.values(bytecodes)) rmSync(bytecode);
  for (const { name } of machines) alsoAs(join(OUTPUT, name, 'baton-agent'), join(OUTPUT, name, 'baton'));
  alsoAs(join(OUTPUT, 'baton-agent.js'), join(OUTPUT, 'baton.js'));
  host.library(join(OUTPUT, 'baton.so'));
}

/** A file is one program or the other, depending on the name it is called by. */
function alsoAs(file: string, name: string): void {
  rmSync(name, { force: true });
  symlinkSync(basename(file), name);
}

const words = process.argv.slice(2);
build(words.filter((_, index) => words[index - 1] === '--machine'));
