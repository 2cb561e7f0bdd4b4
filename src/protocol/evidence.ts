/**
 * The holder's own check of what the host granted: the one question that stands between a
 * `remapped` and a resume. Pure; used by both agent tables.
 */

import type { AgentConfig } from './agent-io.ts';
import { type BundleDefinition, type Resource, resourcesOf, viewOf } from './bundle.ts';
import { type EvidenceLevel, isEvidenceEnough } from './codes.ts';
import type { Incarnation, VmId } from './ids.ts';
import type { GrantedResource, Proof } from './messages.ts';

/** Stage-2 granule, and the unit of addresses on the wire, in bytes. */
export const PAGE_BYTES = 4096;

/** What a holder was told it holds. */
export interface Told {
  readonly digest: Uint8Array;
  readonly holder?: VmId | undefined;
  readonly incarnation?: Incarnation | undefined;
  readonly proof?: Proof | undefined;
}

/**
 * Returns what is wrong with a grant, in one line, or undefined when it is exactly what `config` expects for
 * this VM in life `incarnation` with at least `evidence`.
 */
export function findMismatch(
  config: AgentConfig,
  incarnation: Incarnation,
  evidence: EvidenceLevel,
  told: Told,
): string | undefined {
  if (!sameBytes(told.digest, config.digest)) return 'bundle definition differs (digest)';
  if (told.holder !== config.self) return `holder is ${told.holder ?? 'nobody'}`;
  if (told.incarnation !== incarnation) return `incarnation ${told.incarnation}, ours is ${incarnation}`;
  if (!told.proof) return 'no proof enclosed';
  if (!isEvidenceEnough(told.proof.evidence, evidence)) {
    return `evidence ${told.proof.evidence}, we ask for ${evidence}`;
  }
  return findResourceMismatch(config.definition, config.self, told.proof.resources);
}

function findResourceMismatch(
  definition: BundleDefinition,
  self: VmId,
  granted: readonly GrantedResource[],
): string | undefined {
  const expected = resourcesOf(definition);
  const byName = new Map(granted.map((entry) => [entry.resource, entry]));
  for (const resource of expected) {
    const entry = byName.get(resource.id);
    if (!entry) return `${resource.id} is missing`;
    const want = grantedForm(resource, self);
    if (entry.kind !== want.kind) return `${resource.id} is ${entry.kind}, expected ${want.kind}`;
    for (const field of ['physical', 'view', 'pages', 'trigger'] as const) {
      if (entry[field] !== want[field])
        return `${resource.id} ${field} ${entry[field]}, expected ${want[field]}`;
    }
  }
  if (granted.length !== expected.length) return `${granted.length} resources, expected ${expected.length}`;
  return undefined;
}

/** Returns the form in which `resource` is told to `vm` (messages.ts), without the entries read back. */
export function grantedForm(resource: Resource, vm: VmId): Omit<GrantedResource, 'before' | 'after'> {
  const unit = resource.kind === 'mmio' ? PAGE_BYTES : 1;
  return {
    resource: resource.id,
    kind: resource.kind,
    physical: resource.physical / unit,
    view: viewOf(resource, vm) / unit,
    pages: resource.kind === 'mmio' ? resource.bytes / PAGE_BYTES : 0,
    trigger: resource.kind === 'interrupt' ? resource.trigger : 'none',
  };
}

/** Returns whether two byte strings are equal. Not constant-time: for public values only. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
