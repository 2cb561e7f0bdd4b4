/**
 * Hook kind `trusted-touch`: lends and borrows through the two attributes of Qualcomm's touch drivers.
 *
 * `trusted_touch_enable` is written 1 or 0 and reads the result; `trusted_touch_event` contains the error code, and
 * writing 0 clears it. The owner's driver lends on 1 and reclaims on 0, the borrower's accepts on 1 and releases on
 * 0. (QTS, its source: Linux4/samsung_kernel, vendor/qcom/opensource/touch-drivers/qts/qts_core.c.)
 *
 * Properties of the driver that shape the code:
 * - A write succeeds even when nothing was done: only reading back shows the result.
 * - A refused lend may have acted, so it counts as begun; the 0 that undoes it makes the driver unwind.
 * - The borrower needs a notification for the memory and one for the interrupt. Until both have arrived, a 1 gives
 *   event 5 and must be repeated; one may never arrive.
 * - After a failure the driver unwinds only on the next 0. A reclaim from a borrower that still holds fails each
 *   time, and reports so only the first time.
 * - After unwinding it reads 0 and shows no event, whatever happened to the resources. So a failed release or reclaim
 *   is remembered here, and a later reading does not count as the result.
 * - The driver has no time limits; only the step's own applies.
 */

import { Type } from '../../../../common/schema.ts';
import type { DriverStatus } from '../../../../ports/world.ts';
import { begun, readAttribute, type StepActions, statusOf, still, writeAttribute } from '../../attributes.ts';
import { CLOSED, COMMON, hookKind, place, type StepOf } from '../../kind.ts';
import { type Limit, messageOf, StepError, stepError } from '../../limit.ts';
import { placeOf } from '../../places.ts';
import type { StepCall } from '../../step.ts';
import type { HookWorld } from '../../world.ts';

/** Shortest and longest pause between two attempts, in ms. A notification takes a few hypervisor calls. */
const TRY_FIRST_MS = 1;
const TRY_LAST_MS = 32;

/** Codes of `trusted_touch_event`. */
const EVENTS: Readonly<Record<number, string>> = {
  [-1]: 'LEND_FAILURE',
  [-2]: 'LEND_NOTIFICATION_FAILURE',
  [-3]: 'ACCEPT_FAILURE',
  [-4]: 'FUNCTIONAL_FAILURE',
  [-5]: 'RELEASE_FAILURE',
  [-6]: 'RECLAIM_FAILURE',
  [-7]: 'I2C_FAILURE',
  5: 'NOTIFICATIONS_PENDING',
};

/** State of one device, shared by its `suspend` and `resume` steps. Lost with the agent. */
interface TouchMemory {
  /** How the last release or reclaim failed; absent after a later lend, accept or reclaim. */
  failed?: string | undefined;
}

const SCHEMA = Type.Object(
  {
    ...COMMON,
    kind: Type.Literal('trusted-touch', {
      description:
        'lends (owner) or releases (borrower) by `trusted_touch_enable`, and waits until it reads back; ' +
        'last of its list. Its undo reclaims, or accepts. The driver reports what the hypervisor did',
    }),
    device: place('folder in /sys of `trusted_touch_enable` and `trusted_touch_event`'),
  },
  CLOSED,
);

/** Position of the step: the owner's last suspend step, the borrower's first resume step. */
export const TRUSTED_TOUCH = hookKind({
  schema: SCHEMA,
  isForSupplies: false,
  undoesItself: true,
  actions: (step, { world, isOwner, shared }) =>
    trustedTouchActions(
      step,
      world,
      isOwner ? 'owner' : 'borrower',
      shared('device', (): TouchMemory => ({})),
    ),
  places: ({ device }) => [['device', device]],
  complaint: (_, list, index, length) => {
    const where = list === 'resume' ? 'first' : 'last';
    if (index === (list === 'resume' ? 0 : length - 1)) return undefined;
    return `while it is lent nothing else reaches the device: expected the ${where} step of ${list}`;
  },
});

/** Returns the actions of a trusted-touch step at the owner, or at a borrower. */
function trustedTouchActions(
  step: StepOf<typeof SCHEMA>,
  world: HookWorld,
  side: 'owner' | 'borrower',
  memory: TouchMemory,
): StepActions {
  const driver = async (limit: Limit) => new Driver(world, await placeOf(world, limit, step.device), memory);
  const status = (call: StepCall, suspended: '0' | '1', active: '0' | '1'): Promise<DriverStatus> =>
    driver(call.limit).then(
      (found) => found.status(call, suspended, active),
      () => 'unknown',
    );
  const isOwner = side === 'owner';
  return {
    apply: async ({ limit, note }) => {
      note.begin();
      const found = await driver(limit);
      await (isOwner ? found.lend(limit) : found.release(limit));
    },
    undo: async ({ limit, note, wakes }) => {
      if (!note.isBegun && wakes === 'nothing') return;
      const found = await driver(limit);
      await (isOwner ? found.reclaim(limit) : found.accept(limit));
    },
    status: (call) => (isOwner ? status(call, '1', '0') : status(call, '0', '1')),
    recheck: isOwner
      ? async ({ limit }) => still(world, limit, (await begun(driver(limit))).enable, '1')
      : undefined,
  };
}

/** The state after a write. */
interface Seen {
  readonly enabled: string;
  /** Code of the event; 0 is none. */
  readonly event: number;
  /** Why the write was refused, if it was. */
  readonly refusal: string | undefined;
}

/** One driver. */
class Driver {
  readonly enable: string;
  readonly #event: string;
  readonly #world: HookWorld;
  readonly #memory: TouchMemory;

  constructor(world: HookWorld, device: string, memory: TouchMemory) {
    this.#world = world;
    this.#memory = memory;
    this.enable = `${device}/trusted_touch_enable`;
    this.#event = `${device}/trusted_touch_event`;
  }

  async status(call: StepCall, suspended: '0' | '1', active: '0' | '1'): Promise<DriverStatus> {
    if (this.#memory.failed !== undefined) return 'unknown';
    return statusOf(this.#world, call, this.enable, suspended, active);
  }

  async lend(limit: Limit): Promise<void> {
    // The driver refuses to lend twice; if it is already lent, the step has succeeded.
    if (await this.#reads1(limit)) return;
    const judge = (now: Seen) => {
      if (now.event < 0 || now.refusal !== undefined) throw failure('the lend failed', now);
      return false;
    };
    await this.#until(limit, await this.#write(limit, '1'), '1', 'lent', judge);
    this.#memory.failed = undefined;
  }

  async accept(limit: Limit): Promise<void> {
    if (await this.#reads1(limit)) return;
    // The release after a failed resume unwinds a half-done accept.
    const judge = (now: Seen) => {
      if (now.event < 0 || now.refusal !== undefined) throw failure('accepting failed', now);
      return true;
    };
    await this.#until(limit, await this.#write(limit, '1'), '1', 'accepted', judge);
    this.#memory.failed = undefined;
  }

  async release(limit: Limit): Promise<void> {
    await this.#remembered(async () => {
      const seen = await this.#write(limit, '0');
      if (seen.event >= 0 && seen.refusal === undefined)
        return this.#until(limit, seen, '0', 'released', () => false);
      // The next 0 unwinds. It then reads 0 whatever happened to the resources, so it is no success.
      await this.#write(limit, '0');
      throw failure('the release failed', seen);
    });
    // After a failed one the driver has unwound and forgotten: a later 0 releases nothing.
    this.#trust();
  }

  async reclaim(limit: Limit): Promise<void> {
    await this.#remembered(async () => {
      const seen = await this.#write(limit, '0');
      await this.#until(limit, seen, '0', 'reclaimed', () => true);
    });
    this.#memory.failed = undefined;
  }

  /** Returns whether it is lent or accepted. Half released or half reclaimed also reads 1, but is neither. */
  async #reads1(limit: Limit): Promise<boolean> {
    if ((await readAttribute(this.#world, limit, this.enable)) !== '1') return false;
    this.#trust();
    return true;
  }

  /** Throws when the attribute's value is meaningless after a failed release or reclaim. */
  #trust(): void {
    const { failed } = this.#memory;
    if (failed === undefined) return;
    throw new StepError(`what is still lent is unknown, since earlier ${failed}`, { mayHaveActed: true });
  }

  /** Runs a release or reclaim, and remembers a failure. */
  async #remembered(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (stepError(error).mayHaveActed) this.#memory.failed = messageOf(error);
      throw error;
    }
  }

  /** Writes to `trusted_touch_enable` and reads the result. Clears an older event first. */
  async #write(limit: Limit, value: '0' | '1'): Promise<Seen> {
    await writeAttribute(this.#world, limit, this.#event, '0');
    const refusal = await writeAttribute(this.#world, limit, this.enable, value).then(
      () => undefined,
      (error) => {
        if (error instanceof StepError) throw error;
        return messageOf(error);
      },
    );
    return this.#look(limit, refusal);
  }

  async #look(limit: Limit, refusal?: string): Promise<Seen> {
    const enabled = await begun(readAttribute(this.#world, limit, this.enable));
    const text = await begun(readAttribute(this.#world, limit, this.#event));
    return { enabled, event: Math.trunc(Number(text)) || 0, refusal };
  }

  /** Waits until it reads `value`. `judge` decides whether another write may help; it throws when none will. */
  async #until(
    limit: Limit,
    first: Seen,
    value: '0' | '1',
    done: string,
    judge: (seen: Seen) => boolean,
  ): Promise<void> {
    let seen = first;
    let said = first;
    for (let ms = TRY_FIRST_MS; seen.enabled !== value; ms = Math.min(2 * ms, TRY_LAST_MS)) {
      const writesAgain = judge(seen);
      await limit.sleep(ms);
      if (limit.isOver) throw failure(`not ${done} within ${limit.ms} ms`, said);
      seen = writesAgain ? await this.#write(limit, value) : await this.#look(limit);
      if (seen.event !== 0) said = seen;
    }
    if (value === '1' && seen.event < 0) throw failure(`not ${done}`, seen);
  }
}

/** A failure after a write: the driver may have begun. */
function failure(what: string, { enabled, event, refusal }: Seen): StepError {
  const name = EVENTS[event];
  const told = event === 0 ? 'no event' : `event ${event}${name ? ` ${name}` : ''}`;
  const why = refusal === undefined ? '' : `, ${refusal}`;
  return new StepError(`${what}: trusted_touch_enable reads ${JSON.stringify(enabled)}, ${told}${why}`, {
    mayHaveActed: true,
  });
}
