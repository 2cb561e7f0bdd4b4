/** Looks at /sys for `check-config`: which places a step's path means now. Pure: what is there comes in by a port. */

import { fitsPattern, isPattern } from './names.ts';

/** What `check-config` sees of a machine. */
export interface SysLook {
  /** What is at `path`; undefined when nothing is. `mode`: permission bits, as in 0o600. */
  look(path: string): { readonly isFile: boolean; readonly mode: number } | undefined;
  /** Names in a folder; none when there is no such folder. */
  list(path: string): readonly string[];
  /** The folder that keeps this user from `path`; undefined when nothing does. */
  hidden(path: string): string | undefined;
  /** The path without symbolic links; undefined when nothing is there. */
  realPath(path: string): string | undefined;
  /** Text of a file. Throws when it cannot be read. */
  readText(path: string): string;
}

/** Most places that are kept while a pattern is followed. */
const PLACES_MAX = 512;

/** The places that a path means, each thing once. `dark` gets the folders that this user may not look into. */
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

/** Text of an attribute, without space around it; undefined when there is none that can be read. */
export function attributeText(path: string, look: SysLook): string | undefined {
  if (!look.look(path)?.isFile) return undefined;
  try {
    return look.readText(path).trim();
  } catch {
    return undefined;
  }
}

/** The whole path of what a class of /sys calls `name`, unless that is a path already. */
export function inClass(name: string, type: string): string {
  return name.startsWith('/') ? name : `/sys/class/${type}/${name}`;
}
