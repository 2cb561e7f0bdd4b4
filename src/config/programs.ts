/**
 * The programs in a configuration, and their places. The check looks for each, and a daemon gets each by its whole
 * path. Pure.
 *
 * As every path in a configuration, one with a slash is relative to the folder of its file. A name without a slash is
 * looked up in PATH.
 */

import type { AgentFile } from './agent-config.ts';
import type { Path } from './faults.ts';
import type { HostFile } from './host-config.ts';

/** A program with its arguments, and the place of the list. */
export interface NamedProgram {
  readonly path: Path;
  readonly command: readonly string[];
}

/** Returns the programs of an agent: policy and hooks. */
export function programsOfAgent({ policy, hooks = {} }: AgentFile): readonly NamedProgram[] {
  const ofPolicy =
    policy?.kind === 'program' ? [{ path: ['policy', 'command'], command: policy.command }] : [];
  return [...ofPolicy, ...commandsIn(hooks, ['hooks'])];
}

/** Returns the programs of a host: those of its enforcer. */
export function programsOfHost({ enforcer }: HostFile): readonly NamedProgram[] {
  return commandsIn(enforcer, ['enforcer']);
}

/**
 * A step, an `inspect` or an enforcer of kind `command` has its program under `command`, and the undoing program
 * under `undo`.
 */
function commandsIn(value: unknown, path: Path): NamedProgram[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = (value as { kind?: unknown }).kind === 'command';
  return Object.entries(value).flatMap(([key, inner]): NamedProgram[] => {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    if (own && (key === 'command' || key === 'undo')) return [{ path: here, command: inner as string[] }];
    return commandsIn(inner, here);
  });
}

/** Returns a configuration whose programs have whole paths. `beside`: returns a path of it as an absolute one. */
export function withWholePaths<T extends object>(
  config: T,
  programs: readonly NamedProgram[],
  beside: (path: string) => string,
): T {
  const whole = JSON.parse(JSON.stringify(config)) as T;
  for (const { path, command } of programs) {
    const [name = '', ...args] = command;
    if (!name.includes('/')) continue;
    const around = path.slice(0, -1).reduce((inner: unknown, key) => (inner as never)[key], whole);
    (around as Record<string, unknown>)[path.at(-1)!] = [beside(name), ...args];
  }
  return whole;
}
