/**
 * Warnings about valid hooks that may not do what was meant: names that change, places that do not exist, success that
 * proves little, steps that nothing undoes. Pure: the machine is read through a port.
 */

import type { DeviceHooksConfig, HooksConfig } from '../edges/hooks/hooks-config.ts';
import { type HookStep, kindOf } from '../edges/hooks/kinds.ts';
import { isPattern, numberedPart, unnumbered } from '../edges/hooks/names.ts';
import { placesOf } from '../edges/hooks/sys-look.ts';
import type { Path } from './faults.ts';
import { type ConfigFiles, hiddenText } from './follow.ts';

/** One warning, and its place below the configuration. */
export interface HookWarning {
  readonly path: Path;
  readonly message: string;
}

/** Returns warnings about valid hooks. */
export function hookWarnings(hooks: HooksConfig, files: ConfigFiles): HookWarning[] {
  return Object.entries(hooks).flatMap(([bundle, devices]) =>
    Object.entries(devices).flatMap(([device, own]) => {
      const { inspect: _, ...lists } = own;
      const at = ['hooks', bundle, device];
      const named = Object.entries(lists).flatMap(([list, steps = []]) =>
        steps.flatMap((step, index) => nameWarnings([...at, list, index], step, files)),
      );
      return [...named, ...undoWarnings(at, own, files), ...effectWarnings(at, own, files)];
    }),
  );
}

function nameWarnings(at: Path, step: HookStep, files: ConfigFiles): HookWarning[] {
  return (kindOf(step).places?.(step) ?? []).flatMap(([key, path]) => {
    const dark = new Set<string>();
    const count = placesOf(path, files, dark).length;
    const isDark = count === 0 && dark.size > 0;
    const part = numberedPart(path);
    const words = [
      ...[...dark].map((folder) => `${path}: ${hiddenText(folder)}`),
      ...(count === 0 && !isDark && !isPattern(path) ? [`${path}: not on this machine now`] : []),
      ...(count === 0 && !isDark && isPattern(path) ? [`${path}: nothing fits on this machine now`] : []),
      ...(count > 1 ? [`${path}: ${count} fit on this machine now: expected exactly one`] : []),
      ...(part === undefined
        ? []
        : [`"${part}" has another number next time: name the device above it, or ${instead(step, part)}`]),
    ];
    return words.map((message) => ({ path: [...at, key], message }));
  });
}

function instead(step: HookStep, part: string): string {
  return kindOf(step).insteadOfNumber?.(part) ?? `write "${unnumbered(part)}"`;
}

/** Steps that are never undone: the device stays as they leave it. */
function undoWarnings(at: Path, hooks: DeviceHooksConfig, files: ConfigFiles): HookWarning[] {
  const { suspend = [], holdSupplies = [], resume } = hooks;
  const never = (list: string, steps: readonly HookStep[], other: string) =>
    steps.flatMap((step, index) => {
      const message = kindOf(step).neverUndone?.(step, other, files);
      return message === undefined ? [] : [{ path: [...at, list, index, 'kind'], message }];
    });
  const supplies = never('holdSupplies', holdSupplies, '');
  if (!resume) return [...supplies, ...never('suspend', suspend, ', or "resume" of the device')];
  if (resume.length === 0 && suspend.length > 0)
    return [...supplies, { path: [...at, 'resume'], message: 'empty: nothing undoes what "suspend" does' }];
  const forms = new Set(resume.map(formOf));
  const missing = suspend.flatMap((step, index) => {
    if (!kindOf(step).undoesItself || forms.has(formOf(step))) return [];
    const message = `${step.kind}: not undone: expected the same step in "resume", unless a program there does it`;
    return [{ path: [...at, 'suspend', index, 'kind'], message }];
  });
  return [...supplies, ...missing];
}

function formOf({ name: _, limitMs: __, ...form }: HookStep): string {
  return JSON.stringify(form);
}

/** Steps whose success proves little on this machine. */
function effectWarnings(at: Path, { suspend = [] }: DeviceHooksConfig, files: ConfigFiles): HookWarning[] {
  const kinds = suspend.map(({ kind }) => kind);
  return suspend.flatMap((step, index) => {
    const message = kindOf(step).effect?.(step, files, kinds);
    return message === undefined ? [] : [{ path: [...at, 'suspend', index, 'kind'], message }];
  });
}
