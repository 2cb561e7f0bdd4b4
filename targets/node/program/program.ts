/** Common options of every program: --help, --version, and one line about a wrong command line. */

import { wrapText } from '../../../src/cli/wrap.ts';
import { nearest } from '../../../src/common/near.ts';
import { EXIT_USAGE } from './daemon.ts';
import { writeErrors } from './terminal.ts';
import { VERSION } from './version.ts';

/** Name and help of a program. */
export interface ProgramFace {
  readonly name: string;
  /** The first line is the usage. */
  readonly help: string;
}

/** Answers `--help`, `-h` and `--version`, and then ends the process. */
export function answerFace({ name, help }: ProgramFace, args: readonly string[]): void {
  const isHelp = args.some((arg) => arg === '--help' || arg === '-h');
  if (!isHelp && !args.includes('--version')) return;
  const text = isHelp ? wrapText(help, process.stdout.columns).join('\n') : `${name} ${VERSION}`;
  process.stdout.write(`${text}\n`);
  process.exit(0);
}

/** Reports a wrong command line in one line and ends the process. */
export function refuseWords(name: string, message: string): never {
  writeErrors(`${name}: ${message}; try --help`);
  process.exit(EXIT_USAGE);
}

/** Returns the arguments of a program without options: at least `least` of them. */
export function plainWords(
  face: ProgramFace,
  args: readonly string[],
  least: number,
  most = least,
): readonly string[] {
  answerFace(face, args);
  const option = args.find((arg) => arg.startsWith('-'));
  if (option !== undefined) {
    const near = nearest(option, ['--help', '--version']);
    refuseWords(face.name, `unknown option ${option}${near}`);
  }
  if (args.length < least || args.length > most) {
    const [usage = ''] = face.help.split('\n');
    refuseWords(face.name, `expected ${usage}`);
  }
  return args;
}
