/** Libraries in the static program that are not npm packages: the engine, the C library, the compiler's runtime. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { cacheFolder, type Machine, run, SOURCE_SHA256 } from '../../quickjs/build/engine.ts';
import type { NativeLibrary } from './sbom.ts';

/** Returns the libraries of the program for a machine. Throws an Error when it was not built here. */
export function nativeLibraries(machine: Machine): NativeLibrary[] {
  const musl = muslVersion(machine);
  const gcc = run(machine.compiler, ['-dumpfullversion']).stdout.trim();
  return [
    {
      name: 'quickjs',
      version: '2025-04-26',
      purl: 'pkg:deb/debian/quickjs@2025.04.26-1?arch=source',
      license: 'MIT',
      sourceSha256: SOURCE_SHA256,
      description: 'The engine, without compiler; the hash is that of quickjs_2025.04.26.orig.tar.xz',
    },
    {
      name: 'musl',
      version: musl,
      purl: `pkg:deb/debian/musl@${musl}?arch=source`,
      license: 'MIT',
      description: 'The C library',
    },
    {
      name: 'libgcc',
      version: gcc,
      purl: `pkg:generic/gcc@${gcc}#libgcc`,
      license: 'GPL-3.0-or-later WITH GCC-exception-3.1',
      description: 'Functions that the compiler calls, as far as it does',
    },
  ];
}

/** Debian's version of the linked musl: this machine's own, or the one unpacked for a cross compiler. */
function muslVersion({ musl }: Machine): string {
  const changes = join(cacheFolder(), `musl-${musl}`, 'usr/share/doc/musl-dev/changelog.Debian.gz');
  const [, version] =
    musl === undefined
      ? (/^Version: (.+)$/m.exec(run('dpkg', ['--status', 'musl-dev']).stdout) ?? [])
      : (/^musl \((.+?)\)/.exec(gunzipSync(readFileSync(changes)).toString()) ?? []);
  if (version === undefined) throw new Error(`no version of musl-dev for ${musl ?? 'this machine'}`);
  return version;
}
