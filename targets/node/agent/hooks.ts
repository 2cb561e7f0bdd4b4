/**
 * The HookWorld of a machine: kernel attributes, programs, and locks that show whether a process of an earlier run is
 * still alive.
 */

import { createHooks, type HooksParts } from '../../../src/edges/hooks/hooks.ts';
import type { HookWorld } from '../../../src/edges/hooks/world.ts';
import type { DriverHooks, Log } from '../../../src/ports/world.ts';
import { STREAMS } from '../net/streams.ts';
import { CLOCK } from '../system/clock.ts';
import { ATTRIBUTES } from './attributes.ts';
import { hookNotes } from './hook-notes.ts';
import { NodeHookLocks } from './hooks-lock.ts';

/** Parameters of the hooks of an agent on Node. */
export interface NodeHooksParts extends Omit<HooksParts, 'world'> {
  /** The agent's state folder; see `nodeHookWorld`. */
  readonly stateFolder: string;
}

/** Opens the hooks of an agent. Throws an Error on a contradictory configuration or an unusable folder. */
export function openHooks({ stateFolder, ...parts }: NodeHooksParts): DriverHooks {
  return createHooks({ ...parts, world: nodeHookWorld(stateFolder, parts.log) });
}

/** The HookWorld of this machine, with its locks. */
export interface NodeHookWorld extends HookWorld {
  readonly locks: NodeHookLocks;
}

/**
 * Returns the HookWorld of this machine. `state` is the agent's state folder: of two agents with the same folder, the
 * second is refused. Nobody else may write to it.
 */
export function nodeHookWorld(state: string, log: Log): NodeHookWorld {
  return {
    clock: CLOCK,
    sys: '/sys',
    attributes: ATTRIBUTES,
    streams: STREAMS,
    // Creates the folder.
    locks: new NodeHookLocks(state, log),
    notes: hookNotes(state),
  };
}
