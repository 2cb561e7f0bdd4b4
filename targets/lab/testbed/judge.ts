/**
 * The judge of a move: what KVM reported of the old holder's accesses, and what both guests wrote down in their own
 * RAM. Nothing that host or agents say counts.
 */

import { resourcesOf, viewOf } from '../../../src/core/protocol/bundle.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { ANDROID, ENGINE, VAULT } from './hardware.ts';
import type { KvmMachine } from './kvm-machine.ts';

/** Turns of each guest's loop that are looked at after a move. */
const TURNS = 10;
/** Longest wait for what must come, in ms. */
const LIMIT_MS = 10_000;
const REGISTERS = resourcesOf(ENGINE).find(({ kind }) => kind === 'mmio')!;

const DMA_FROM = 0x80;
const DMA_TO = 0x88;
const DMA_BYTES = 0x90;
const DMA_COMMAND = 0x98;
/**
 * Registers that keep what was written to them, as its complement and as its factorial, and what they read after a
 * reset.
 */
const REGISTERS_KEPT = [
  [0x04, 0],
  [0x08, 1],
] as const;
/** The device's buffer, in its own addresses. */
const BUFFER = 0x4_0000;
/** What a DMA is taken from in the guest's RAM, and where it lands. */
const SOURCE = 0x4018_0000;
const LANDING = 0x4019_0000;

/**
 * Returns what is wrong after ENGINE was moved from `from` to `to`; undefined when nothing is. Both guests read the
 * device in a loop: from now on one is answered and never refused, the other refused and never answered.
 */
export async function faultOfMove(machine: KvmMachine, from: VmId, to: VmId): Promise<string | undefined> {
  const look = async () => {
    const asked = [machine.peek(from), machine.peek(to), machine.exits(from), machine.exits(to)] as const;
    const [old, held, refused, wrong] = await Promise.all(asked);
    return { old, held, refused, wrong };
  };
  const before = await look();
  let now = before;
  await machine.until(`both guests go on after a move to ${to}`, LIMIT_MS, async () => {
    now = await look();
    if (now.old.answered > before.old.answered) return true;
    return (
      now.old.refused >= before.old.refused + TURNS &&
      now.held.answered >= before.held.answered + TURNS &&
      now.refused.reads >= before.refused.reads + TURNS
    );
  });
  if (now.old.answered > before.old.answered)
    return `the device answered ${from} ${now.old.answered - before.old.answered} times after it was moved to ${to}`;
  if (now.old.strange > 0 || now.held.strange > 0) return 'a guest read what no device says';
  if (now.refused.address !== viewOf(REGISTERS, from))
    return `KVM refused ${from} at 0x${now.refused.address.toString(16)}`;
  // Its last refused accesses may have been on their way when the move ended, and not counted before.
  return now.wrong.reads > before.wrong.reads + 1 ? `KVM refuses the new holder ${to}` : undefined;
}

/** The world outside makes the device signal: `holder` gets it, and nobody else. Returns what is wrong. */
export async function faultOfInterrupt(
  machine: KvmMachine,
  holder: VmId,
  value: number,
  bundle = ENGINE,
): Promise<string | undefined> {
  const other = holder === ANDROID ? VAULT : ANDROID;
  const before = await machine.peek(holder);
  const otherBefore = await machine.peek(other);
  await machine.ask({ do: 'raise', bundle: bundle.id, device: bundle.devices[0]!.id, value });
  await machine.until(`${holder} gets its interrupt`, LIMIT_MS, async () => {
    return (await machine.peek(holder)).interrupts > before.interrupts;
  });
  const { raised } = await machine.peek(holder);
  const { interrupts, orphans } = await machine.peek(other);
  if (raised !== value) return `${holder} read ${raised}, the world outside raised ${value}`;
  return interrupts === otherBefore.interrupts && orphans === otherBefore.orphans
    ? undefined
    : `${other} got the interrupt of ${holder}`;
}

/** Starts a DMA of 8 bytes: into the device's buffer (1) or out of it (3), 4 more with an interrupt. */
async function startDma(
  machine: KvmMachine,
  vm: VmId,
  command: number,
  address: number,
  buffer = BUFFER,
): Promise<void> {
  const isOut = (command & 2) !== 0;
  await machine.write(vm, DMA_FROM, isOut ? buffer : address);
  await machine.write(vm, DMA_TO, isOut ? address : buffer);
  await machine.write(vm, DMA_BYTES, 8);
  await machine.write(vm, DMA_COMMAND, command);
}

/** As startDma, and waits for its end. */
export async function dma(
  machine: KvmMachine,
  vm: VmId,
  command: number,
  address: number,
  buffer = BUFFER,
): Promise<void> {
  await startDma(machine, vm, command, address, buffer);
  await machine.until(
    'the DMA ends',
    LIMIT_MS,
    async () => ((await machine.read(vm, DMA_COMMAND)) & 1) === 0,
  );
}

/** The holder's DMA comes from its RAM and lands in it, and nowhere in the other's. Returns what is wrong. */
export async function faultOfDma(
  machine: KvmMachine,
  holder: VmId,
  value: number,
  landing = LANDING,
): Promise<string | undefined> {
  const other = holder === ANDROID ? VAULT : ANDROID;
  await machine.poke(holder, SOURCE, value);
  await machine.poke(other, SOURCE, 0xbad);
  await machine.poke(holder, landing, 0);
  await machine.poke(other, LANDING, 0);
  await dma(machine, holder, 1, SOURCE);
  await dma(machine, holder, 3, landing);
  const [landed] = await machine.words(holder, landing, 1);
  const [elsewhere] = await machine.words(other, LANDING, 1);
  if (landed !== value)
    return `0x${value.toString(16)} went out, 0x${landed!.toString(16)} landed in ${holder}`;
  return elsewhere === 0 ? undefined : `0x${elsewhere!.toString(16)} landed in ${other}`;
}

/**
 * Moves the bundle from `from` to `to` while a DMA of `from` is under way, with a secret in the device's buffer.
 * Returns what of it reached `to`; undefined when nothing did.
 */
export async function leftOver(
  machine: KvmMachine,
  moveTo: (vm: VmId) => Promise<void>,
  from: VmId,
  to: VmId,
): Promise<string | undefined> {
  const secret = 0x5ec2e7;
  const empty = 0x1111;
  await machine.poke(from, SOURCE, secret);
  await dma(machine, from, 1, SOURCE);
  // And in its last byte.
  const end = BUFFER + machine.eduBytes - 8;
  await dma(machine, from, 1, SOURCE - 7, end);
  await machine.poke(to, LANDING, empty);
  const before = await machine.peek(to);
  for (const [register] of REGISTERS_KEPT) await machine.write(from, register, secret);
  await startDma(machine, from, 7, LANDING);
  await moveTo(to);
  for (const [register, cleared] of REGISTERS_KEPT) {
    const kept = await machine.read(to, register);
    if (kept !== cleared)
      return `register 0x${register.toString(16)} still has 0x${kept.toString(16)} of ${from}`;
  }
  await dma(machine, to, 3, LANDING + 8);
  await dma(machine, to, 3, LANDING + 16, end);
  const [landed, leaked, last] = await machine.words(to, LANDING, 3);
  const after = await machine.peek(to);
  if (landed !== empty) return `a DMA that ${from} began landed in ${to}`;
  if (leaked !== 0 || last !== 0) return `the device still has what ${from} left in it`;
  return after.interrupts === before.interrupts && after.orphans === before.orphans
    ? undefined
    : `an interrupt for ${from} came to ${to}`;
}
