/**
 * The story of `baton demo --real`. Its expectations are checked by KVM's exits, the guests' own RAM and the kernel's
 * log, never by statements of host or agents.
 */

import type { ControlClient } from '../../../src/cli/world.ts';
import type { Json } from '../../../src/common/lines.ts';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { ANDROID, VAULT } from '../testbed/hardware.ts';
import { dma, faultOfDma, faultOfInterrupt, faultOfMove, leftOver } from '../testbed/judge.ts';
import type { KvmMachine } from '../testbed/kvm-machine.ts';
import type { DemoReport } from './demo-report.ts';
import { faultText } from './demo-story.ts';
import type { RealTestbed } from './real-testbed.ts';

/** Longest wait for one step of the story, in ms: under emulation, beside other work. */
const STEP_MS = 10_000;
/** QEMU's `edu` in slot 5, as the SMMU names it. */
const STREAM = 0x28;
/** An address that no VM has RAM at. */
const OUTSIDE = 0x5000_0000;

export class RealStory {
  readonly #testbed: RealTestbed;
  readonly #machine: KvmMachine;
  readonly #report: DemoReport;
  #lease: ControlClient | undefined;
  #blackoutMs = Number.NaN;
  /** Loans in which the SMMU was told of no other entry. */
  #unmoved = 0;

  constructor(testbed: RealTestbed, report: DemoReport) {
    this.#testbed = testbed;
    this.#machine = testbed.machine;
    this.#report = report;
  }

  async run(): Promise<void> {
    await this.#home();
    await this.#pinEntry();
    await this.#declined();
    await this.#inFlight();
    await this.#outside();
    await this.#hangs();
    await this.#killed();
    await this.#witness();
  }

  async #home(): Promise<void> {
    this.#report.chapter('Android owns the device');
    await this.#untilHeldBy(ANDROID);
    await this.#expectMove(VAULT, ANDROID);
    this.#expectNone('an interrupt reaches Android', await faultOfInterrupt(this.#machine, ANDROID, 120));
  }

  async #pinEntry(): Promise<void> {
    this.#report.chapter('Vault, a confidential VM, borrows it for a PIN');
    const before = await this.#machine.peek(ANDROID);
    const atMs = performance.now();
    await this.#borrow('pin', {});
    const at = (by: string, name: string, value: string) =>
      this.#testbed.told.find((told) => told.atMs >= atMs && told.by === by && told.event[name] === value)
        ?.atMs;
    this.#blackoutMs =
      (at('vault', 'event', 'granted') ?? Number.NaN) - (at('android', 'state', 'lending') ?? 0);
    await this.#expectMove(ANDROID, VAULT);
    const digits = [7, 2, 9, 4];
    for (const digit of digits)
      this.#expectNone(`digit ${digit} reaches Vault`, await faultOfInterrupt(this.#machine, VAULT, digit));
    const { interrupts } = await this.#machine.peek(ANDROID);
    this.#report.expect('Android sees none of them', interrupts === before.interrupts);
    this.#expectNone('Vault’s DMA goes to Vault’s memory', await faultOfDma(this.#machine, VAULT, 0xd00d));
    const { reads, address } = await this.#machine.exits(ANDROID);
    this.#report.step(
      `KVM’s exits: ${reads} reads of Android refused, the last at 0x${address.toString(16)}`,
    );
    const fault = this.#testbed
      .since(atMs, 'host', 'fault')
      .filter(({ vm }) => vm === ANDROID)
      .at(-1);
    if (fault) this.#report.step(`the host records them: ${faultText(fault)}`);
    await this.#giveBack();
    await this.#expectMove(VAULT, ANDROID);
  }

  async #declined(): Promise<void> {
    this.#report.chapter('Vault asks for a purpose that the policy does not list');
    const answer = await this.#borrow('browse', {});
    this.#report.expect('declined by policy', answer['ok'] === false);
    await this.#expectMove(VAULT, ANDROID);
  }

  async #inFlight(): Promise<void> {
    this.#report.chapter('Android’s DMA is under way when the device moves, with a secret in its buffer');
    const moveTo = async (vm: VmId) => {
      if (vm === VAULT) await this.#borrow('pin', {});
      else await this.#giveBack();
    };
    this.#expectNone('nothing of it reaches Vault', await leftOver(this.#machine, moveTo, ANDROID, VAULT));
    await this.#giveBack();
  }

  async #outside(): Promise<void> {
    this.#report.chapter('Android has the device write where no memory of its own is');
    const sinceMs = performance.now();
    await dma(this.#machine, ANDROID, 3, OUTSIDE);
    const said = () => this.#machine.kernelSaid('arm-smmu-v3').filter((line) => line.includes('0x'));
    const seen = () => said().some((line) => line.includes(OUTSIDE.toString(16)));
    await this.#machine.until('the kernel says so', STEP_MS, seen).catch(() => {});
    for (const line of said().slice(-5)) this.#report.kernel(line);
    this.#report.expect('the SMMU refuses it, and the kernel prints stream and address', seen());
    const fault = () => this.#testbed.since(sinceMs, 'host', 'fault').find(({ by }) => by === 'dma');
    await this.#machine.until('the host books it', STEP_MS, () => fault() !== undefined).catch(() => {});
    this.#report.expect('the host books it on Android', fault()?.['vm'] === ANDROID, faultText(fault()));
  }

  async #hangs(): Promise<void> {
    this.#report.chapter('Vault’s agent hangs; its lease ends by force');
    await this.#borrow('pin', { leaseMs: 400, noticeMs: 100 });
    await this.#testbed.endAgent(VAULT, 'SIGSTOP');
    await this.#untilHeldBy(ANDROID);
    await this.#expectMove(VAULT, ANDROID);
    await this.#testbed.endAgent(VAULT, 'SIGCONT');
    await this.#machine.until(
      'vault is idle',
      STEP_MS,
      async () => (await this.#testbed.stateOf(VAULT)) === 'idle',
    );
    this.#lease?.close();
  }

  async #killed(): Promise<void> {
    this.#report.chapter('The borrower VM is killed while it holds');
    await this.#borrow('pin', {});
    await this.#testbed.killVm(VAULT);
    this.#report.step('its memory is freed only after the host has taken the device away');
    await this.#untilHeldBy(ANDROID);
    await this.#testbed.startVm(VAULT);
    await this.#machine.until('vault’s next incarnation runs', STEP_MS, async () => {
      return (await this.#machine.exits(VAULT)).reads > 0;
    });
    await this.#expectMove(VAULT, ANDROID);
  }

  /** Evidence from outside the emulated machine. */
  async #witness(): Promise<void> {
    this.#report.chapter('QEMU’s SMMU, a witness outside the emulated machine');
    const count = this.#machine.repointed(STREAM);
    this.#report.step(`it was told ${count} times that the stream table’s entry of the device had changed`);
    this.#report.expect('it was told so in each loan', this.#unmoved === 0, `${this.#unmoved} without`);
    const complaint = /.*(Oops|BUG:|panic|Call trace).*/.exec(this.#machine.console())?.[0];
    this.#report.expect('the kernel has nothing to complain about', complaint === undefined, complaint);
  }

  figures(): void {
    this.#report.phases(this.#testbed.told);
    this.#report.figure('blackout (Android suspended to Vault resumed)', this.#blackoutMs);
  }

  #expectNone(text: string, fault: string | undefined): void {
    this.#report.expect(text, fault === undefined, fault);
  }

  async #expectMove(from: VmId, to: VmId): Promise<void> {
    const name = (vm: VmId) => (vm === VAULT ? 'Vault' : 'Android');
    const fault = await faultOfMove(this.#machine, from, to);
    this.#expectNone(`the device answers ${name(to)}; KVM refuses ${name(from)}`, fault);
  }

  async #borrow(purpose: string, terms: Json): Promise<Json> {
    this.#lease = await this.#testbed.program(VAULT);
    const before = this.#machine.repointed(STREAM);
    const request = { do: 'borrow', bundle: this.#testbed.bundle.id, purpose, ...terms };
    const answer = await this.#lease.request(request);
    if (answer['ok'] === true) {
      if (this.#machine.repointed(STREAM) === before) this.#unmoved += 1;
      this.#report.step(`lent to Vault at epoch ${answer['epoch']}`);
    } else {
      this.#report.step(`Vault’s request: ${(answer['error'] as Json | undefined)?.['message']}`);
    }
    return answer;
  }

  async #giveBack(): Promise<void> {
    await this.#lease?.request({ do: 'return', bundle: this.#testbed.bundle.id });
    this.#lease?.close();
    await this.#untilHeldBy(ANDROID);
    this.#report.step('given back; Android resumed');
  }

  async #untilHeldBy(vm: VmId): Promise<void> {
    await this.#machine.until(`${vm} holds`, STEP_MS, async () => {
      const { state, holder } = await this.#testbed.view();
      return state === 'held' && holder === vm && (await this.#testbed.stateOf(vm)) === 'held';
    });
  }
}
