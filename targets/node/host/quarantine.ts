/** Logs which bundles are in quarantine when a host starts, and how to lift them. */

import { fullReason } from '../../../src/cli/words.ts';
import type { HostView } from '../../../src/core/host/host-view.ts';
import type { Log } from '../../../src/ports/world.ts';

/** Warns about each bundle in quarantine. `control`: path of the host's control socket. */
export function warnQuarantined(views: readonly HostView[], control: string, log: Log): void {
  for (const view of views) {
    const { bundle, state } = view;
    if (state !== 'quarantined') continue;
    const reason = fullReason({ ...view });
    const order = `baton lift ${bundle} --socket ${control}`;
    log('warn', `${bundle} is in quarantine: ${reason}; nobody gets it until an operator runs ${order}`);
  }
}
