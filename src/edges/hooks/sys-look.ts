/** Looks at /sys for `check-config`: resolves the places of a step now. Pure; the machine is read through a port. */

import { fitsPattern, isPattern } from './names.ts';

/** The part of a machine that `check-config` sees. */
export interface SysLook {
  /** Returns what is at `path`; undefined when nothing is. `mode`: permission bits, as in 0o600. */
  look(path: string): { readonly isFile: boolean; readonly mode: number } | undefined;
  /** Returns the names in a folder; none when there is no such folder. */
  list(path: string): readonly string[];
  /** Returns the folder that denies this user access to `path`; undefined when none does. */
  hidden(path: string): string | undefined;
  /** Returns the path without symbolic links; undefined when nothing is there. */
  realPath(path: string): string | undefined;
  /** Returns the text of a file. Throws when it cannot be read. */
  readText(path: string): string;
}

/** Most places kept while a pattern is expanded. */
const PLACES_MAX = 512;

/** Returns the places that a path means, each thing once. `dark` collects the folders that this user may not read. */
export function placesOf(path: string, look: SysLook, dark = new Set<string>()): string[] {
  const noteDark = (place: string) => {
    const folder = look.hidden(place);
    if (folder !== undefined) dark.add(folder);
  };
  if (!isPattern(path)) {
    if (look.look(path)) return [path];
    noteDark(path);
    return [];
  }
  let places = [''];
  for (const part of path.split('/').slice(1)) {
    places = isPattern(part)
      ? places.flatMap((place) => {
          const names = look.list(place || '/');
          if (names.length === 0) noteDark(place || '/');
          return names.filter((name) => fitsPattern(part, name)).map((name) => `${place}/${name}`);
        })
      : places.map((place) => `${place}/${part}`);
    places = places.slice(0, PLACES_MAX);
  }
  const there = places.filter((place) => look.look(place));
  return [...new Map(there.map((place) => [look.realPath(place) ?? place, place])).values()];
}

/** Returns the trimmed text of an attribute; undefined when there is none, or it is unreadable. */
export function attributeText(path: string, look: SysLook): string | undefined {
  if (!look.look(path)?.isFile) return undefined;
  try {
    return look.readText(path).trim();
  } catch {
    return undefined;
  }
}

/** Returns the whole path of `name` in a class of /sys, unless it is a path already. */
export function inClass(name: string, type: string): string {
  return name.startsWith('/') ? name : `/sys/class/${type}/${name}`;
}
