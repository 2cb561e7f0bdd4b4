/**
 * Hook kind `trusted-touch`: lends and borrows through the two attributes of Qualcomm's touch drivers.
 *
 * `trusted_touch_enable` is written 1 and 0 and reads whether it came about; `trusted_touch_event` holds the code of
 * what went wrong, and a written 0 clears it. The owner's driver lends on 1 and reclaims on 0, the borrower's accepts
 * on 1 and releases on 0. (QTS, its source: Linux4/samsung_kernel,
 * vendor/qcom/opensource/touch-drivers/qts/qts_core.c.)
 *
 * What shapes the code:
 * - A write succeeds also when nothing was done: only reading back tells.
 * - A lend that is refused may have acted, so it counts as begun, and the 0 that undoes it unwinds.
 * - The borrower needs a notice of the memory and one of the interrupt. Until both arrived a 1 gives event 5 and is to
 *   be repeated; one may never arrive.
 * - After a failure the driver unwinds only on the next 0. A reclaim from a borrower that still has it fails each time,
 *   and says so only the first time.
 * - What unwinds reads 0 and shows no event, whatever became of the resources. So a release or a reclaim that failed is
 *   remembered here, and what the attribute reads afterwards is not taken for an answer.
 * - Nothing in the driver has a time limit: the step's own is the only one.
 */

import { Type } from '../../../../common/schema.ts';
import type { DriverStatus } from '../../../../ports/world.ts';
import { begun, readAttribute, type StepActions, statusOf, still, writeAttribute } from '../../attributes.ts';
import { CLOSED, COMMON, hookKind, place, type StepOf } from '../../kind.ts';
import { type Limit, messageOf, StepError, stepError } from '../../limit.ts';
import { placeOf } from '../../places.ts';
import type { StepCall } from '../../step.ts';
import type { HookWorld } from '../../world.ts';

/** Shortest and longest pause between two tries, in ms. A notice takes a few calls of the hypervisor. */
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

/** What is remembered of one device, for its steps of `suspend` and of `resume` together. Gone with the agent. */
interface TouchMemory {
  /** How the last release or reclaim failed; absent once the driver has lent, accepted or reclaimed since. */
  failed?: string | undefined;
}

const SCHEMA = Type.Object(
  {
    ...COMMON,
    kind: Type.Literal('trusted-touch', {
      description:
        'lends (owner) or releases (borrower) by `trusted_touch_enable`, and waits until it reads so; ' +
        'last of its list. Undone it reclaims, or accepts. What the hypervisor did, the driver says',
    }),
    device: place('folder in /sys of `trusted_touch_enable` and `trusted_touch_event`'),
  },
  CLOSED,
);

/** The owner's last suspend step, the borrower's first resume step. */
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

/** Returns what a trusted-touch step does on the side of the owner, or of a borrower. */
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

/** What was seen after a write. */
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
    // The driver refuses to lend what it has lent; asked again, that is what was wanted.
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
    // What accepting has half done is unwound by the release that follows a failed resume.
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
      // The next 0 unwinds. It reads 0 afterwards whatever became of the resources, so it is no success.
      await this.#write(limit, '0');
      throw failure('the release failed', seen);
    });
    // After one that failed the driver has unwound and forgotten: a 0 it takes now releases nothing any more.
    this.#trust();
  }

  async reclaim(limit: Limit): Promise<void> {
    await this.#remembered(async () => {
      const seen = await this.#write(limit, '0');
      await this.#until(limit, seen, '0', 'reclaimed', () => true);
    });
    this.#memory.failed = undefined;
  }

  /** Whether it is lent or accepted already. Half released or half reclaimed reads 1, too, and is neither. */
  async #reads1(limit: Limit): Promise<boolean> {
    if ((await readAttribute(this.#world, limit, this.enable)) !== '1') return false;
    this.#trust();
    return true;
  }

  /** Fails when what the attribute reads says nothing, because a release or reclaim before failed. */
  #trust(): void {
    const { failed } = this.#memory;
    if (failed === undefined) return;
    throw new StepError(`what is still lent is unknown, since before ${failed}`, { mayHaveActed: true });
  }

  /** Does what takes a loan back, and remembers when it failed half-way. */
  async #remembered(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (stepError(error).mayHaveActed) this.#memory.failed = messageOf(error);
      throw error;
    }
  }

  /** Writes to `trusted_touch_enable` and looks what came of it. An older event must not be taken for ours. */
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

  /** Waits until it reads `value`. `judge` says whether another write may help; it throws when nothing will. */
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
