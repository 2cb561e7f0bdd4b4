/**
 * Starts the mosquitto of this machine with docs/mosquitto/mosquitto.conf as users get it, except for its paths and
 * its port, which go to a folder of the test.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { parseAddress } from '../../targets/node/net/streams.ts';
import { freePorts, randomPasswords, type TestBroker, until } from '../edges/transport/worlds.ts';

const DOCS = new URL('../../docs/mosquitto/', import.meta.url);
/** Where packages put the broker; /usr/sbin is not on the path of every user. */
const PROGRAMS = ['/usr/sbin/mosquitto', '/usr/local/sbin/mosquitto', '/opt/homebrew/sbin/mosquitto'];

/** A broker that listens on TCP and on a UNIX socket; the test chooses which it uses. */
export interface Mosquitto {
  readonly tcp: TestBroker;
  readonly unix: TestBroker;
  /** All that it printed. */
  output(): string;
}

/** Where the broker is; undefined when it is not installed. */
export function mosquittoProgram(): string | undefined {
  return PROGRAMS.find((path) => existsSync(path));
}

/** Prepares a broker whose files are in `folder`. Throws an Error that says what to install, if it is missing. */
export async function prepareMosquitto(folder: string): Promise<Mosquitto> {
  const program = mosquittoProgram();
  if (!program) {
    throw new Error('mosquitto is not installed: apt-get install mosquitto, or the package of your system');
  }
  const [port] = await freePorts(1);
  const passwords = randomPasswords();
  const socket = join(folder, 'broker.sock');
  writeFiles(folder, port!, passwords);
  let child: ChildProcess | undefined;
  let printed = '';
  const start = async () => {
    child = spawn(program, ['-c', join(folder, 'baton.conf')], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (bytes) => {
        printed += bytes;
      });
    }
    const answers = [false, false];
    await until('mosquitto listens', () => {
      if (child?.exitCode !== null) throw new Error(`mosquitto ended:\n${printed}`);
      [`tcp:127.0.0.1:${port}`, `unix:${socket}`].forEach((address, index) => {
        const probe = connect(parseAddress(address), () => {
          answers[index] = true;
          probe.destroy();
        }).on('error', () => {});
      });
      return answers.every(Boolean);
    });
  };
  const stop = async () => {
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child!.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  };
  return {
    tcp: { url: `mqtt://127.0.0.1:${port}`, passwords, start, stop },
    unix: { url: `mqtt+unix://${socket}`, passwords, start, stop },
    output: () => printed,
  };
}

/** Writes configuration, access list and passwords. Throws when the shipped file no longer has what is replaced. */
function writeFiles(folder: string, port: number, passwords: ReadonlyMap<string, string>): void {
  let conf = readFileSync(new URL('mosquitto.conf', DOCS), 'utf8');
  const replace = (from: RegExp, to: string) => {
    if (!from.test(conf)) throw new Error(`docs/mosquitto/mosquitto.conf has no line like ${from}`);
    conf = conf.replace(from, to);
  };
  replace(/^listener 1883 127\.0\.0\.1$/m, `listener ${port} 127.0.0.1`);
  replace(/^#listener 0 \/run\/mosquitto\/baton\.sock$/m, `listener 0 ${join(folder, 'broker.sock')}`);
  replace(/^password_file \S+$/m, `password_file ${join(folder, 'passwords')}`);
  replace(/^acl_file \S+$/m, `acl_file ${join(folder, 'acl')}`);
  // It would give up root for a user who cannot write into the folder of the test.
  if (userInfo().uid === 0) conf += 'user root\n';
  writeFileSync(join(folder, 'baton.conf'), conf);
  copyFileSync(new URL('acl', DOCS), join(folder, 'acl'));
  const file = join(folder, 'passwords');
  writeFileSync(file, '');
  for (const path of [file, join(folder, 'acl')]) chmodSync(path, 0o600);
  for (const [user, password] of passwords) execFileSync('mosquitto_passwd', ['-b', file, user, password]);
}
