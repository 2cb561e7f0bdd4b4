/** The holding part of `baton borrow`: from the grant until the command and its descendants have ended. */

import type { Json } from '../common/lines.ts';
import type { Words } from './arguments.ts';
import { say } from './asking.ts';
import { answerWithin, HungError } from './patience.ts';
import { causeText } from './words.ts';
import { type Child, type CliWorld, type ControlClient, duration, EXIT } from './world.ts';

/** Time of a command after SIGTERM when the bundle is already gone, in ms. */
const KILL_AFTER_MS = 2_000;
/** Part of the lease that is left when it is renewed: enough for a second attempt, and for a notice. */
const RENEW_AT = 0.5;
/** Longest wait for the answer to a renewal, in ms: the agent gives up after 5 s. */
const RENEWAL_MS = 10_000;
/** Time of remaining descendants after SIGTERM, and again after SIGKILL, in ms. */
const REST_MS = 500;
/** Interval of the checks, in ms. */
const LOOK_MS = 20;
/** Longest wait until ended processes are reaped, in ms: the init of a container may do so every 2 s. */
const ENTRIES_MS = 2_500;
/**
 * Time of the agent to return the bundle, in ms: the driver's hooks, and the host. If it takes longer, the lease ends
 * with this process.
 */
const RETURN_MS = 60_000;

/** Holds the bundle while the command runs, or until interrupted. */
export class Holding {
  readonly #world: CliWorld;
  readonly #client: ControlClient;
  readonly #bundle: string;
  readonly #words: Words;
  /** Events before the grant was processed. */
  #early: Json[] | undefined = [];
  #child: Child | undefined;
  #isLost = false;
  /** The command was asked to end, and will be killed. */
  #isEnding = false;
  /** The command got SIGTERM. */
  #isTold = false;
  #cancelKill: () => void = () => {};
  #stop: () => void = () => {};
  #cancelRenewal: () => void = () => {};

  constructor(world: CliWorld, client: ControlClient, bundle: string, words: Words) {
    this.#world = world;
    this.#client = client;
    this.#bundle = bundle;
    this.#words = words;
  }

  /** An event of the agent. Events before the grant was processed are queued. */
  heard(event: Json): void {
    if (this.#early) this.#early.push(event);
    else this.#on(event);
  }

  /** Returns the exit status when the hold is over. */
  async run(granted: Json, warning: string): Promise<number> {
    const { epoch, leaseMs } = granted;
    const command = this.#words.rest ?? [];
    const how = command.length > 0 ? '' : '; Ctrl-C gives it back';
    const stopped = new Promise<number>((resolve) => {
      this.#stop = () => resolve(EXIT.ok);
    });
    // Before it says that the bundle is held: who reads that may interrupt at once.
    const unhook = this.#world.onSignal(() => this.#end());
    this.#say(
      { ...granted, event: 'granted' },
      `held at epoch ${epoch} for ${duration(Number(leaseMs))}${warning}${how}`,
    );
    if (command.length > 0) {
      this.#child = this.#world.spawn(command, {
        BATON_BUNDLE: this.#bundle,
        BATON_EPOCH: String(epoch),
        BATON_DEADLINE_MS: String(leaseMs),
      });
    }
    this.#renewLater(Number(leaseMs));
    for (const event of this.#early ?? []) this.#on(event);
    this.#early = undefined;
    const ended = this.#child ? this.#child.ended : stopped;
    const status = await Promise.race([ended, this.#client.ended.then(() => undefined)]);
    unhook();
    this.#cancelRenewal();
    if (status === undefined) return this.#agentEnded(ended);
    await this.#endRest();
    if (this.#isLost) return this.#reaped(EXIT.lost);
    await this.#giveBack();
    return this.#reaped(this.#isLost ? EXIT.lost : status);
  }

  async #giveBack(): Promise<void> {
    const request = { do: 'return', bundle: this.#bundle };
    try {
      const back = await answerWithin(this.#world, this.#client, request, RETURN_MS);
      if (back['ok']) this.#say({ ...back, event: 'returned' }, 'given back');
    } catch (error) {
      // The end of the connection releases it as well.
      if (error instanceof HungError)
        this.#say({ event: 'notReturned', bundle: this.#bundle }, error.message);
    }
  }

  /** The agent is gone, and the lease with it: the command continues without the bundle. */
  async #agentEnded(ended: Promise<number>): Promise<number> {
    this.#say({ event: 'lost', bundle: this.#bundle }, 'the agent ended; the bundle goes back');
    if (this.#child) {
      this.#endWithin(KILL_AFTER_MS);
      await ended;
    }
    await this.#endRest();
    return this.#reaped(EXIT.lost);
  }

  /** The command has ended. Ends its remaining descendants before the bundle is released. */
  async #endRest(): Promise<void> {
    const child = this.#child;
    const { nowMs, after } = this.#world;
    const startMs = nowMs();
    // A second SIGTERM may interrupt a clean-up.
    if (child && !this.#isTold && child.left().length > 0) child.signal('SIGTERM');
    for (let left = child?.left() ?? []; left.length > 0; left = child!.left()) {
      const ms = nowMs() - startMs;
      if (ms >= 2 * REST_MS) {
        this.#say(
          { event: 'notEnded', bundle: this.#bundle, processes: left },
          `processes of the command that cannot be ended: ${left.join(', ')}`,
        );
        break;
      }
      if (ms >= REST_MS) child!.signal('SIGKILL');
      await new Promise<void>((done) => void after(LOOK_MS, done));
    }
    this.#cancelKill();
    child?.release();
  }

  /** By the time the status is known, no ended process looks alive. */
  async #reaped(status: number): Promise<number> {
    const endMs = this.#world.nowMs() + ENTRIES_MS;
    while (this.#child?.hasEntries() && this.#world.nowMs() < endMs)
      await new Promise<void>((done) => void this.#world.after(LOOK_MS, done));
    return status;
  }

  #on(event: Json): void {
    // The host is silent: the command continues, but its display is no longer verified.
    if (event['event'] === 'hostDown')
      this.#say(event, `who holds it is not verified now: ${event['reason']}`);
    if (event['bundle'] !== this.#bundle) return;
    switch (event['event']) {
      case 'recalled':
        this.#say(
          event,
          `to be given back within ${duration(Number(event['ms']))} (${causeText(event['cause'])})`,
        );
        // The agent suspends the driver before the notice ends, whether the command has ended or not.
        return this.#endWithin(Number(event['ms']));
      case 'lost':
        this.#isLost = true;
        this.#say(event, `taken by force (${causeText(event['cause'])})`);
        if (this.#child) return this.#child.signal('SIGKILL');
        return this.#stop();
      case 'returned':
        // By another program, or by the agent shortly before the end of a notice.
        this.#say(event, 'given back');
        return this.#isEnding ? undefined : this.#endWithin(KILL_AFTER_MS);
    }
  }

  /** With --renew, the lease is extended while half of it is left. What is declined is asked for once. */
  #renewLater(leaseMs: number): void {
    if (!this.#words.flags.has('--renew')) return;
    this.#cancelRenewal = this.#world.after(leaseMs * RENEW_AT, () => void this.#renew(leaseMs));
  }

  async #renew(leaseMs: number): Promise<void> {
    if (this.#isTold || this.#isLost) return;
    const request = { do: 'renew', bundle: this.#bundle, leaseMs };
    try {
      const answer = await answerWithin(this.#world, this.#client, request, RENEWAL_MS);
      if (answer['ok']) {
        this.#say({ ...answer, event: 'renewed' }, `renewed for ${duration(Number(answer['leaseMs']))}`);
        return this.#renewLater(leaseMs);
      }
      const { message } = answer['error'] as { readonly message: string };
      this.#say({ event: 'renewalDeclined', bundle: this.#bundle, message }, message);
    } catch (error) {
      // The end of the connection ends the hold as well.
      if (error instanceof HungError)
        this.#say({ event: 'renewalDeclined', bundle: this.#bundle }, error.message);
    }
  }

  /** Asks the command to end. */
  #end(): void {
    this.#isTold = true;
    if (this.#child) this.#child.signal('SIGTERM');
    else this.#stop();
  }

  /** Asks the command to end, and kills it after `ms`. */
  #endWithin(ms: number): void {
    this.#isEnding = true;
    this.#end();
    this.#cancelKill();
    this.#cancelKill = this.#world.after(ms, () => this.#child?.signal('SIGKILL'));
  }

  #say(event: Json, text: string): void {
    say(this.#world, this.#words, event, `${this.#bundle}: ${text}`);
  }
}
