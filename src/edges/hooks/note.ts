/**
 * The note of what the hooks of one bundle have changed and not restored. It is written before each change, so that a
 * later agent undoes exactly these changes.
 *
 * It is valid for one boot of the machine, as the state below /sys is. A missing or damaged note means that no change
 * is known; then nothing is restored.
 */

import type { BundleId, DeviceId } from '../../core/protocol/ids.ts';
import type { Log } from '../../ports/world.ts';
import { messageOf, StepError } from './limit.ts';
import type { HookNotes } from './world.ts';

/** One changed attribute. */
export interface Change {
  /** Without symbolic links. */
  readonly path: string;
  /** Its former value; absent: unreadable. */
  readonly found?: string;
  /** What was written. */
  readonly wrote: string;
  /** Its value after the write, if it differs from what was written. */
  readonly reads?: string;
}

/**
 * How a device was taken from its driver. `lent`: we held it, so the former values are the right ones. `left`: we did
 * not, so a driver may have failed to start.
 */
export type Taken = 'lent' | 'left';

/** The records of one step. */
export interface StepNote {
  /** Whether the step was begun and not undone. */
  readonly isBegun: boolean;
  readonly changes: readonly Change[];
  /** Records that a step begins, if it changes no attribute. Throws a StepError when it cannot be written. */
  begin(): void;
  /**
   * Records a change before it is made. The first former value is kept. Throws a StepError when it cannot be written.
   */
  remember(change: Change): void;
  /** Records what a changed attribute reads. Never throws: it only helps to recognize our own change later. */
  reads(path: string, text: string): void;
}

/** The record of a step that is never undone. */
export const NO_NOTE: StepNote = {
  isBegun: false,
  changes: [],
  begin: () => {},
  remember: () => {},
  reads: () => {},
};

interface DeviceNote {
  taken: Taken;
  /** By key of the step, in the order in which they were begun. */
  readonly steps: Map<string, Change[]>;
}

/** The note of one bundle. */
export class BundleNote {
  readonly #store: HookNotes;
  readonly #bundle: BundleId;
  readonly #log: Log;
  readonly #devices: Map<string, DeviceNote>;
  /** Whether the stored note differs from this one. */
  #isDirty = false;

  constructor(store: HookNotes, bundle: BundleId, log: Log) {
    this.#store = store;
    this.#bundle = bundle;
    this.#log = log;
    this.#devices = this.#load();
  }

  taken(device: DeviceId): Taken | undefined {
    return this.#devices.get(device)?.taken;
  }

  /** Records that a device is taken from its driver; the first way is kept. Stored by `save`. */
  take(device: DeviceId, taken: Taken): void {
    if (this.#devices.has(device)) return;
    this.#devices.set(device, { taken, steps: new Map() });
    this.#isDirty = true;
  }

  /**
   * Returns the record of a step. `isStrict`: a failed write prevents the change; otherwise it is only logged, for
   * changes that must be made in any case.
   */
  ofStep(device: DeviceId, key: string, isStrict: boolean): StepNote {
    const changes = () => this.#devices.get(device)?.steps.get(key);
    const write = (change: () => void) => {
      change();
      this.#isDirty = true;
      const fault = this.save();
      if (fault !== undefined && isStrict)
        throw new StepError(`the change cannot be recorded, so nothing is changed: ${fault}`, {
          mayHaveActed: false,
        });
    };
    const stepsOf = () => {
      // A step outside a run that takes the device: the former values are the right ones.
      this.take(device, 'lent');
      return this.#devices.get(device)!.steps;
    };
    const begin = () => {
      const steps = stepsOf();
      if (!steps.has(key)) steps.set(key, []);
      return steps.get(key)!;
    };
    return {
      get isBegun() {
        return changes() !== undefined;
      },
      get changes() {
        return changes() ?? [];
      },
      begin: () => {
        if (!changes()) write(begin);
      },
      remember: (change) => {
        if (changes()?.some(({ path }) => path === change.path)) return;
        write(() => begin().push(change));
      },
      reads: (path, text) => {
        const all = changes();
        const index = all?.findIndex((change) => change.path === path) ?? -1;
        if (index < 0) return;
        const { reads, ...noted } = all![index]!;
        if ((reads ?? noted.wrote) === text) return;
        all![index] = noted.wrote === text ? noted : { ...noted, reads: text };
        this.#isDirty = true;
        this.save();
      },
    };
  }

  /** Returns whether there is anything to undo. */
  get hasSteps(): boolean {
    return [...this.#devices.values()].some(({ steps }) => steps.size > 0);
  }

  isBegun(device: DeviceId, key: string): boolean {
    return this.#devices.get(device)?.steps.has(key) ?? false;
  }

  /** Marks a step as undone. Stored by `save`. */
  end(device: DeviceId, key: string): void {
    if (this.#devices.get(device)?.steps.delete(key)) this.#isDirty = true;
  }

  /** Returns a device to its driver when all its steps are undone. Stored by `save`. */
  settle(device: DeviceId): void {
    if (this.#devices.get(device)?.steps.size === 0) {
      this.#devices.delete(device);
      this.#isDirty = true;
    }
  }

  /** Returns changes of steps that are no longer configured; `isKnown` tells whether a device and key have a step. */
  orphans(isKnown: (device: string, key: string) => boolean): { key: string; changes: readonly Change[] }[] {
    return [...this.#devices].flatMap(([device, { steps }]) =>
      [...steps].flatMap(([key, changes]) => (isKnown(device, key) ? [] : [{ key, changes }])),
    );
  }

  /** Deletes them. Stored by `save`. */
  dropOrphans(isKnown: (device: string, key: string) => boolean): void {
    for (const [device, { steps }] of [...this.#devices]) {
      for (const key of [...steps.keys()]) if (!isKnown(device, key)) this.end(device as DeviceId, key);
      this.settle(device as DeviceId);
    }
  }

  /** Stores the note if it has changed. Returns the error, if any. */
  save(): string | undefined {
    if (!this.#isDirty) return undefined;
    try {
      this.#store.save(this.#bundle, this.#text());
      this.#isDirty = false;
      return undefined;
    } catch (error) {
      const fault = messageOf(error);
      this.#log('warn', 'the changes of hooks cannot be recorded', { bundle: this.#bundle, error: fault });
      return fault;
    }
  }

  #text(): string {
    const devices = [...this.#devices].map(([device, { taken, steps }]) => ({
      device,
      taken,
      steps: [...steps].map(([key, changes]) => ({ key, changes })),
    }));
    return JSON.stringify({ boot: this.#store.boot, devices });
  }

  #load(): Map<string, DeviceNote> {
    try {
      const text = this.#store.load(this.#bundle);
      return text === undefined ? new Map() : devicesOf(text, this.#store.boot);
    } catch (error) {
      this.#log('warn', 'the record of hook changes is damaged: nothing in it is restored', {
        bundle: this.#bundle,
        error: messageOf(error),
      });
      return new Map();
    }
  }
}

/** Parses a note. Throws an Error when it is invalid. One of another boot of the machine is empty. */
function devicesOf(text: string, boot: string): Map<string, DeviceNote> {
  const note: unknown = JSON.parse(text);
  if (!isRecord(note) || typeof note['boot'] !== 'string' || !Array.isArray(note['devices']))
    throw new Error('no note of hooks');
  if (note['boot'] !== boot) return new Map();
  return new Map(
    note['devices'].map((entry: unknown) => {
      if (!isRecord(entry) || !Array.isArray(entry['steps'])) throw new Error('a device without steps');
      const { device, taken } = entry;
      if (typeof device !== 'string' || (taken !== 'lent' && taken !== 'left'))
        throw new Error('a device without a name');
      return [device, { taken, steps: new Map(entry['steps'].map(stepOf)) }];
    }),
  );
}

function stepOf(entry: unknown): [string, Change[]] {
  if (!isRecord(entry) || typeof entry['key'] !== 'string' || !Array.isArray(entry['changes']))
    throw new Error('a step without changes');
  return [entry['key'], entry['changes'].map(changeOf)];
}

function changeOf(entry: unknown): Change {
  if (!isRecord(entry)) throw new Error('no change');
  const { path, found, wrote, reads } = entry;
  const isOptional = (text: unknown): text is string | undefined =>
    text === undefined || typeof text === 'string';
  if (typeof path !== 'string' || typeof wrote !== 'string' || !isOptional(found) || !isOptional(reads))
    throw new Error('no change of an attribute');
  return {
    path,
    wrote,
    ...(found === undefined ? {} : { found }),
    ...(reads === undefined ? {} : { reads }),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
