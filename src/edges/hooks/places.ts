/**
 * Resolves the names of a step below /sys, anew each time: numbers change with each boot, bind and plug.
 *
 * A pattern must match exactly one thing; two paths of one thing count once. All searches are bounded, and within the
 * step's limit.
 */

import { type Limit, StepError } from './limit.ts';
import { fitsPattern, isPattern } from './names.ts';
import type { HookWorld } from './world.ts';

/** Most places kept while a pattern is expanded. A pattern with more does not name one device. */
const PLACES_MAX = 512;
/** Most places listed when there are too many. */
const SHOWN_MAX = 4;
/** Folders between a device and the folder `input`: interface and HID device of a USB device, and one spare. */
const INPUT_DEPTH_MAX = 3;

/** Permanent traits of an input device. Each is a pattern. */
export interface InputTraits {
  readonly name?: string;
  readonly phys?: string;
  readonly uniq?: string;
}

/** Returns the one place that `path`, possibly a pattern, means. Rejects when none matches, or more than one. */
export async function placeOf(world: HookWorld, limit: Limit, path: string): Promise<string> {
  if (!isPattern(path)) return path;
  let places = [''];
  for (const part of path.split('/').slice(1)) {
    if (isPattern(part)) {
      const below = await Promise.all(places.map((place) => namesIn(world, limit, place || '/')));
      places = places.flatMap((place, i) =>
        below[i]!.filter((name) => fitsPattern(part, name)).map((name) => `${place}/${name}`),
      );
    } else places = places.map((place) => `${place}/${part}`);
    if (places.length > PLACES_MAX)
      throw refused(`${path}: more than ${PLACES_MAX} fit: expected exactly one`);
  }
  const there = await Promise.all(places.map((place) => isThere(world, limit, place)));
  return theOne(
    world,
    limit,
    path,
    places.filter((_, i) => there[i]),
  );
}

/** Returns the framebuffer that `fb` names: `fb0`, its folder, or its device. */
export async function framebufferOf(world: HookWorld, limit: Limit, fb: string): Promise<string> {
  if (!fb.startsWith('/')) return `${world.sys}/class/graphics/${fb}`;
  const place = await placeOf(world, limit, fb);
  if (await isThere(world, limit, `${place}/blank`)) return place;
  return placeOf(world, limit, `${place}/graphics/fb*`);
}

/** Returns the input devices that a step means, at least one, in the order of their paths. */
export async function inputsOf(
  world: HookWorld,
  limit: Limit,
  { input, find }: { readonly input?: string | undefined; readonly find?: InputTraits | undefined },
): Promise<[string, ...string[]]> {
  if (find) return [await inputWith(world, limit, find)];
  if (!input?.startsWith('/')) return [`${world.sys}/class/input/${input}`];
  const place = await placeOf(world, limit, input);
  if (await isThere(world, limit, `${place}/inhibited`)) return [place];
  const [first, ...others] = (await inputsBelow(world, limit, place)).sort();
  if (first !== undefined) return [first, ...others];
  throw refused(`${input}: no input device below it: is the driver bound?`);
}

async function inputWith(world: HookWorld, limit: Limit, find: InputTraits): Promise<string> {
  const folder = `${world.sys}/class/input`;
  const names = (await namesIn(world, limit, folder)).filter((name) => /^input\d+$/.test(name)).sort();
  const traits = Object.entries(find) as [keyof InputTraits, string][];
  const fits = async (place: string) => {
    for (const [trait, pattern] of traits) {
      const text = await limit
        .wait(() => world.attributes.read(`${place}/${trait}`), `reading ${place}/${trait}`)
        .catch(unlessLate);
      if (text === undefined || !fitsPattern(pattern, text.replace(/\n$/, ''))) return false;
    }
    return true;
  };
  const found: string[] = [];
  for (const name of names) if (await fits(`${folder}/${name}`)) found.push(`${folder}/${name}`);
  const words = traits.map(([trait, pattern]) => `${trait} ${JSON.stringify(pattern)}`).join(' and ');
  return theOne(world, limit, `an input device with ${words}`, found);
}

/**
 * Returns the input devices of a device and of its descendants, such as the HID device between a bus client and its
 * input devices.
 */
async function inputsBelow(world: HookWorld, limit: Limit, top: string): Promise<string[]> {
  const found: string[] = [];
  let level = [top];
  let seen = 0;
  for (let depth = 0; depth <= INPUT_DEPTH_MAX && level.length > 0; depth++) {
    const next: string[] = [];
    for (const folder of level) {
      seen += 1;
      if (seen > PLACES_MAX)
        throw refused(`${top}: more than ${PLACES_MAX} folders below it: expected one device`);
      const names = await foldersIn(world, limit, folder);
      if (names.includes('input')) {
        const inputs = await foldersIn(world, limit, `${folder}/input`);
        found.push(
          ...inputs.filter((name) => /^input\d+$/.test(name)).map((name) => `${folder}/input/${name}`),
        );
      }
      next.push(
        ...names.filter((name) => name !== 'input' && name !== 'power').map((name) => `${folder}/${name}`),
      );
    }
    level = next;
  }
  return found;
}

/** Returns the one place if all are the same thing, or rejects. */
async function theOne(
  world: HookWorld,
  limit: Limit,
  what: string,
  places: readonly string[],
): Promise<string> {
  const byReal = new Map<string, string>();
  for (const place of places) {
    const real = await realPathOf(world, limit, place);
    if (!byReal.has(real)) byReal.set(real, place);
  }
  const [place, ...others] = byReal.values();
  if (place === undefined) throw refused(`${what}: nothing fits: expected exactly one; is the driver bound?`);
  if (others.length === 0) return place;
  const shown = [place, ...others].slice(0, SHOWN_MAX).join(', ');
  throw refused(
    `${what}: ${byReal.size} fit (${shown}${byReal.size > SHOWN_MAX ? ', …' : ''}): expected exactly one`,
  );
}

/** Returns the path without symbolic links; the path itself when it cannot be resolved. */
export function realPathOf(world: HookWorld, limit: Limit, path: string): Promise<string> {
  return limit
    .wait(() => world.attributes.realPath(path), `looking for ${path}`)
    .catch((error) => unlessLate(error) ?? path);
}

function isThere(world: HookWorld, limit: Limit, path: string): Promise<boolean> {
  return limit.wait(() => world.attributes.exists(path), `looking for ${path}`);
}

/** Returns the names in a folder; none when it is gone. */
async function namesIn(world: HookWorld, limit: Limit, folder: string): Promise<readonly string[]> {
  return (
    (await limit.wait(() => world.attributes.list(folder), `looking into ${folder}`).catch(unlessLate)) ?? []
  );
}

async function foldersIn(world: HookWorld, limit: Limit, folder: string): Promise<readonly string[]> {
  const look = () => world.attributes.folders(folder);
  return (await limit.wait(look, `looking into ${folder}`).catch(unlessLate)) ?? [];
}

/** A missing place is no error; a timeout is. */
function unlessLate(error: unknown): undefined {
  if (error instanceof StepError) throw error;
  return undefined;
}

function refused(message: string): StepError {
  return new StepError(message, { mayHaveActed: false });
}
