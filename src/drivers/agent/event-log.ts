/**
 * Event log of one bundle: the last events for `describe`, the reason for `status`, lines of the log. No decision
 * depends on it.
 */

import type { AgentNotice } from '../../core/agent/agent-io.ts';
import { noticeText, stateText } from '../../core/agent/agent-view.ts';
import type { BundleId, VmId } from '../../core/protocol/ids.ts';
import type { MessageOf } from '../../core/protocol/messages.ts';
import type { Clock, HookName, Log } from '../../ports/world.ts';

/** Events kept per bundle for `describe`. */
const EVENTS_KEPT = 20;

/** The event log of one bundle. */
export class EventLog {
  readonly #bundle: BundleId;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #events: string[] = [];
  #reason = stateText('starting');
  #hookError: string | undefined;
  #rejection: string | undefined;
  /** The last failed hook, until the same hook succeeds. */
  #failure: { readonly hook: HookName; readonly text: string } | undefined;

  constructor(bundle: BundleId, clock: Clock, log: Log) {
    this.#bundle = bundle;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Returns why the bundle is in its state, with the fault of the last grant and of the last hook run, until a later
   * one succeeds.
   */
  get reason(): string {
    const parts = [this.#reason, this.#rejection, this.#failure && `last: ${this.#failure.text}`];
    if (this.#rejection === this.#reason) parts[1] = undefined;
    if (this.#failure?.text === this.#reason) parts[2] = undefined;
    return parts.filter((part) => part !== undefined).join('; ');
  }

  /** Returns the last events, oldest first. */
  get events(): readonly string[] {
    return this.#events;
  }

  /** Adds an event that explains the state of the bundle. */
  note(text: string): void {
    this.#reason = text;
    this.#events.push(`${Math.round(this.#clock.nowMs())} ${text}`);
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
  }

  /** The table has moved on by `row`. */
  moved(from: string, to: string, row: string): void {
    this.note(`${from} → ${to} (${row})`);
    this.#reason = stateText(to as Parameters<typeof stateText>[0]);
    // No message reports it, and without an operator it stays like this.
    if (to === 'quarantined') this.#log('warn', this.#reason, { bundle: this.#bundle });
  }

  /** A notice goes to the agent's clients. */
  notified(notice: AgentNotice): void {
    const text = noticeText(notice);
    const isHookError = notice.notice === 'hookFailed';
    // A driver that does not resume is retried every two seconds: the same text is logged once.
    if (!isHookError || this.#hookError !== text)
      this.#log(isHookError ? 'warn' : 'info', text, { bundle: this.#bundle });
    if (isHookError) this.#hookError = text;
    if (notice.notice === 'hookFailed') this.#failure = { hook: notice.hook, text };
    const isSound = notice.notice === 'lent' || notice.notice === 'granted';
    if (isSound || (notice.notice === 'resumed' && this.#failure?.hook === 'resume'))
      this.#failure = undefined;
    if (notice.notice === 'evidenceMismatch') this.#rejection = text;
    if (notice.notice === 'resumed' || notice.notice === 'granted') {
      this.#hookError = undefined;
      this.#rejection = undefined;
    }
    this.note(text);
  }

  /** A request was declined, and why. The owner's users see it too. */
  declined(borrower: VmId, { reason, refusal, detail }: MessageOf<'borrowDeclined'>): void {
    const text = [`declined ${borrower}`, refusal ?? reason, detail].filter(Boolean).join(': ');
    this.#log('info', text, { bundle: this.#bundle });
    this.note(text);
  }
}
