/** Checks of devices that hooks suspend: runtime power management, and who has them open. */

import { readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { attributeText, placesOf } from '../../../../src/edges/hooks/sys-look.ts';
import { attempt } from '../../system/processes.ts';
import { type Check, type Finding, fault, ok, skipped } from './check.ts';
import { type PlacedStep, stepsOf, writtenBy } from './hook-steps.ts';
import type { Subject } from './subject.ts';

/** Folders below a device that are looked into for its nodes, and how deep: its classes and their children. */
const FOLDERS_MAX = 512;
const DEPTH_MAX = 5;
/** Steps after which no program reaches the driver any more, whoever has the device open. */
const CUTTING: readonly string[] = ['input-inhibit', 'unbind', 'command', 'socket', 'trusted-touch'];

/** Returns the folder in /sys of the device of a step; undefined when it has none, or it is not there. */
async function deviceOf({ machine }: Subject, { step }: PlacedStep): Promise<string | undefined> {
  const real = (path: string) => machine.files.realPath(path) ?? path;
  if (step.kind === 'runtime-pm') return placesOf(step.device, machine.files).map(real)[0];
  if (step.kind === 'input-inhibit') {
    const [inhibited] = await writtenBy(step, (path) => path).catch(() => []);
    return (
      inhibited &&
      real(inhibited)
        .replace(/\/inhibited$/, '')
        .replace(/\/input\/input\d+$/, '')
    );
  }
  if (step.kind !== 'fb-blank') return undefined;
  const place = step.fb.startsWith('/') ? step.fb : `/sys/class/graphics/${step.fb}`;
  return placesOf(place, machine.files).map((found) => real(found).replace(/\/graphics\/fb\d+$/, ''))[0];
}

function suspendSteps(subject: Subject): readonly PlacedStep[] {
  return stepsOf(subject).filter(({ list }) => list === 'suspend');
}

const RUNTIME_PM: Check = {
  name: 'runtime-pm',
  of: 'agent',
  run: async (subject) => {
    const found: Finding[] = [];
    for (const placed of suspendSteps(subject)) {
      if (placed.step.kind !== 'runtime-pm' && placed.step.kind !== 'input-inhibit') continue;
      const device = await deviceOf(subject, placed);
      if (device === undefined) found.push(...skipped(placed.about, 'its device is not there'));
      else found.push(...powerOf(subject, placed, device));
    }
    return found;
  },
};

/** A driver whose input devices are inhibited lets the registers be only if it suspends then. */
function powerOf({ machine: { files } }: Subject, { step, hooks, about }: PlacedStep, device: string) {
  const status = `${device}/power/runtime_status`;
  const control = `${device}/power/control`;
  const kinds = (hooks.suspend ?? []).map(({ kind }) => kind);
  const isAlone = step.kind === 'input-inhibit' && kinds.every((kind) => kind === 'input-inhibit');
  const now = attributeText(status, files);
  if (step.kind === 'input-inhibit' && !isAlone)
    return ok(about, 'another step of its list stops the driver');
  if (now === undefined) return skipped(about, `${status} is not there`);
  if (now === 'unsupported' || now === 'error')
    return fault(
      about,
      `${status} reads ${now}`,
      'active or suspended: a driver that can suspend the device',
      now === 'error' ? 'dmesg; unbind and bind the driver' : 'a step "unbind" in place of it',
    );
  if (isAlone && attributeText(control, files) === 'on')
    return fault(
      about,
      `${control} reads on: the driver stays awake while no event is read`,
      'auto: the driver suspends the device when nobody reads it',
      `echo auto > ${control}; or a step "runtime-pm" after this one`,
    );
  return ok(about, `${status} reads ${now}`);
}

const DEVICE_OPEN: Check = {
  name: 'device-open',
  of: 'agent',
  run: async (subject) => {
    const found: Finding[] = [];
    for (const placed of suspendSteps(subject)) {
      const device = await deviceOf(subject, placed);
      if (device !== undefined) found.push(...openersOf(subject, placed, device));
    }
    return found;
  },
};

function openersOf({ machine }: Subject, { step, hooks, about }: PlacedStep, device: string) {
  const nodes = nodesBelow(device).map((name) => join(machine.dev, name));
  if (nodes.length === 0) return skipped(about, `${device} has no device node`);
  const { openers, dark } = whoHasOpen(machine.proc, nodes);
  const shown = nodes.join(', ');
  if (openers.length === 0)
    return dark > 0
      ? skipped(about, `the files of ${dark} processes are not shown to this user: run this as root`)
      : ok(about, `nobody has ${shown} open`);
  const words = openers.map(({ pid, name, node }) => `${name} (${pid}) has ${node} open`).join('; ');
  const suspend = hooks.suspend ?? [];
  const before = suspend.slice(0, suspend.indexOf(step));
  const isCut = CUTTING.includes(step.kind) || before.some(({ kind }) => CUTTING.includes(kind));
  if (isCut) return ok(about, `${words}; that does not hinder the step`);
  return fault(
    about,
    `${words}: the device stays awake, and the step fails`,
    'nobody has it open at the handover, or a step before this one that cuts programs off',
    `end ${[...new Set(openers.map(({ name }) => name))].join(', ')}; or a step "input-inhibit" before this one`,
  );
}

/** Returns the names of device nodes of a device and of what is below it, as the kernel calls them. */
function nodesBelow(top: string): string[] {
  const nodes: string[] = [];
  let level = [top];
  let seen = 0;
  for (let depth = 0; depth <= DEPTH_MAX && level.length > 0; depth++) {
    const next: string[] = [];
    for (const folder of level.slice(0, FOLDERS_MAX - seen)) {
      seen += 1;
      const uevent = attempt(() => readFileSync(join(folder, 'uevent'), 'utf8')) ?? '';
      const [, name] = /^DEVNAME=(.+)$/m.exec(uevent) ?? [];
      if (name !== undefined) nodes.push(name);
      const entries = attempt(() => readdirSync(folder, { withFileTypes: true })) ?? [];
      for (const entry of entries) if (entry.isDirectory()) next.push(join(folder, entry.name));
    }
    level = next;
  }
  return nodes;
}

interface Opener {
  readonly pid: number;
  readonly name: string;
  readonly node: string;
}

/** Returns the processes with one of these nodes open. `dark`: how many do not show their files to this user. */
function whoHasOpen(proc: string, nodes: readonly string[]): { openers: readonly Opener[]; dark: number } {
  const places = new Map(nodes.map((node) => [attempt(() => realpathSync(node)) ?? node, node]));
  const openers: Opener[] = [];
  let dark = 0;
  for (const pid of attempt(() => readdirSync(proc)) ?? []) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const files = filesOf(join(proc, pid, 'fd'));
    if (files === 'denied') dark += 1;
    for (const file of files === 'denied' ? [] : files) {
      const node = places.get(attempt(() => readlinkSync(join(proc, pid, 'fd', file))) ?? '');
      if (node === undefined || openers.some((one) => one.pid === Number(pid) && one.node === node)) continue;
      const name = attempt(() => readFileSync(join(proc, pid, 'comm'), 'utf8').trim()) ?? '?';
      openers.push({ pid: Number(pid), name, node });
    }
  }
  return { openers, dark };
}

/** Returns the names of the open files of a process; none when it has ended meanwhile. */
function filesOf(folder: string): readonly string[] | 'denied' {
  try {
    return readdirSync(folder);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? 'denied' : [];
  }
}

/** Every check of devices. */
export const DEVICE_CHECKS: readonly Check[] = [RUNTIME_PM, DEVICE_OPEN];
