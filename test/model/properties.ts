/** The properties that are checked at every step and in every state, and what a call does to the machine. */

import type { BorrowerState } from '../../src/core/agent/borrower-state.ts';
import type { OwnerState } from '../../src/core/agent/owner-state.ts';
import type { HostFact } from '../../src/core/host/host-facts.ts';
import type { HostState, VmIncarnation } from '../../src/core/host/host-state.ts';
import type { Epoch, VmId } from '../../src/core/protocol/ids.ts';
import type { EnforcerCall } from '../../src/ports/enforcer.ts';
import { type AgentName, RESOURCES, VM_OF } from './settings.ts';
import type { World } from './world.ts';

/** A property that does not hold. */
export class Violation extends Error {}

/** Who can reach a resource: as the tables say, and as caches still allow. */
export interface Reachable {
  readonly now: VmId | undefined;
  readonly stale: VmId | undefined;
}

/** S2: a resume only at the epoch that made this incarnation the holder. */
export function checkResume(world: World, name: AgentName, epoch: Epoch): void {
  const me = `${VM_OF[name]}#${world.incarnations[VM_OF[name]]}`;
  const granted = world.ghost.grants[epoch];
  if (granted !== me)
    throw new Violation(`S2: ${name} resumes at epoch ${epoch}, which made ${granted ?? 'nobody'} holder`);
}

/** S2 and S5, as far as the agent itself shows. */
export function checkResumed(name: AgentName, state: OwnerState | BorrowerState, epoch: Epoch): void {
  if (epoch < state.epoch) throw new Violation(`S2: ${name} resumes at ${epoch}, it has seen ${state.epoch}`);
  if (!('terms' in state)) return;
  const { granted, terms } = state;
  // The model's clock stands still, so the lease that is left is the one consented to.
  if (granted !== undefined && granted.leaseMs !== terms?.leaseMs)
    throw new Violation(`S5: b resumes for ${granted.leaseMs} ms, its user asked for ${terms?.leaseMs}`);
}

/** S4 and S5 at each step of the host. `before`: undefined when it starts. */
export function checkHostStep(
  world: World,
  before: HostState | undefined,
  after: HostState,
  fact: HostFact,
): void {
  if (before && after.epoch < before.epoch)
    throw new Violation(`S4: epoch fell from ${before.epoch} to ${after.epoch}`);
  const known = before === undefined || before.name === 'starting' ? world.ghost.epoch : before.epoch;
  if (after.epoch > known && after.epoch <= world.ghost.epoch)
    throw new Violation(`S4: epoch ${after.epoch} was allocated before`);
  if (after.epoch > world.disk.bounds.epochs)
    throw new Violation(`S4: epoch ${after.epoch} is beyond what is durable`);
  // R86: a rejection that turns into a release bars nobody.
  const message = fact.on === 'message' ? fact.message : undefined;
  if (message?.kind === 'release' && message.epoch === world.ghost.rejected)
    throw new Violation('R86: a borrower releases the grant that it rejected');
  const { reservation, attempt } = after;
  const isRead = before === undefined || before.name === 'starting';
  if (!isRead && reservation && reservation.epoch !== before.reservation?.epoch) {
    const claims = fact.on === 'message' ? fact.claims : undefined;
    if (message?.kind !== 'prepare' || !claims) throw new Violation('S5: a reservation without a consent');
    const isOfBoot = claims.hostTime[0] === 0;
    const fits =
      claims.epoch === before?.holder?.epoch &&
      isOfBoot &&
      claims.incarnation === world.incarnations[message.borrower];
    if (!fits) throw new Violation('S5: a reservation on a stale consent');
  }
  const [renewed, lease] = [after.holder?.lease, before?.holder?.lease];
  if (!isRead && renewed && lease && renewed.renewal !== lease.renewal) checkRenewal(world, before, fact);
  if (!isRead && attempt?.terms && !before.attempt && attempt.cause === 'lend')
    if (before.reservation?.epoch !== attempt.epoch)
      throw new Violation('S5: a lend without its reservation');
}

/** S5 and M8: a lease is renewed on a consent to the next renewal at its epoch, and never once a return has begun. */
function checkRenewal(world: World, { holder }: HostState, fact: HostFact): void {
  const claims = fact.on === 'message' && fact.message.kind === 'renewLease' ? fact.claims : undefined;
  if (!claims) throw new Violation('S5: a renewal without a consent');
  const isOurs = claims.epoch === holder!.epoch && claims.incarnation === world.incarnations[holder!.vm];
  if (!isOurs || claims.use !== 'renew' || claims.renewal !== holder!.lease!.renewal + 1)
    throw new Violation('S5: a renewal on a consent to something else');
  if (holder!.ending) throw new Violation('M8: a renewal of a lease whose return has begun');
}

/** S1 and S3: at a grant, no other VM reaches anything of the bundle. */
export function checkGrant(machine: readonly Reachable[], vm: VmId): void {
  const other = machine.some(
    (r) => (r.now !== undefined && r.now !== vm) || (r.stale !== undefined && r.stale !== vm),
  );
  if (other) throw new Violation(`S3: granted to ${vm} while another VM still reaches the bundle`);
}

/** S7: in every stable state all resources have the same holder, or none. */
export function checkStable(world: World): void {
  const { host, machine, job } = world;
  if (!host || job) return;
  const reach = new Set(machine.map((r) => r.now ?? r.stale));
  if (host.name === 'held' && (reach.size !== 1 || !reach.has(host.holder!.vm)))
    throw new Violation('S7: held, but not by one VM');
  if (host.name === 'parked' && (reach.size !== 1 || !reach.has(undefined)))
    throw new Violation('S7: parked, but reachable');
  if (
    host.name === 'quarantined' &&
    host.quarantine!.isolated &&
    (reach.size !== 1 || !reach.has(undefined))
  ) {
    throw new Violation('S7: quarantined as isolated, but reachable');
  }
  for (const life of [host.holder] as (VmIncarnation | undefined)[]) {
    if (life && world.incarnations[life.vm]! < life.incarnation)
      throw new Violation('a life from the future holds');
  }
}

const at = (call: Extract<EnforcerCall, { resource: unknown }>) => RESOURCES.indexOf(call.resource);

/** What a call changes. */
export function applyCall(machine: readonly Reachable[], call: EnforcerCall): readonly Reachable[] {
  switch (call.op) {
    case 'fence':
      return machine.map((r, i) => (i === at(call) ? { now: undefined, stale: r.now ?? r.stale } : r));
    case 'settle':
      return machine.map((r) => ({ now: r.now, stale: undefined }));
    case 'grant':
      return machine.map((r, i) => (i === at(call) ? { now: call.vm, stale: r.stale } : r));
    default:
      return machine;
  }
}

/** What a call is answered. */
export function answer(machine: readonly Reachable[], call: EnforcerCall) {
  if (call.op !== 'inspect') return { ok: true, syncs: 0 } as const;
  const r = machine[at(call)]!;
  return { ok: true, reach: r.now ?? r.stale ?? ('blocked' as const) } as const;
}
