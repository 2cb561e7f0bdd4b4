/** A command of `baton`; each file of `verbs/` defines one. Types only. */

import type { CliWorld, ControlClient } from './world.ts';

type WithDaemon<W> = (world: W, client: ControlClient, args: readonly string[]) => Promise<number>;
type WithoutDaemon<W> = (world: W, args: readonly string[]) => Promise<number> | number;

/** `connect` retries. */
type WithoutAnswer<W> = (
  world: W,
  args: readonly string[],
  error: Error,
  connect: () => Promise<ControlClient>,
) => Promise<number>;

/** A command of `baton`: with a daemon, or `alone`. `W`: its runtime interface. */
export interface Verb<W extends CliWorld = CliWorld> {
  /** Short description for the list. */
  readonly says: string;
  readonly help: string;
  readonly daemon?: readonly ['agent' | 'host', WithDaemon<W>];
  /** Called when no daemon answers; absent: report it and exit with 69. */
  readonly withoutDaemon?: WithoutAnswer<W>;
  readonly alone?: WithoutDaemon<W>;
  /** Whether its output is wrapped at the width of a terminal. */
  readonly isWrapped?: boolean;
  /** Returns its own words, without those of a command to run; absent: the words before `--`. Throws a UsageError. */
  readonly ownWords?: (args: readonly string[]) => readonly string[];
}

/** Commands by name, in the order of the list. */
export type Verbs<W extends CliWorld> = Readonly<Record<string, Verb<W>>>;
