/**
 * Hook kind `fb-blank`: powers a framebuffer down by its attribute `blank`.
 *
 * - Under DRM the write succeeds without effect while a DRM master, such as a compositor, has the display. Most
 *   kernels show nothing in `blank`. The result is visible in `dpms` of the connectors of the same device, if it has
 *   any.
 * - A connector that shows nothing of this device reads `disabled`, and its `dpms` is meaningless.
 * - Without connectors the result is unknown, and an accepted write counts.
 */

import { Type } from '../../../../common/schema.ts';
import type { DriverStatus } from '../../../../ports/world.ts';
import {
  begun,
  leftAlone,
  look,
  readAttribute,
  refused,
  type StepActions,
  writeAttribute,
} from '../../attributes.ts';
import { CLOSED, COMMON, hookKind } from '../../kind.ts';
import { type Limit, StepError } from '../../limit.ts';
import { framebufferOf, realPathOf } from '../../places.ts';
import type { StepCall } from '../../step.ts';
import { inClass, placesOf, type SysLook } from '../../sys-look.ts';
import type { HookWorld } from '../../world.ts';

/** FB_BLANK_POWERDOWN and FB_BLANK_UNBLANK of linux/fb.h. */
const POWERDOWN = '4';
const UNBLANK = '0';
/** Most connectors of one device that are read. */
const CONNECTORS_MAX = 16;

/** The state of a display. */
interface Shown {
  /** As a value of `blank`; undefined when unknown. */
  readonly blank: string | undefined;
  /** Attributes that show it, with their values; empty when `blank` itself shows it, or nothing does. */
  readonly dpms: readonly (readonly [path: string, text: string])[];
}

export const FB_BLANK = hookKind({
  schema: Type.Object(
    {
      ...COMMON,
      kind: Type.Literal('fb-blank', {
        description:
          'powers a framebuffer down, and waits until `dpms` of the connectors of its device reads Off. ' +
          'While a DRM master, such as a compositor, has the display, nothing is blanked and the step fails. ' +
          'For a device without connectors the result is unknown',
      }),
      fb: Type.String({
        pattern: '^(fb[0-9]+$|/)',
        title: 'a name of /sys/class/graphics, as fb0, or an absolute path',
        description: 'folder in /sys of a device with one framebuffer; or the framebuffer',
      }),
    },
    CLOSED,
  ),
  isForSupplies: false,
  undoesItself: true,
  actions: ({ fb }, { world }) => fbBlank(fb, world),
  places: ({ fb }) => [['fb', inClass(fb, 'graphics')]],
  effect: ({ fb }, look) => darkens(fb, look),
});

/** Returns what can be checked before a display is blanked. */
function darkens(fb: string, look: SysLook): string | undefined {
  const [place] = placesOf(inClass(fb, 'graphics'), look);
  if (place === undefined) return undefined;
  const drm = look.look(`${place}/blank`) ? `${place}/device/drm` : `${place}/drm`;
  const cards = look.list(drm).filter((name) => /^card\d+$/.test(name));
  const hasConnector = cards.some((card) =>
    look.list(`${drm}/${card}`).some((name) => name.startsWith(`${card}-`)),
  );
  return hasConnector
    ? 'fb-blank: fails while a DRM master has the display: an earlier step must make a compositor release it'
    : 'fb-blank: the device has no DRM connectors, so whether the display goes dark is unknown';
}

function fbBlank(fb: string, world: HookWorld): StepActions {
  const at = async (limit: Limit) => {
    const folder = await framebufferOf(world, limit, fb);
    return { folder, path: `${folder}/blank` };
  };
  /** Writes, then waits until the display shows the result, if it can. */
  const write = async (limit: Limit, folder: string, value: string) => {
    await writeAttribute(world, limit, `${folder}/blank`, value);
    let shown: Shown = { blank: undefined, dpms: [] };
    const arrived = async () => {
      // Only a complete read counts: one cut off by the limit must not hide an earlier result.
      shown = await shownBy(world, limit, folder);
      return shown.blank === undefined || shown.blank === value;
    };
    await look(limit, arrived, () => lateBy(folder, shown, value, limit.ms));
  };
  return {
    apply: async ({ limit, note }) => {
      const { folder, path } = await at(limit);
      const { blank: found } = await shownBy(world, limit, folder);
      if (found === POWERDOWN) return;
      // A display in an unknown state counts as on, the kernel's initial state.
      note.remember({
        path: await realPathOf(world, limit, path),
        found: found ?? UNBLANK,
        wrote: POWERDOWN,
      });
      await write(limit, folder, POWERDOWN);
    },
    undo: async (call) => {
      const { limit, note } = call;
      if (!note.isBegun && call.wakes !== 'all') return;
      const { folder, path } = await at(limit);
      const real = await realPathOf(world, limit, path);
      const found = note.changes.find((each) => each.path === real)?.found;
      const { blank: now } = await shownBy(world, limit, folder);
      if (found === undefined && call.wakes !== 'all') return;
      const value = found ?? UNBLANK;
      if (now === value) return;
      if (now !== undefined && now !== POWERDOWN) return call.warn(leftAlone(path, now, POWERDOWN));
      await write(limit, folder, value);
    },
    status: (call) => statusBy(world, call, at),
    recheck: async ({ limit }) => {
      const { folder } = await begun(at(limit));
      const shown = await begun(shownBy(world, limit, folder));
      if (shown.blank !== undefined && shown.blank !== POWERDOWN)
        throw refused(`${seen(folder, shown)}: another program has switched it on again`, true);
    },
  };
}

async function statusBy(
  world: HookWorld,
  { limit }: StepCall,
  at: (limit: Limit) => Promise<{ folder: string }>,
): Promise<DriverStatus> {
  const shown = await at(limit).then(
    ({ folder }) => shownBy(world, limit, folder),
    () => undefined,
  );
  if (shown?.blank === POWERDOWN) return 'suspended';
  return shown?.blank === UNBLANK ? 'active' : 'unknown';
}

/** Reads the connectors, or else `blank` itself. Rejects only when it takes too long. */
async function shownBy(world: HookWorld, limit: Limit, folder: string): Promise<Shown> {
  const dpms: (readonly [string, string])[] = [];
  for (const connector of await connectorsOf(world, limit, folder)) {
    if ((await quietly(readAttribute(world, limit, `${connector}/enabled`))) === 'disabled') continue;
    const path = `${connector}/dpms`;
    const text = await quietly(readAttribute(world, limit, path));
    if (text !== undefined) dpms.push([path, text]);
  }
  if (dpms.length > 0) return { blank: dpms.every(([, text]) => text === 'Off') ? POWERDOWN : UNBLANK, dpms };
  const text = await quietly(readAttribute(world, limit, `${folder}/blank`));
  return { blank: text !== undefined && /^[0-4]$/.test(text) ? text : undefined, dpms };
}

async function connectorsOf(world: HookWorld, limit: Limit, folder: string): Promise<string[]> {
  const drm = `${folder}/device/drm`;
  const list = async (path: string) =>
    (await quietly(limit.wait(() => world.attributes.list(path), `looking into ${path}`))) ?? [];
  const cards = (await list(drm)).filter((name) => /^card\d+$/.test(name));
  const found: string[] = [];
  for (const card of cards) {
    const names = (await list(`${drm}/${card}`)).filter((name) => name.startsWith(`${card}-`)).sort();
    found.push(...names.map((name) => `${drm}/${card}/${name}`));
  }
  return found.slice(0, CONNECTORS_MAX);
}

function lateBy(folder: string, shown: Shown, value: string, ms: number): string {
  const what = `${seen(folder, shown)} ${ms} ms after ${value} was written to ${folder}/blank`;
  return value === POWERDOWN && shown.dpms.length > 0
    ? `${what}: does a DRM master, such as a compositor, have the display? It must release it first`
    : what;
}

function seen(folder: string, { blank, dpms }: Shown): string {
  const [path, text] = dpms.find(([, each]) => each !== 'Off') ?? dpms[0] ?? [`${folder}/blank`, blank ?? ''];
  return `${path} reads ${JSON.stringify(text)}`;
}

/** An unreadable attribute is undefined; a timeout is an error. */
function quietly<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error) => {
    if (error instanceof StepError) throw error;
    return undefined;
  });
}
