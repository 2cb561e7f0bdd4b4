/** The files of Linux guests in the emulated machine: kernel, initial file system with what a test puts into it, relays of sockets. */

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './run.ts';

/** Address of the outer machine in the network of the emulated one (QEMU's user network). */
export const OUTER = '10.0.2.2';

/** What a test gives to its guests. */
export interface LinuxGuests {
  /** Path in the guests → a file of this machine, or text. `/baton/start.sh` is run when a guest is up, with its name in $VM. */
  readonly files: Readonly<Record<string, { readonly copy: string } | { readonly text: string }>>;
  /** Port of the guests' host → by guest (CID) the TCP port of this machine that it leads to. */
  readonly relays: Readonly<Record<number, Readonly<Record<number, number>>>>;
}

/** Puts all that Linux guests need into the folder that the emulated machine shares. */
export function makeGuests(root: string, cache: string, share: string, guests: LinuxGuests): void {
  copyFileSync(join(cache, 'vmlinuz'), join(share, 'Image'));
  const staged = mkdtempSync(join(share, 'staged-'));
  for (const [path, file] of Object.entries(guests.files)) {
    const to = join(staged, path);
    mkdirSync(dirname(to), { recursive: true });
    if ('copy' in file) copyFileSync(file.copy, to);
    else writeFileSync(to, file.text, { mode: 0o600 });
  }
  compileForGuest(root, 'guest-link', join(staged, 'baton/guest-link'));
  run('/bin/sh', ['-c', `cd ${staged} && find . | cpio -o -H newc -R 0:0 --quiet > ../own.cpio`]);
  // The kernel unpacks archives that stand behind each other.
  const base = readFileSync(join(cache, 'l2.cpio'));
  writeFileSync(join(share, 'files.cpio'), Buffer.concat([base, readFileSync(join(share, 'own.cpio'))]));
  rmSync(staged, { recursive: true });
  compileForGuest(root, 'vsock-relay', join(share, 'vsock-relay'));
  const lines = Object.entries(guests.relays).map(([port, places]) =>
    [port, ...Object.entries(places).map(([cid, to]) => `${cid}=${OUTER}:${to}`)].join(' '),
  );
  writeFileSync(join(share, 'relays'), `${lines.join('\n')}\n`);
}

/** Compiles a program of this folder, static, for a machine of arm64. */
export function compileForGuest(root: string, name: string, to: string): void {
  const source = join(root, 'targets/native/bed', `${name}.c`);
  const flags = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-O2', '-static'];
  run('aarch64-linux-gnu-gcc', [...flags, source, '-o', to]);
}
