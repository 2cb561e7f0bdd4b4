/** The command line: finds the command, connects where it needs a daemon, and returns the exit status. */

import { constants } from 'node:os';
import { hurried } from '../../../src/cli/patience.ts';
import type { Verb, Verbs } from '../../../src/cli/verb.ts';
import { connectText, guardSocket } from '../../../src/cli/words.ts';
import { type ControlClient, EXIT, EXIT_WORDS, UsageError } from '../../../src/cli/world.ts';
import { wrapLine, wrapText } from '../../../src/cli/wrap.ts';
import { nearest } from '../../../src/common/near.ts';
import { ConfigError } from '../../../src/config/read.ts';
import { FILES } from '../config/sound-config.ts';
import { terminalLine } from '../program/terminal.ts';
import { VERSION } from '../program/version.ts';
import { CLOCK } from '../system/clock.ts';
import { startCommand } from './command.ts';
import { connectControl } from './control-client.ts';
import { clockText, dayText } from './local-time.ts';
import type { FileWorld } from './world.ts';

/** Exit status when the reader of the output is gone: that of a program ended by SIGPIPE. */
const EXIT_PIPE = 128 + constants.signals.SIGPIPE;

/** Called when the reader of the output is gone, to end in order: a command runs, or a bundle is held. */
const hangUps = new Set<() => void>();

const WORLD: FileWorld = {
  env: process.env,
  connect: connectControl,
  spawn: (command, env) => startCommand(command, env, (line) => WORLD.err(line)),
  onSignal: (listener) => {
    const names = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
    const handlers = names.map((name) => {
      const handler = () => listener(name);
      process.on(name, handler);
      return () => void process.removeListener(name, handler);
    });
    // Each line that cannot be written reports the error again.
    let isTold = false;
    const hangUp = () => {
      if (!isTold) listener('SIGHUP');
      isTold = true;
    };
    hangUps.add(hangUp);
    return () => {
      hangUps.delete(hangUp);
      for (const remove of handlers) remove();
    };
  },
  nowMs: CLOCK.nowMs,
  timeOfDay: (agoMs = 0) => {
    const now = new Date();
    const then = new Date(now.getTime() - agoMs);
    const date = then.toDateString() === now.toDateString() ? '' : `${dayText(then)} `;
    return `${date}${clockText(then)}`;
  },
  isoTime: (agoMs = 0) => new Date(Date.now() - agoMs).toISOString(),
  after: CLOCK.after,
  ...FILES,
  out: (line) => write(process.stdout, line),
  err: (line) => write(process.stderr, line),
};

function help(commands: Verbs<FileWorld>): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length));
  const lines = Object.entries(commands).map(([name, { says }]) => `  ${name.padEnd(width)}  ${says}`);
  const statuses = EXIT_WORDS.map(([code, words]) => `  ${String(code).padStart(3)}  ${words}`);
  return [
    'baton COMMAND [options]',
    '',
    'Moves platform devices between running virtual machines.',
    '',
    ...lines,
    '',
    'baton help COMMAND and COMMAND --help say more; baton --version. Every command takes --json and --socket PATH.',
    'Sockets: BATON_SOCKET (agent, default /run/baton/agent.sock) and BATON_HOST_SOCKET (host, default',
    '/run/baton/host.sock); status, describe and events ask the host with --host.',
    '',
    'Exit status:',
    ...statuses,
    '',
  ].join('\n');
}

/** `status`, `describe` and `events` work on the host's socket too: it is then named by --host or --socket. */
function socketOf(kind: 'agent' | 'host', args: readonly string[]): string {
  const at = args.findIndex((arg) => arg === '--socket' || arg.startsWith('--socket='));
  if (at >= 0) return args[at]!.slice(9) || (args[at + 1] ?? '');
  if (kind === 'host' || args.includes('--host'))
    return process.env['BATON_HOST_SOCKET'] ?? '/run/baton/host.sock';
  return process.env['BATON_SOCKET'] ?? '/run/baton/agent.sock';
}

function wordsBefore(args: readonly string[]): readonly string[] {
  return args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
}

/** Writes a text of several lines, wrapped. */
function writeOwn(text: string): void {
  for (const line of wrapText(text, process.stdout.columns)) WORLD.out(line);
}

/** Whether lines are wrapped at the width of the terminal: not JSON, and not plans. */
let isWrapped = false;

/** Writes a line. Escapes it before wrapping, since escaped characters are longer. */
function write(stream: Pick<typeof process.stdout, 'columns' | 'write'>, line: string): void {
  const plain = terminalLine(line);
  const lines = isWrapped ? wrapLine(plain, stream.columns) : [plain];
  stream.write(lines.map((each) => `${each}\n`).join(''));
}

async function main(commands: Verbs<FileWorld>, args: readonly string[], world: FileWorld): Promise<number> {
  const isAbout = args[0] === 'help' && args[1] !== undefined;
  const [name, ...rest] = isAbout ? [args[1]!, '--help'] : args;
  if (name === '--version') {
    world.out(`baton ${VERSION}`);
    return EXIT.ok;
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    writeOwn(help(commands));
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) throw new UsageError(unknownWord(commands, name));
  const isHelp = rest[0] === '--help' || rest[0] === '-h';
  const own = isHelp ? rest : (command.ownWords ?? wordsBefore)(rest);
  if (own.includes('--help') || own.includes('-h')) {
    writeOwn(command.help);
    return EXIT.ok;
  }
  isWrapped = command.isWrapped === true && !own.includes('--json');
  if (command.alone) return command.alone(world, rest);
  return withDaemon(world, name, command, rest, own);
}

/** Connects to the daemon of a command, and runs it. `own`: its own words, without those of a command to run. */
async function withDaemon(
  world: FileWorld,
  name: string,
  command: Verb<FileWorld>,
  args: readonly string[],
  own: readonly string[],
): Promise<number> {
  const [kind, run] = command.daemon!;
  const path = socketOf(kind, own);
  // Requests to a hung daemon end with an error.
  const connect = async () => hurried(world, guardSocket(await world.connect(path), name, kind, path));
  let client: ControlClient;
  try {
    client = await connect();
  } catch (error) {
    if (command.withoutDaemon) return command.withoutDaemon(world, args, error as Error, connect);
    world.err(
      `baton: ${connectText((error as Error).message, own.includes('--host') ? 'host' : kind, path)}`,
    );
    return EXIT.unavailable;
  }
  try {
    return await run(world, client, args);
  } finally {
    client.close();
  }
}

function unknownWord(commands: Verbs<FileWorld>, word: string): string {
  if (word.startsWith('-')) return `unknown option ${word}${nearest(word, ['--help', '--version'])}`;
  const names = Object.keys(commands);
  return `no command ${JSON.stringify(word)}; there are ${names.join(', ')}${nearest(word, names)}`;
}

/** Runs the command in the arguments of `baton`, or reports what is wrong with them. Returns the exit status. */
export async function runCommand(commands: Verbs<FileWorld>, args: readonly string[]): Promise<number> {
  // By default Node opens a debugger port on this signal.
  process.on('SIGUSR1', () => {});
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (hangUps.size === 0) process.exit(error.code === 'EPIPE' ? EXIT_PIPE : EXIT.failed);
    for (const hangUp of hangUps) hangUp();
  });
  return statusOf(commands, args, WORLD);
}

/** The same with a given world, without access to the process. */
export async function statusOf(
  commands: Verbs<FileWorld>,
  args: readonly string[],
  world: FileWorld,
): Promise<number> {
  try {
    return await main(commands, args, world);
  } catch (error) {
    if (error instanceof UsageError) {
      const { message } = error;
      world.err(`baton: ${message}${message.endsWith('?') ? ' Try --help' : '; try --help'}`);
      return EXIT.usage;
    }
    if (error instanceof ConfigError) {
      for (const line of error.message.split('\n')) world.err(line);
      return EXIT.configuration;
    }
    world.err(`baton: ${(error as Error).message}`);
    return EXIT.unavailable;
  }
}
