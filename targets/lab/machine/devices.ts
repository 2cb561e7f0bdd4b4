/**
 * Puts device models behind the register pages of the bundles, and knows them by name.
 *
 * Which model a device gets follows from its name: `touch…`, `display…`, and for everything else the keypad. A
 * device with a residual state that only a driver clears has no reset line.
 */

import { type BundleDefinition, type Device, streamIdsOf } from '../../../src/core/protocol/bundle.ts';
import type { BundleId, DeviceId } from '../../../src/core/protocol/ids.ts';
import { PAGE_BYTES } from '../../../src/edges/enforcer/stage2.ts';
import { ENGINE_BASE, ENGINE_STREAM } from './board.ts';
import type { DeviceModel, DevicePorts } from './device.ts';
import { DisplayModel } from './display.ts';
import type { RegisterSpace } from './dma.ts';
import { EngineModel } from './engine.ts';
import { KeysModel } from './keys.ts';
import { TouchModel } from './touch.ts';
import type { VmInstance } from './vm.ts';

/** What devices need of the machine; the rest of their ports is known here. */
export interface DeviceHost {
  startTransfer: DevicePorts['startTransfer'];
  setLevel(interrupt: number, high: boolean): void;
  pulse(interrupt: number): void;
  residualStateRead(device: string, what: string, producer: VmInstance | null, reader: VmInstance): void;
}

interface Placed {
  readonly model: DeviceModel;
  /** Offset of the page's first register in the device's own numbering. */
  readonly offset: number;
}

export class Devices implements RegisterSpace {
  readonly engine: EngineModel;
  readonly #host: DeviceHost;
  readonly #pages = new Map<number, Placed>();
  readonly #models = new Map<string, DeviceModel>();

  constructor(bundles: readonly BundleDefinition[], host: DeviceHost) {
    this.#host = host;
    for (const bundle of bundles) for (const device of bundle.devices) this.#place(bundle.id, device);
    const ports = this.#ports('engine', [ENGINE_STREAM], undefined);
    this.engine = new EngineModel(ports);
    this.#pages.set(ENGINE_BASE / PAGE_BYTES, { model: this.engine, offset: 0 });
    this.#models.set('engine', this.engine);
  }

  access(physical: number, value: number | undefined, by: VmInstance): number | undefined {
    const placed = this.#pages.get(Math.floor(physical / PAGE_BYTES));
    if (placed === undefined) return undefined;
    const offset = placed.offset + (physical % PAGE_BYTES);
    if (value === undefined) return placed.model.read(offset, by) >>> 0;
    placed.model.write(offset, value >>> 0, by);
    return value;
  }

  /** The model of a device of a bundle, or undefined. */
  model(bundle: BundleId, device: DeviceId): DeviceModel | undefined {
    return this.#models.get(`${bundle}/${device}`);
  }

  /** The first touch controller on the board, or undefined. */
  touch(): TouchModel | undefined {
    return [...this.#models.values()].find((model) => model instanceof TouchModel);
  }

  /** The first display, or undefined. */
  display(): DisplayModel | undefined {
    return [...this.#models.values()].find((model) => model instanceof DisplayModel);
  }

  /** The first keypad, or undefined. */
  keys(): KeysModel | undefined {
    return [...this.#models.values()].find((model) => model instanceof KeysModel);
  }

  /** Lets time pass in every device. */
  tick(): void {
    for (const model of this.#models.values()) model.tick();
  }

  #place(bundle: BundleId, device: Device): void {
    const interrupt = device.resources.find(({ kind }) => kind === 'interrupt')?.physical;
    const streams = device.resources.flatMap((each) => (each.kind === 'stream' ? streamIdsOf(each) : []));
    const model = modelFor(device.id, this.#ports(device.id, streams, interrupt));
    this.#models.set(`${bundle}/${device.id}`, model);
    let offset = 0;
    for (const resource of device.resources) {
      if (resource.kind !== 'mmio') continue;
      for (let at = 0; at < resource.bytes; at += PAGE_BYTES) {
        this.#pages.set((resource.physical + at) / PAGE_BYTES, { model, offset });
        offset += PAGE_BYTES;
      }
    }
  }

  #ports(name: string, streams: readonly number[], interrupt: number | undefined): DevicePorts {
    const host = this.#host;
    return {
      streams,
      startTransfer: (request) => host.startTransfer(request),
      setLevel: (high) => interrupt !== undefined && host.setLevel(interrupt, high),
      pulse: () => interrupt !== undefined && host.pulse(interrupt),
      residualStateRead: (what, producer, reader) => host.residualStateRead(name, what, producer, reader),
    };
  }
}

function modelFor(device: DeviceId, ports: DevicePorts): DeviceModel {
  if (device.startsWith('touch')) return new TouchModel(ports);
  return device.startsWith('display') ? new DisplayModel(ports) : new KeysModel(ports);
}
