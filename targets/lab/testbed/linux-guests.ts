/**
 * The files of Linux guests in the emulated machine: kernel, initial file system with what a test puts into it,
 * relays of sockets.
 */

import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OUTER } from './emulated.ts';
import { run } from './run.ts';

/**
 * Path in a guest → a file of this machine, or text. `/baton/start.sh` is run when the guest is up, with its name in
 * $VM.
 */
export type GuestFiles = Readonly<Record<string, { readonly copy: string } | { readonly text: string }>>;

/** What a test gives to its guests. */
export interface LinuxGuests {
  readonly files: GuestFiles;
  /** Port of the guests' host → by guest (CID) the TCP port of this machine that it leads to. */
  readonly relays: Readonly<Record<number, Readonly<Record<number, number>>>>;
}

/** Puts all that Linux guests need into the folder that the emulated machine shares. */
export function makeGuests(root: string, cache: string, share: string, guests: LinuxGuests): void {
  copyFileSync(join(cache, 'vmlinuz'), join(share, 'Image'));
  const base = join(cache, 'l2.cpio');
  packFiles(root, base, join(share, 'files.cpio'), guests.files, 'guest-link');
  compileForGuest(root, 'vsock-relay', join(share, 'vsock-relay'));
  const lines = Object.entries(guests.relays).map(([port, places]) =>
    [port, ...Object.entries(places).map(([cid, to]) => `${cid}=${OUTER}:${to}`)].join(' '),
  );
  writeFileSync(join(share, 'relays'), `${lines.join('\n')}\n`);
}

/**
 * Makes the initial file system of guests: what `base` has, `files`, and a program of this folder as /baton/PROGRAM.
 */
export function packFiles(root: string, base: string, to: string, files: GuestFiles, program: string): void {
  const staged = mkdtempSync(`${to}-`);
  for (const [path, file] of Object.entries(files)) {
    const at = join(staged, path);
    mkdirSync(dirname(at), { recursive: true });
    if ('copy' in file) copyFileSync(file.copy, at);
    else writeFileSync(at, file.text, { mode: 0o600 });
  }
  compileForGuest(root, program, join(staged, 'baton', program));
  const own = `${staged}.cpio`;
  run('/bin/sh', ['-c', `cd ${staged} && find . | cpio -o -H newc -R 0:0 --quiet > ${own}`]);
  // The kernel unpacks archives that stand behind each other.
  writeFileSync(to, Buffer.concat([readFileSync(base), readFileSync(own)]));
  rmSync(staged, { recursive: true });
  rmSync(own);
}

/** Compiles a program of this folder, static, for a machine of arm64. */
export function compileForGuest(root: string, name: string, to: string): void {
  const source = join(root, 'targets/lab/testbed', `${name}.c`);
  const flags = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-O2', '-static'];
  run('aarch64-linux-gnu-gcc', [...flags, source, '-o', to]);
}
