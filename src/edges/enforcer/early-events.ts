/** Events of a platform before there is a listener: a VM may start or end while the host is still starting. Pure. */

import type { VmId } from '../../core/protocol/ids.ts';
import type { EnforcerEvent } from '../../ports/enforcer.ts';

/** Answer to a waiting order that was replaced by a newer one with the same subject. */
export const OVERTAKEN = 'replaced by a newer order: the enforcer has not answered an earlier one';

/** Most VMs with stored events: more than a machine has. */
const VMS_MAX = 256;

/** Stores events, bounded: of each VM only its last end and its last start. */
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

  /** Returns the stored events, those of one VM in their order, and clears them. */
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
