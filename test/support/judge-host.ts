/**
 * Holds the host to what it says and records of its bundles: `parked`, and quarantined as isolated, mean that nobody
 * reaches anything of it, from that moment to the next grant.
 */

import type { Checker } from '../../targets/lab/machine/checker.ts';
import type { UnisolatedWorld } from './unisolated-world.ts';

/** What of a bundle's record matters here. */
interface Recorded {
  readonly bundle?: string;
  readonly state?: { readonly name: string; readonly quarantine?: { readonly isolated: boolean } };
}

/** Watches every host that `world` starts from now on. */
export function judgeHost(world: UnisolatedWorld, checker: Checker): void {
  const said = (bundle: string, { name, quarantine }: NonNullable<Recorded['state']>, how: string) => {
    const isFree = name === 'parked' || (name === 'quarantined' && quarantine?.isolated === true);
    checker.claim(bundle, isFree ? `${how} ${name}` : undefined);
  };
  world.journal.onRecord = (record) => {
    const { bundle, state } = JSON.parse(new TextDecoder().decode(record)) as Recorded;
    if (bundle !== undefined && state !== undefined) said(bundle, state, 'recorded as');
  };
  world.onHost = (host) =>
    host.on('changed', (bundle) => said(bundle, { name: host.view(bundle)!.state }, 'said to be'));
}
