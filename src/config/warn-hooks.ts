/**
 * What of an agent's hooks can be used and will perhaps not do what was meant: names that change, places that are not
 * there, success that means little, steps that nothing undoes. Pure: what is on the machine comes in through a port.
 */

import type { DeviceHooksConfig, HookStep, HooksConfig } from '../edges/hooks/hooks-config.ts';
import { fitsPattern, isPattern, numberedPart, unnumbered } from '../edges/hooks/names.ts';
import type { Path } from './faults.ts';
import { type ConfigFiles, hiddenText } from './follow.ts';

/** One warning, and where below the configuration. */
export interface HookWarning {
  readonly path: Path;
  readonly message: string;
}

/** Most places that are kept while a pattern is followed. */
const PLACES_MAX = 512;

/** Returns warnings about hooks that are well formed and make sense. */
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

/** What of /sys a step names: the key of the step, and the path. Sockets come and go with their programs. */
function namedBy(step: HookStep): (readonly [key: string, path: string])[] {
  switch (step.kind) {
    case 'sysfs':
      return [['path', step.path], ...(step.expect ? [['expect', step.expect.path] as const] : [])];
    case 'input-inhibit':
      return step.input === undefined ? [] : [['input', inClass(step.input, 'input')]];
    case 'runtime-pm':
    case 'trusted-touch':
      return [['device', step.device]];
    case 'fb-blank':
      return [['fb', inClass(step.fb, 'graphics')]];
    case 'unbind':
      return [
        ['device', step.device.startsWith('/') ? step.device : `/sys/bus/${step.bus}/devices/${step.device}`],
      ];
    default:
      return [];
  }
}

function inClass(name: string, type: string): string {
  return name.startsWith('/') ? name : `/sys/class/${type}/${name}`;
}

function nameWarnings(at: Path, step: HookStep, files: ConfigFiles): HookWarning[] {
  return namedBy(step).flatMap(([key, path]) => {
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
  return step.kind === 'input-inhibit' ? 'use "find"' : `write "${unnumbered(part)}"`;
}

/** The places that a path means, each thing once. `dark` gets the folders that this user may not look into. */
function placesOf(path: string, files: ConfigFiles, dark = new Set<string>()): string[] {
  const noteDark = (place: string) => {
    const folder = files.hidden(place);
    if (folder !== undefined) dark.add(folder);
  };
  if (!isPattern(path)) {
    if (files.look(path)) return [path];
    noteDark(path);
    return [];
  }
  let places = [''];
  for (const part of path.split('/').slice(1)) {
    places = isPattern(part)
      ? places.flatMap((place) => {
          const names = files.list(place || '/');
          if (names.length === 0) noteDark(place || '/');
          return names.filter((name) => fitsPattern(part, name)).map((name) => `${place}/${name}`);
        })
      : places.map((place) => `${place}/${part}`);
    places = places.slice(0, PLACES_MAX);
  }
  const there = places.filter((place) => files.look(place));
  return [...new Map(there.map((place) => [files.realPath(place) ?? place, place])).values()];
}

/** Steps that nothing undoes: the device stays as they leave it. */
function undoWarnings(at: Path, hooks: DeviceHooksConfig, files: ConfigFiles): HookWarning[] {
  const { suspend = [], holdSupplies = [], resume } = hooks;
  const never = (list: string, steps: readonly HookStep[], other: string) =>
    steps.flatMap((step, index) => {
      const message = neverUndone(step, other, files);
      return message === undefined ? [] : [{ path: [...at, list, index, 'kind'], message }];
    });
  const supplies = never('holdSupplies', holdSupplies, '');
  if (!resume) return [...supplies, ...never('suspend', suspend, ', or "resume" of the device')];
  if (resume.length === 0 && suspend.length > 0)
    return [...supplies, { path: [...at, 'resume'], message: 'empty: nothing undoes what "suspend" does' }];
  const forms = new Set(resume.map(formOf));
  const missing = suspend.flatMap((step, index) => {
    const isOneWay = step.kind === 'command' || step.kind === 'socket' || step.kind === 'sysfs';
    if (isOneWay || forms.has(formOf(step))) return [];
    const message = `${step.kind}: not undone: expected the same step in "resume", unless a program there does it`;
    return [{ path: [...at, 'suspend', index, 'kind'], message }];
  });
  return [...supplies, ...missing];
}

function neverUndone(step: HookStep, other: string, files: ConfigFiles): string | undefined {
  if (step.kind === 'command' && step.undo === undefined)
    return `command: never undone: expected "undo"${other}`;
  if (step.kind !== 'sysfs' || step.undo !== undefined) return undefined;
  const [place] = placesOf(step.path, files);
  if (place === undefined || (files.look(place)!.mode & 0o444) !== 0) return undefined;
  return `sysfs: ${place} cannot be read, so what was found is not put back: expected "undo"${other}`;
}

function formOf({ name: _, limitMs: __, ...form }: HookStep): string {
  return JSON.stringify(form);
}

/** Steps whose success means little on this machine. */
function effectWarnings(at: Path, { suspend = [] }: DeviceHooksConfig, files: ConfigFiles): HookWarning[] {
  const onlySilences = suspend.every(({ kind }) => kind === 'input-inhibit' || kind === 'fb-blank');
  return suspend.flatMap((step, index) => {
    const message = littleMeant(step, onlySilences, files);
    return message === undefined ? [] : [{ path: [...at, 'suspend', index, 'kind'], message }];
  });
}

function littleMeant(step: HookStep, onlySilences: boolean, files: ConfigFiles): string | undefined {
  switch (step.kind) {
    case 'sysfs':
      return step.expect ? undefined : 'sysfs: without "expect" a write that does nothing counts as success';
    case 'input-inhibit':
      return onlySilences ? stillUsed(step, files) : undefined;
    case 'runtime-pm': {
      const [place] = placesOf(step.device, files);
      const status = `${place}/power/runtime_status`;
      if (place === undefined || readOf(status, files) !== 'unsupported') return undefined;
      return `runtime-pm: ${status} reads unsupported: the driver has no runtime PM, so the step fails`;
    }
    case 'fb-blank':
      return darkens(step.fb, files);
    default:
      return undefined;
  }
}

/** Why a device is used on although its input devices are inhibited, and nothing else is done. */
function stillUsed(
  { input, find }: Extract<HookStep, { kind: 'input-inhibit' }>,
  files: ConfigFiles,
): string | undefined {
  const places =
    input === undefined ? inputsWith(find ?? {}, files) : placesOf(inClass(input, 'input'), files);
  for (const place of places) {
    const real = files.realPath(place) ?? place;
    const isVirtio =
      /\/virtio\d+(\/|$)/.test(real) || files.list(real).some((name) => /^virtio\d+$/.test(name));
    if (isVirtio)
      return `input-inhibit: events stop, but the driver of a virtio device uses it on: "unbind" makes it let go`;
    const device = real.replace(/\/input\/input\d+$/, '');
    const status = `${device}/power/runtime_status`;
    if (readOf(status, files) === 'unsupported')
      return `input-inhibit: events stop, but the driver has no runtime PM (${status}) and may use the device on`;
  }
  return undefined;
}

function inputsWith(find: Readonly<Record<string, string>>, files: ConfigFiles): string[] {
  const folder = '/sys/class/input';
  const fits = (place: string) =>
    Object.entries(find).every(([trait, pattern]) => {
      const text = readOf(`${place}/${trait}`, files);
      return text !== undefined && fitsPattern(pattern, text);
    });
  return files
    .list(folder)
    .filter((name) => /^input\d+$/.test(name))
    .map((name) => `${folder}/${name}`)
    .filter(fits);
}

function darkens(fb: string, files: ConfigFiles): string | undefined {
  const [place] = placesOf(inClass(fb, 'graphics'), files);
  if (place === undefined) return undefined;
  const drm = files.look(`${place}/blank`) ? `${place}/device/drm` : `${place}/drm`;
  const cards = files.list(drm).filter((name) => /^card\d+$/.test(name));
  const hasConnector = cards.some((card) =>
    files.list(`${drm}/${card}`).some((name) => name.startsWith(`${card}-`)),
  );
  return hasConnector
    ? 'fb-blank: fails while a DRM master has the display: a compositor must let go of it in a step before'
    : 'fb-blank: the device has no DRM connectors, so nobody can tell whether the display goes dark';
}

function readOf(path: string, files: ConfigFiles): string | undefined {
  if (!files.look(path)?.isFile) return undefined;
  try {
    return files.readText(path).trim();
  } catch {
    return undefined;
  }
}
