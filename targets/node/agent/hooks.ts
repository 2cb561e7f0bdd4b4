/**
 * The HookWorld of a machine: attributes of the kernel, programs, and locks that see whether anything of an earlier run
 * still lives.
 */

import { createHooks, type HooksParts } from '../../../src/edges/hooks/hooks.ts';
import type { HookWorld } from '../../../src/edges/hooks/world.ts';
import type { DriverHooks, Log } from '../../../src/ports/world.ts';
import { STREAMS } from '../net/streams.ts';
import { CLOCK } from '../system/clock.ts';
import { ATTRIBUTES } from './attributes.ts';
import { hookNotes } from './hook-notes.ts';
import { NodeHookLocks } from './hooks-lock.ts';

/** What an agent on Node gives for its hooks. */
export interface NodeHooksParts extends Omit<HooksParts, 'world'> {
  /** The agent's own folder; see `nodeHookWorld`. */
  readonly stateFolder: string;
}

/**
 * Opens the hooks of an agent. Throws an Error on a configuration that makes no sense, or on a folder that cannot be
 * used.
 */
export function openHooks({ stateFolder, ...parts }: NodeHooksParts): DriverHooks {
  return createHooks({ ...parts, world: nodeHookWorld(stateFolder, parts.log) });
}

/** This machine as hooks see it. */
export interface NodeHookWorld extends HookWorld {
  readonly locks: NodeHookLocks;
}

/**
 * Returns this machine as hooks see it. `state` is the agent's own folder: two agents with the same one refuse
 * each other. Nobody else may write to it.
 */
export function nodeHookWorld(state: string, log: Log): NodeHookWorld {
  return {
    clock: CLOCK,
    sys: '/sys',
    attributes: ATTRIBUTES,
    streams: STREAMS,
    // Makes the folder.
    locks: new NodeHookLocks(state, log),
    notes: hookNotes(state),
  };
}
