/** Events of a platform that come before anybody listens: a VM may start or end while the host is still being made. */

import type { VmId } from '../../core/protocol/ids.ts';
import type { EnforcerEvent } from '../../ports/enforcer.ts';

/** Answer to an order that waited when a newer one about the same came. */
export const OVERTAKEN = 'overtaken: the enforcer has not answered the order before it';

/** VMs of which events are kept: more than a machine has. */
const VMS_MAX = 256;

/** Keeps events, bounded: of each VM its last end and its last start, which is all that counts. */
export class EarlyEvents {
  readonly #ofVms = new Map<VmId, EnforcerEvent[]>();
  #lost: EnforcerEvent | undefined;
  #faultsPending = false;

  add(event: EnforcerEvent): void {
    if (event.kind === 'faultsPending') this.#faultsPending = true;
    else if (event.kind === 'lost') this.#lost ??= event;
    else if (this.#ofVms.size >= VMS_MAX && !this.#ofVms.has(event.vm))
      this.#lost ??= { kind: 'lost', error: `events of more than ${VMS_MAX} VMs before anybody listened` };
    else {
      const before = (this.#ofVms.get(event.vm) ?? []).filter(({ kind }) => kind !== event.kind);
      this.#ofVms.set(event.vm, [...before, event]);
    }
  }

  /** Returns what was kept, those of one VM in their order, and forgets it. */
  take(): EnforcerEvent[] {
    const events = [...this.#ofVms.values()].flat();
    if (this.#faultsPending) events.push({ kind: 'faultsPending' });
    if (this.#lost) events.push(this.#lost);
    this.#ofVms.clear();
    this.#lost = undefined;
    this.#faultsPending = false;
    return events;
  }
}
