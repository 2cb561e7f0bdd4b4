/**
 * Qualcomm's touch driver on both sides of a hypervisor that lends, as a folder of two attributes each: what they show
 * and what a write does, with the driver's states and its defects. Written from what is known of that driver (QTS), and
 * not from the step that is tested on it.
 *
 * Reading shows the driver's own variables, never what was written last. A write ends when the driver's work has.
 */

import type { Attributes } from '../../../src/edges/hooks/world.ts';
import type { Clock } from '../../../src/ports/world.ts';

export type Kind = 'iomem' | 'irq';

/** Who has a resource: `offered` is lent and not accepted, or released and not reclaimed. */
type Standing = 'owner' | 'offered' | 'accepted';

/** Things that go wrong once, or as long as they are set. */
export interface Faults {
  /** Notices that never arrive, as `lent iomem`. */
  lost: string[];
  /** Calls of the hypervisor that fail, as `lend irq`, `notify iomem`, `release irq`. */
  failing: string[];
  /** A driver that is in no trusted mode: every write succeeds and nothing is done. */
  unsupported: boolean;
  /** The owner's system is suspended. */
  suspended: boolean;
}

/** The hypervisor's resource manager: standings, refusals, notices that take `noticeMs`. */
export class FakeManager {
  readonly standing: Record<Kind, Standing> = { iomem: 'owner', irq: 'owner' };
  readonly faults: Faults = { lost: [], failing: [], unsupported: false, suspended: false };
  noticeMs = 3;
  readonly calls: string[] = [];
  onLent: (kind: Kind) => void = () => {};
  onReleased: (kind: Kind) => void = () => {};
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A call of one side; false: refused. */
  call(what: 'lend' | 'accept' | 'release' | 'reclaim', kind: Kind, handle = 1): boolean {
    this.calls.push(`${what} ${kind}`);
    if (this.faults.failing.includes(`${what} ${kind}`) || handle === 0) return false;
    const [from, to] = TURNS[what];
    if (this.standing[kind] !== from) return false;
    this.standing[kind] = to;
    return true;
  }

  notify(what: 'lent' | 'released', kind: Kind): boolean {
    if (this.faults.failing.includes(`notify ${kind}`)) return false;
    if (this.faults.lost.includes(`${what} ${kind}`)) return true;
    this.#clock.after(this.noticeMs, () => (what === 'lent' ? this.onLent(kind) : this.onReleased(kind)));
    return true;
  }

  /** The borrower's VM ends: everything returns, but only of memory there is a notice. */
  borrowerEnded(): void {
    for (const kind of ['iomem', 'irq'] as const) {
      if (this.standing[kind] === 'accepted') this.standing[kind] = 'offered';
    }
    this.notify('released', 'iomem');
  }
}

const TURNS = {
  lend: ['owner', 'offered'],
  accept: ['offered', 'accepted'],
  release: ['accepted', 'offered'],
  reclaim: ['offered', 'owner'],
} as const;

/** What both sides have in common: the attributes. */
abstract class FakeDriver {
  state = 'INIT';
  enabled = 0;
  event = 0;
  abort = 0;
  /** Bus and clock references of this side. */
  votes = 0;
  interruptOn = false;
  /** Written values, in order. */
  readonly writes: string[] = [];
  protected readonly manager: FakeManager;

  constructor(manager: FakeManager) {
    this.manager = manager;
  }

  /** The folder in /sys. */
  attributes(folder: string): Attributes {
    const absent = (path: string) => new Error(`ENOENT: no such file or directory, open '${path}'`);
    return {
      read: async (path) => {
        if (path === `${folder}/trusted_touch_enable`) return `${this.enabled}`;
        if (path === `${folder}/trusted_touch_event`) return `${this.event}`;
        throw absent(path);
      },
      write: async (path, text) => {
        const name = path.slice(folder.length + 1);
        if (name === 'trusted_touch_event') {
          if (text !== '0') throw new Error(`EINVAL: ${path}`);
          this.event = 0;
          return;
        }
        if (name !== 'trusted_touch_enable') throw absent(path);
        this.writes.push(text);
        if (!this.#store(Number(text))) throw new Error(`writing "${text}" to ${path}: EINVAL`);
      },
      linkName: async () => undefined,
      exists: async (path) => path === folder,
      list: async () => ['trusted_touch_enable', 'trusted_touch_event'],
      folders: async () => [],
      realPath: async (path) => path,
    };
  }

  #store(value: number): boolean {
    // "Already disabled" is only logged.
    if (value === 0 && this.enabled === 0 && this.abort === 0) return true;
    if (value === 1 && this.enabled === 1) return false;
    if (this.manager.faults.unsupported) return true;
    return value === 1 ? this.turnOn() : this.turnOff();
  }

  protected abstract turnOn(): boolean;
  protected abstract turnOff(): boolean;

  /** Records a status and wakes the poller; unwinding is left to the next 0. */
  protected fail(event: number): boolean {
    this.abort = event;
    this.event = event;
    return false;
  }
}

/** The owner's driver. */
export class FakeOwnerDriver extends FakeDriver {
  #handle = 0;

  constructor(manager: FakeManager) {
    super(manager);
    this.interruptOn = true;
    manager.onReleased = (kind) => {
      // Check, then set, without a lock; and whatever the state was.
      const other = kind === 'irq' ? 'IOMEM_RELEASE_NOTIFIED' : 'IRQ_RELEASE_NOTIFIED';
      const mine = kind === 'irq' ? 'IRQ_RELEASE_NOTIFIED' : 'IOMEM_RELEASE_NOTIFIED';
      this.state = this.state === other ? 'ALL_RESOURCES_RELEASE_NOTIFIED' : mine;
    };
  }

  protected turnOn(): boolean {
    const { manager } = this;
    if (manager.faults.suspended) return false;
    this.votes += 1;
    this.interruptOn = false;
    this.state = 'INTERRUPT_DISABLED';
    if (!manager.call('lend', 'iomem')) return this.fail(-1);
    this.state = 'IOMEM_LENT';
    // The handle is kept only after the notice succeeded.
    if (!manager.notify('lent', 'iomem')) return this.fail(-1);
    this.state = 'IOMEM_LENT_NOTIFIED';
    this.#handle = 1;
    if (!manager.call('lend', 'irq')) return this.fail(-1);
    this.state = 'IRQ_LENT';
    if (!manager.notify('lent', 'irq')) return this.fail(-1);
    this.state = 'IRQ_LENT_NOTIFIED';
    this.enabled = 1;
    return true;
  }

  protected turnOff(): boolean {
    if (this.abort !== 0) return this.#unwind();
    // That a release was not told is only logged.
    const { manager } = this;
    if (!manager.call('reclaim', 'iomem', this.#handle)) {
      this.fail(-6);
      return true;
    }
    this.state = 'IOMEM_RECLAIMED';
    this.#handle = 0;
    if (!manager.call('reclaim', 'irq')) {
      this.fail(-6);
      return true;
    }
    this.state = 'IRQ_RECLAIMED';
    this.#atHome();
    return true;
  }

  /** Walks the states downwards. Says nothing when it gets stuck, and nothing when it is through. */
  #unwind(): boolean {
    const { manager, state } = this;
    const hasLentIrq = [
      'IRQ_RELEASE_NOTIFIED',
      'ALL_RESOURCES_RELEASE_NOTIFIED',
      'IRQ_LENT',
      'IRQ_LENT_NOTIFIED',
    ];
    const hasLentIomem = ['IRQ_RECLAIMED', 'IOMEM_LENT', 'IOMEM_LENT_NOTIFIED', 'IOMEM_RELEASE_NOTIFIED'];
    if (hasLentIrq.includes(state) && !manager.call('reclaim', 'irq')) return true;
    if (hasLentIrq.includes(state) || hasLentIomem.includes(state)) {
      if (!manager.call('reclaim', 'iomem', this.#handle)) {
        this.state = 'IOMEM_RELEASE_NOTIFIED';
        return true;
      }
      this.#handle = 0;
    }
    this.abort = 0;
    this.#atHome();
    return true;
  }

  #atHome(): void {
    this.interruptOn = true;
    this.votes -= 1;
    this.enabled = 0;
    this.state = 'INIT';
  }
}

/** The borrower's driver. */
export class FakeBorrowerDriver extends FakeDriver {
  constructor(manager: FakeManager) {
    super(manager);
    manager.onLent = (kind) => {
      const other = kind === 'irq' ? 'IOMEM_LENT_NOTIFIED' : 'IRQ_LENT_NOTIFIED';
      const mine = kind === 'irq' ? 'IRQ_LENT_NOTIFIED' : 'IOMEM_LENT_NOTIFIED';
      this.state = this.state === other ? 'ALL_RESOURCES_LENT_NOTIFIED' : mine;
    };
  }

  /** Always a success for who writes. */
  protected turnOn(): boolean {
    const { manager } = this;
    if (this.state !== 'ALL_RESOURCES_LENT_NOTIFIED') {
      this.event = 5;
      return true;
    }
    if (!manager.call('accept', 'iomem')) return this.#failQuietly(-3);
    this.state = 'IOMEM_ACCEPTED';
    this.votes += 1;
    this.state = 'I2C_SESSION_ACQUIRED';
    if (!manager.call('accept', 'irq')) return this.#failQuietly(-3);
    this.state = 'INTERRUPT_ENABLED';
    this.interruptOn = true;
    this.enabled = 1;
    // A bus that fails is reported beside it, and leaves the borrower enabled until the next 0.
    return manager.faults.failing.includes('i2c') ? this.#failQuietly(-7) : true;
  }

  protected turnOff(): boolean {
    const { manager } = this;
    if (this.abort !== 0) return this.#unwind();
    this.interruptOn = false;
    this.state = 'INTERRUPT_DISABLED';
    if (!manager.call('release', 'irq')) return this.#failQuietly(-5);
    this.state = 'IRQ_RELEASED';
    manager.notify('released', 'irq');
    this.votes -= 1;
    this.state = 'I2C_SESSION_RELEASED';
    if (!manager.call('release', 'iomem')) return this.#failQuietly(-5);
    manager.notify('released', 'iomem');
    this.#home();
    return true;
  }

  #failQuietly(event: number): boolean {
    this.fail(event);
    return true;
  }

  /** Releases what the state says it has. Failures are logged, and then forgotten. */
  #unwind(): boolean {
    const { manager, state } = this;
    const steps = [
      'INTERRUPT_ENABLED',
      'INTERRUPT_DISABLED',
      'I2C_SESSION_ACQUIRED',
      'IRQ_RELEASED',
      'I2C_SESSION_RELEASED',
    ];
    const at = steps.indexOf(state);
    if (at >= 0 && at < 2 && manager.call('release', 'irq')) manager.notify('released', 'irq');
    if (at >= 0 && at < 4) this.votes -= 1;
    if (at >= 0 && manager.call('release', 'iomem')) manager.notify('released', 'iomem');
    this.abort = 0;
    this.#home();
    return true;
  }

  #home(): void {
    this.interruptOn = false;
    this.enabled = 0;
    this.state = 'INIT';
  }
}
