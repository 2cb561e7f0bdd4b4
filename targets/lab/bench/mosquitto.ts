/** A mosquitto of this machine with docs/mosquitto/mosquitto.conf as users get it, except for paths and port. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { PARTIES } from './parties.ts';

/** Beside the built program, dist/bench.mjs. */
const DOCS = new URL('../docs/mosquitto/', import.meta.url);
/** Where packages put the broker; /usr/sbin is not on the path of every user. */
const PROGRAMS = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/opt/homebrew/sbin/mosquitto'];
/** Longest wait for it to listen, and time between two looks, in ms. */
const START_MS = 5_000;
const LOOK_MS = 20;

/** Where it is installed, if it is. */
export function mosquittoProgram(): string | undefined {
  return PROGRAMS.find((path) => existsSync(path));
}

/** A broker at work. */
export interface Mosquitto {
  readonly tcpUrl: string;
  readonly unixUrl: string;
  /** The file with the password of a user. */
  passwordFile(user: string): string;
  stop(): void;
}

/** Starts a broker whose files are in `folder`. */
export async function startMosquitto(program: string, folder: string): Promise<Mosquitto> {
  const port = await freePort();
  const socket = join(folder, 'broker.sock');
  const passwordFile = (user: string) => join(folder, `${user}.password`);
  writeFiles(folder, port, socket, passwordFile);
  const child = spawn(program, ['-c', join(folder, 'mosquitto.conf')], { stdio: 'ignore' });
  await listening(child, port);
  return {
    tcpUrl: `mqtt://127.0.0.1:${port}`,
    unixUrl: `mqtt+unix://${socket}`,
    passwordFile,
    stop: () => void child.kill('SIGTERM'),
  };
}

function writeFiles(
  folder: string,
  port: number,
  socket: string,
  passwordFile: (user: string) => string,
): void {
  let conf = readFileSync(new URL('mosquitto.conf', DOCS), 'utf8');
  const replace = (from: RegExp, to: string) => {
    if (!from.test(conf)) throw new Error(`docs/mosquitto/mosquitto.conf has no line like ${from}`);
    conf = conf.replace(from, to);
  };
  replace(/^listener 1883 127\.0\.0\.1$/m, `listener ${port} 127.0.0.1`);
  replace(/^#listener 0 \S+$/m, `listener 0 ${socket}`);
  replace(/^password_file \S+$/m, `password_file ${join(folder, 'passwords')}`);
  replace(/^acl_file \S+$/m, `acl_file ${join(folder, 'acl')}`);
  // It would give up root for a user who cannot write into our folder.
  if (userInfo().uid === 0) conf += 'user root\n';
  writeFileSync(join(folder, 'mosquitto.conf'), conf);
  copyFileSync(new URL('acl', DOCS), join(folder, 'acl'));
  const passwords = join(folder, 'passwords');
  writeFileSync(passwords, '');
  for (const path of [passwords, join(folder, 'acl')]) chmodSync(path, 0o600);
  for (const user of PARTIES) {
    writeFileSync(passwordFile(user), `secret of ${user}`, { mode: 0o600 });
    execFileSync('mosquitto_passwd', ['-b', passwords, user, `secret of ${user}`]);
  }
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) =>
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    }),
  );
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  const endMs = performance.now() + START_MS;
  const answers = () =>
    new Promise<boolean>((resolve) => {
      const probe = connect(port, '127.0.0.1', () => {
        probe.destroy();
        resolve(true);
      }).on('error', () => resolve(false));
    });
  while (!(await answers())) {
    if (child.exitCode !== null || performance.now() > endMs) throw new Error('mosquitto does not listen');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
