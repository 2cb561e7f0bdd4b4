/** What every program answers besides its work: --help, --version, and one line to a command line that is wrong. */

import { wrapText } from '../../../src/cli/wrap.ts';
import { nearest } from '../../../src/common/near.ts';
import { EXIT_USAGE } from './daemon.ts';
import { writeErrors } from './terminal.ts';
import { VERSION } from './version.ts';

/** How a program is called. */
export interface ProgramFace {
  readonly name: string;
  /** Its first line is how it is called. */
  readonly help: string;
}

/** Answers `--help`, `-h` and `--version`, and ends the process then. */
export function answerFace({ name, help }: ProgramFace, args: readonly string[]): void {
  const isHelp = args.some((arg) => arg === '--help' || arg === '-h');
  if (!isHelp && !args.includes('--version')) return;
  const text = isHelp ? wrapText(help, process.stdout.columns).join('\n') : `${name} ${VERSION}`;
  process.stdout.write(`${text}\n`);
  process.exit(0);
}

/** Ends the process over a wrong command line, with one line. */
export function refuseWords(name: string, message: string): never {
  writeErrors(`${name}: ${message}; try --help`);
  process.exit(EXIT_USAGE);
}

/** The words of a program that takes no options: at least `least` of them. */
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
