/** `npm run sbom`: writes dist/sbom.json, the components of the built programs. All of them must have been built. */

import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MACHINES } from '../../quickjs/build/engine.ts';
import { nativeLibraries } from './native-libraries.ts';
import { type LockedPackage, type ShippedProgram, sbomOf } from './sbom.ts';

/** From dist/js/targets/linux/sbom. */
const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../../../..');
/** Exit status when something must be built first. */
const EXIT_UNAVAILABLE = 69;

/** Shipped programs, each with the list of its packages. Without those of demo, benchmarks and simulator. */
const SCRIPTS = [
  ...['baton', 'baton-agent', 'baton-host'].map((name) => [`dist/${name}.mjs`, name] as const),
  ['dist/quickjs/baton-agent.js', 'quickjs'],
  ['dist/quickjs/baton-agent-mqtt.js', 'quickjs-mqtt'],
] as const;

function main(): void {
  const read = (file: string) => {
    if (existsSync(join(ROOT, file))) return readFileSync(join(ROOT, file));
    process.stderr.write(`sbom: no ${file}: npm run build && npm run build:quickjs\n`);
    process.exit(EXIT_UNAVAILABLE);
  };
  const json = (file: string) => JSON.parse(read(file).toString());
  const programOf = (file: string, list: string, native: ShippedProgram['native']): ShippedProgram => ({
    file,
    sha256: createHash('sha256').update(read(file)).digest('hex'),
    packages: json(`dist/packages/${list}.json`) as string[],
    native,
  });
  const programs = [
    ...SCRIPTS.map(([file, list]) => programOf(file, list, [])),
    ...MACHINES.flatMap((machine) => [
      programOf(`dist/quickjs/${machine.name}/baton-agent`, 'quickjs', nativeLibraries(machine)),
      programOf(`dist/quickjs/${machine.name}/baton-agent-mqtt`, 'quickjs-mqtt', nativeLibraries(machine)),
    ]),
  ];
  const { name, version, license } = json('package.json') as Record<'name' | 'version' | 'license', string>;
  const { packages: lock } = json('package-lock.json') as { packages: Record<string, LockedPackage> };
  // In seconds, as for reproducible builds.
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  const timestamp = (epoch === undefined ? new Date() : new Date(Number(epoch) * 1_000)).toISOString();
  const bom = sbomOf({ name, version, license, programs, lock, timestamp, serial: randomUUID() });
  writeFileSync(join(ROOT, 'dist/sbom.json'), `${JSON.stringify(bom, null, 2)}\n`);
  console.log(
    `dist/sbom.json: ${programs.length} programs, ${bom.components.length - programs.length} libraries`,
  );
}

main();
