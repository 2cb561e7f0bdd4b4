/**
 * The demo's story: a PIN entry, and ways in which a handover goes wrong. Each chapter checks its expectations from
 * outside: what the users of the drivers saw, what the panel shows, what the checker of the simulated machine found,
 * and what the host reported.
 */

import type { ControlClient } from '../../../src/cli/world.ts';
import type { Json } from '../../../src/common/lines.ts';
import { namesAccess } from '../../../src/core/host/host-view.ts';
import { PANEL } from '../machine/board.ts';
import type { DemoReport } from './demo-report.ts';
import type { DemoTestbed } from './demo-testbed.ts';

/** Longest wait for one step of the story, in ms. A step takes some 20, a forced return some 1,000. */
const STEP_MS = 2_500;
/** Lease whose release is delayed, in ms on a quiet machine: it must outlast the steps before that. */
const LATE_LEASE_MS = 500;
/** Time in which something must not happen, in ms. */
const QUIET_MS = 120;
/** Longest wait for one step after a sabotage was detected, in ms: most later expectations never hold. */
const SHOWN_MS = 400;
/** Pictures, each of one repeated word. */
const HOME_SCREEN = 0x00a0_d10d;
const PIN_PAD = 0x0050_1f17;

/** Plays the story on the testbed and writes the report. */
export class DemoStory {
  readonly #testbed: DemoTestbed;
  readonly #report: DemoReport;
  readonly #isSabotaged: boolean;
  #blackoutMs = Number.NaN;

  /** `isSabotaged`: a safeguard is switched off, and the story ends with the chapter that detects it. */
  constructor(testbed: DemoTestbed, report: DemoReport, isSabotaged: boolean) {
    this.#testbed = testbed;
    this.#report = report;
    this.#isSabotaged = isSabotaged;
  }

  async run(): Promise<void> {
    const chapters = [
      () => this.#home(),
      () => this.#pinEntry(),
      () => this.#heldFinger(),
      () => this.#declined(),
      () => this.#intruder(),
      () => this.#hangs(),
      () => this.#late(),
      () => this.#killed(),
    ];
    for (const tell of chapters) {
      await tell();
      if (!this.#hasLieShown()) continue;
      this.#report.step('the story ends here: the sabotage was detected');
      return;
    }
  }

  #hasLieShown(): boolean {
    return this.#isSabotaged && this.#report.expectations.some(({ held }) => !held);
  }

  /** Waits for a step of the story. */
  #until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    return this.#testbed.until(what, this.#hasLieShown() ? SHOWN_MS : STEP_MS, holds);
  }

  /** Android alone. */
  async #home(): Promise<void> {
    const { report, testbed } = this.#words('Android owns touch and display');
    await this.#until('android holds', () => this.#holds('android'));
    await testbed.ask('app-android', { do: 'show', word: HOME_SCREEN });
    const atMs = await this.#tap(120, 300);
    report.expect('a tap reaches Android', await this.#saw('android', atMs, 2));
    report.expect('the panel shows Android’s picture', await this.#shows('android', HOME_SCREEN));
  }

  /** Vault takes a PIN; the blackout is measured. */
  async #pinEntry(): Promise<void> {
    const { report, testbed } = this.#words('Vault, a confidential VM, borrows both for a PIN');
    const atMs = performance.now();
    const lease = await this.#borrow('pin', { leaseMs: 30_000 });
    if (lease.ok)
      report.step('(an epoch numbers each attempt to move the bundle; commands of an older one do nothing)');
    report.expect('Vault holds after verified evidence', lease.ok && (await this.#holds('vault')), lease.why);
    const early = testbed.since(atMs, 'host', 'fault').filter((fault) => fault['vm'] === 'vault');
    report.expect(
      'no driver touched the bundle before it was its turn',
      early.length === 0,
      faultText(early[0]),
    );
    const suspended = testbed.told.find(
      (told) => told.atMs >= atMs && told.by === 'android' && told.event['state'] === 'lending',
    );
    const granted = testbed.told.find(
      (told) => told.atMs >= atMs && told.by === 'vault' && told.event['event'] === 'granted',
    );
    await testbed.ask('app-vault', { do: 'show', word: PIN_PAD });
    report.expect('the panel shows Vault’s PIN pad', await this.#shows('vault', PIN_PAD));
    const typedMs = performance.now();
    for (const digit of [7, 2, 9, 4]) await this.#tap(40 * digit, 800);
    report.expect('four digits reach Vault', await this.#saw('vault', typedMs, 8));
    report.expect('Android sees none of them', this.#reports('android', atMs) === 0);
    await this.#giveBack(lease.client);
    if (suspended && granted) this.#blackoutMs = granted.atMs - suspended.atMs;
  }

  /** The finger is still on the last key when Vault returns the bundle. */
  async #heldFinger(): Promise<void> {
    const { report, testbed } = this.#words('A finger stays on the panel across the give-back');
    const lease = await this.#borrow('pin', { leaseMs: 30_000 });
    await testbed.ask('app-vault', { do: 'show', word: PIN_PAD });
    const atMs = performance.now();
    await testbed.ask('bench', { do: 'touch', x: 360, y: 800, down: true });
    await this.#saw('vault', atMs, 1);
    report.step('the finger is down; Vault asks to give back');
    const back = this.#giveBack(lease.client);
    await quiet();
    report.expect('the give-back waits for the finger', await this.#holds('vault'));
    await testbed.ask('bench', { do: 'touch', x: 360, y: 800, down: false });
    await back;
    report.expect('Android holds again', await this.#holds('android'));
    await quiet();
    report.expect('Android never sees that finger', this.#reports('android', atMs) === 0);
    const { seen } = await testbed.ask('app-android', { do: 'peek' });
    const left = (seen as number[] | undefined)?.slice(1).filter((word) => word === PIN_PAD).length ?? 0;
    report.expect(
      'nothing of the PIN pad is left in the display',
      left === 0,
      `${left} words of it can be read`,
    );
    const tapMs = await this.#tap(200, 200);
    report.expect('Android goes on: its next tap arrives', await this.#saw('android', tapMs, 2));
  }

  async #declined(): Promise<void> {
    const { report } = this.#words('Vault asks for a purpose that the policy does not list');
    const lease = await this.#borrow('browse', {});
    report.expect('declined by policy', !lease.ok && String(lease.why).includes('policy'), lease.why);
    report.expect('Android holds on', await this.#holds('android'));
    lease.client.close();
  }

  /** An owner whose drivers do not suspend: one continues its DMA, one continues to access registers. */
  async #intruder(): Promise<void> {
    const { report, testbed } = this.#words('Android’s drivers keep using the devices after the suspend');
    await testbed.ask('app-android', { do: 'misbehave', how: 'leave-dma' });
    const atMs = performance.now();
    const lease = await this.#borrow('pin', { leaseMs: 30_000 });
    const dma = await this.#fault(atMs, 'dma');
    report.expect('its DMA is caught by the SMMU', dma !== undefined, 'no event of the SMMU was reported');
    if (dma)
      report.step(`${faultText(dma)} (during the move: attributed to the previous holder, with its epoch)`);
    report.expect(
      'that fault names Android, the stream and the previous epoch',
      dma?.['vm'] === 'android' &&
        String(dma['resource']).startsWith('display.stream') &&
        Number(dma['epoch']) < Number(lease.epoch),
    );
    const pokedMs = performance.now();
    const { read } = await testbed.ask('app-android', { do: 'poke' });
    report.expect('its register access reaches nothing: all ones', read === 0xffff_ffff, `it read ${read}`);
    const cpu = await this.#fault(pokedMs, 'cpu');
    if (cpu) report.step(faultText(cpu));
    report.expect(
      'that fault names Android, the register page and the epoch',
      cpu?.['vm'] === 'android' && cpu['resource'] === 'touch.mmio0' && cpu['epoch'] === lease.epoch,
      'no stage-2 abort was reported',
    );
    await testbed.ask('app-vault', { do: 'show', word: PIN_PAD });
    const tapMs = await this.#tap(80, 640);
    report.expect(
      'Vault continues undisturbed',
      (await this.#holds('vault')) && (await this.#saw('vault', tapMs, 2)),
    );
    await testbed.ask('app-android', { do: 'behave' });
    await this.#giveBack(lease.client);
  }

  /** The borrower's driver hangs when it should suspend. */
  async #hangs(): Promise<void> {
    const { report, testbed } = this.#words(
      'Vault hangs at the end of its lease and loses the bundle by force',
    );
    await testbed.ask('app-vault', { do: 'misbehave', how: 'slow' });
    const atMs = performance.now();
    const lease = await this.#borrow('pin', { leaseMs: 300, noticeMs: 200 });
    await this.#until('the lease ends by force', () => this.#holds('android'));
    const dark = testbed.since(atMs, 'host', 'changed').find((event) => event['state'] === 'parked');
    report.expect('it is dark and parked before Android gets it', dark !== undefined);
    report.expect('Vault is told that it lost it', await this.#told('vault', 'lost', atMs));
    lease.client.close();
    await testbed.ask('app-vault', { do: 'behave' });
    await this.#vaultIdle();
  }

  /** The network is slow: a release arrives long after the end of the lease. */
  async #late(): Promise<void> {
    const { report, testbed } = this.#words('The network delays a give-back past the end of the lease');
    const lease = await this.#borrow('pin', { leaseMs: testbed.pacedMs(LATE_LEASE_MS), noticeMs: 100 });
    await this.#until(
      'the host knows that Vault resumed',
      async () => (await this.#host())['confirmed'] === true,
    );
    await testbed.broker({ hold: 'baton/machine/host/in/vault' });
    const atMs = performance.now();
    const back = lease.client.request({ do: 'return', bundle: PANEL.id });
    await this.#until('the lease ends by force', () => this.#holds('android'));
    await back;
    lease.client.close();
    const forced = testbed
      .since(atMs, 'host', 'changed')
      .some((event) => event['reason'] === 'parked: expiry');
    report.expect(
      'the host took it back without that message',
      forced && (await this.#told('vault', 'returned', atMs)),
    );
    await testbed.broker({ pass: true });
    await this.#vaultIdle();
    const next = await this.#borrow('pin', { leaseMs: 30_000 });
    report.step('now the old give-back arrives');
    await testbed.broker({ deliver: true });
    await quiet();
    const holds = await this.#holds('vault');
    report.expect('a command of an old epoch does nothing', holds && (await this.#epoch()) === next.epoch);
    await this.#giveBack(next.client);
  }

  async #killed(): Promise<void> {
    const { report, testbed } = this.#words('The borrower VM is killed while it holds');
    const lease = await this.#borrow('pin', { leaseMs: 30_000 });
    const atMs = performance.now();
    await testbed.ask('bench', { do: 'killVm', vm: 'vault' });
    await this.#until('the bundle is back', () => this.#holds('android'));
    lease.client.close();
    report.expect('the bundle is back with Android', await this.#holds('android'));
    const gone = testbed.since(atMs, 'host', 'vm').find((event) => event['vm'] === 'vault');
    report.expect('the host knows that incarnation as ended', gone?.['running'] === false);
    await this.#until('android resumed', async () => (await this.#stateOf('android')) === 'held');
    const tapMs = await this.#tap(300, 300);
    report.expect('Android’s touch works', await this.#saw('android', tapMs, 2));
    await testbed.startVm('vault' as never);
    const again = await this.#borrow('pin', {});
    report.expect('Vault’s next incarnation borrows like any other', again.ok, again.why);
    await this.#giveBack(again.client);
  }

  /** Results of the machine's checker, which examined every intermediate state of every remap. */
  async judge(): Promise<void> {
    const { report, testbed } = this.#words(
      'The simulated machine’s checker (S1, S3, S6, S7: docs/ARCHITECTURE.md, What always holds; ' +
        'vault#2: the second VM started here)',
    );
    const { violations, carried } = await testbed.ask('bench', { do: 'judge' });
    const found = violations as { invariant: string; text: string }[];
    for (const [invariant, words] of [
      ['S1', 'no resource was ever reachable by two VMs'],
      ['S3', 'no VM got access before all others were blocked'],
      ['S6', 'no VM read what another one left behind'],
      ['S7', 'nothing that was reported as blocked could be reached'],
      ['mapping', 'registers were mapped as registers, and memory as memory'],
    ] as const) {
      const broken = found.filter((violation) => violation.invariant === invariant);
      report.expect(
        `${invariant}: ${words}`,
        broken.length === 0,
        `${broken.length} times, first: ${broken[0]?.text}`,
      );
    }
    report.expect('no finger was carried from one VM to another', (carried as unknown[]).length === 0);
  }

  /** Phases and blackout. */
  figures(): void {
    this.#report.phases(this.#testbed.told);
    this.#report.figure('blackout (Android suspended to Vault resumed)', this.#blackoutMs);
  }

  #words(chapter: string) {
    this.#report.chapter(chapter);
    return { report: this.#report, testbed: this.#testbed };
  }

  async #host(): Promise<Json> {
    const { bundles } = await this.#testbed.ask('host', { do: 'status' });
    const view = (bundles as Json[])[0]!;
    this.#report.holder = String(view['holder'] ?? 'nobody');
    return view;
  }

  async #holds(vm: string): Promise<boolean> {
    const view = await this.#host();
    return view['state'] === 'held' && view['holder'] === vm;
  }

  async #epoch(): Promise<unknown> {
    return (await this.#host())['epoch'];
  }

  async #stateOf(vm: string): Promise<unknown> {
    const { bundles } = await this.#testbed.ask(vm, { do: 'status' });
    return (bundles as Json[])[0]!['state'];
  }

  async #borrow(purpose: string, terms: Json) {
    const client = await this.#testbed.program('vault' as never);
    const answer = await client.request({ do: 'borrow', bundle: PANEL.id, purpose, ...terms });
    await this.#host();
    const error = answer['error'] as { message: string } | undefined;
    const ok = answer['ok'] === true;
    this.#report.step(
      ok ? `lent to Vault at epoch ${answer['epoch']}` : `Vault’s request: ${error?.message}`,
    );
    return { ok, client, epoch: answer['epoch'], why: error?.message };
  }

  async #giveBack(client: ControlClient): Promise<void> {
    await client.request({ do: 'return', bundle: PANEL.id });
    client.close();
    await this.#until('android resumed', async () => (await this.#stateOf('android')) === 'held');
    await this.#host();
    this.#report.step('given back; Android resumed');
  }

  /** Puts a finger down and up again. Returns the moment before. */
  async #tap(x: number, y: number): Promise<number> {
    const atMs = performance.now();
    await this.#testbed.ask('bench', { do: 'touch', x, y, down: true });
    await this.#testbed.ask('bench', { do: 'touch', x, y, down: false });
    return atMs;
  }

  #reports(vm: string, sinceMs: number): number {
    return this.#testbed.since(sinceMs, `app-${vm}` as 'app-android', 'touch').length;
  }

  /** Whether the VM's user saw exactly that many reports, within a short wait. */
  async #saw(vm: string, sinceMs: number, count: number): Promise<boolean> {
    await this.#until('reports', () => this.#reports(vm, sinceMs) >= count).catch(() => {});
    return this.#reports(vm, sinceMs) === count;
  }

  async #shows(vm: string, word: number): Promise<boolean> {
    const look = async () => {
      const screen = await this.#testbed.ask('bench', { do: 'screen' });
      return screen['vm'] === vm && (screen['words'] as number[]).every((each) => each === word);
    };
    await this.#until('picture', look).catch(() => {});
    return look();
  }

  async #fault(sinceMs: number, by: 'cpu' | 'dma'): Promise<Json | undefined> {
    const find = () => this.#testbed.since(sinceMs, 'host', 'fault').find((fault) => fault['by'] === by);
    await this.#testbed.until('fault', 1_000, () => find() !== undefined).catch(() => {});
    return find();
  }

  async #told(by: 'vault' | 'android', event: string, sinceMs: number): Promise<boolean> {
    const told = () => this.#testbed.since(sinceMs, by, event).length > 0;
    await this.#until(event, told).catch(() => {});
    return told();
  }

  async #vaultIdle(): Promise<void> {
    await this.#until('vault is idle', async () => (await this.#stateOf('vault')) === 'idle');
    await this.#until('android holds', async () => (await this.#stateOf('android')) === 'held');
  }
}

const quiet = () => new Promise<void>((resolve) => setTimeout(resolve, QUIET_MS));

export function faultText(fault: Json | undefined): string {
  if (!fault) return '';
  const { name, vm, resource, epoch, write } = fault;
  // An SMMU's record of a faulty configuration says neither what was accessed nor how.
  const access = write ? 'wrote' : 'read';
  const what = namesAccess(`${name}`) ? access : 'used';
  return `${name}: ${vm ?? 'unattributed'} ${what} ${resource ?? 'memory'}, epoch ${epoch}`;
}
