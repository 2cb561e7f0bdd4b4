/**
 * The HookWorld on Node: attributes of the kernel, programs, and locks that see whether anything of an earlier run
 * still lives.
 */

import { Buffer } from 'node:buffer';
import { constants } from 'node:fs';
import { access, open, readdir, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { createHooks, type HooksParts } from '../../src/hooks/hooks.ts';
import type { Attributes, HookWorld } from '../../src/hooks/world.ts';
import type { DriverHooks, Log } from '../../src/ports.ts';
import { CLOCK } from './clock.ts';
import { NodeHookLocks } from './hooks-lock.ts';
import { STREAMS } from './streams.ts';

/** Longest attribute that is read, in bytes: the kernel shows at most a page. */
const ATTRIBUTE_BYTES_MAX = 4_096;

/** What an agent on Node gives for its hooks. */
export interface NodeHooksParts extends Omit<HooksParts, 'world'> {
  /** The agent's own folder; see `nodeHookWorld`. */
  readonly stateFolder: string;
}

/** Opens the hooks of an agent. Throws an Error on a configuration that makes no sense, or on a folder that cannot be used. */
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
    locks: new NodeHookLocks(state, log),
  };
}

/** Files below /sys. Asynchronous, because a write may last as long as a driver's suspend. */
const ATTRIBUTES: Attributes = {
  read: async (path) => {
    const file = await open(path, constants.O_RDONLY);
    try {
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(ATTRIBUTE_BYTES_MAX),
        0,
        ATTRIBUTE_BYTES_MAX,
        0,
      );
      return buffer.toString('utf8', 0, bytesRead);
    } catch (error) {
      throw new Error(`reading ${path}: ${(error as Error).message}`, { cause: error });
    } finally {
      await file.close();
    }
  },
  write: async (path, text) => {
    // A driver takes a value by one write from the start; O_CREAT would turn a misspelt path into a file.
    const file = await open(path, constants.O_WRONLY);
    try {
      await file.write(text, 0);
    } catch (error) {
      throw new Error(`writing ${JSON.stringify(text)} to ${path}: ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      await file.close();
    }
  },
  linkName: async (path) => {
    try {
      return basename(await readlink(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  },
  exists: (path) =>
    access(path).then(
      () => true,
      () => false,
    ),
  list: readdir,
};
