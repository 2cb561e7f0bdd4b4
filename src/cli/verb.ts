/** What a verb of `baton` is: one file of `verbs/` makes one. Types only. */

import type { CliWorld, ControlClient } from './world.ts';

type WithDaemon<W> = (world: W, client: ControlClient, args: readonly string[]) => Promise<number>;
type WithoutDaemon<W> = (world: W, args: readonly string[]) => Promise<number> | number;

/** `connect` tries again. */
type WithoutAnswer<W> = (
  world: W,
  args: readonly string[],
  error: Error,
  connect: () => Promise<ControlClient>,
) => Promise<number>;

/** A verb of `baton`: with a daemon to ask, or `alone`. `W`: what it needs of the world. */
export interface Verb<W extends CliWorld = CliWorld> {
  /** What it does, for the list. */
  readonly says: string;
  readonly help: string;
  readonly daemon?: readonly ['agent' | 'host', WithDaemon<W>];
  /** What to do when no daemon answers; absent: say so and end with 69. */
  readonly withoutDaemon?: WithoutAnswer<W>;
  readonly alone?: WithoutDaemon<W>;
  /** What it prints is broken at the width of a terminal. */
  readonly isWrapped?: boolean;
  /** Of its words those that are not another program's; absent: those before `--`. Throws a UsageError. */
  readonly ownWords?: (args: readonly string[]) => readonly string[];
}

/** Verbs by name, in the order of the list. */
export type Verbs<W extends CliWorld> = Readonly<Record<string, Verb<W>>>;
