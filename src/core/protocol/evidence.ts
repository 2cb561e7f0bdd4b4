/**
 * The holder's own check of what the host granted: the one question that stands between a
 * `remapped` and a resume. Pure; used by both agent tables.
 */

import { type BundleDefinition, type Resource, resourcesOf, viewOf } from './bundle.ts';
import { type EvidenceLevel, isEvidenceEnough } from './codes.ts';
import type { Incarnation, VmId } from './ids.ts';
import type { GrantedResource, Proof } from './messages.ts';

/** What an agent knows about one bundle from its configuration. */
export interface AgentConfig {
  /** The VM the agent speaks for. */
  readonly self: VmId;
  readonly definition: BundleDefinition;
  /** SHA-256 of the definition. */
  readonly digest: Uint8Array;
  /** What this VM must be granted, by its own device tree; absent: by the definition. */
  readonly expected?: readonly GrantedForm[] | undefined;
}

/** Stage-2 granule, and the unit of addresses on the wire, in bytes. */
export const PAGE_BYTES = 4096;

/** What a report of a grant says that this VM holds. */
export interface ReportedGrant {
  readonly digest: Uint8Array;
  readonly holder?: VmId | undefined;
  readonly incarnation?: Incarnation | undefined;
  readonly proof?: Proof | undefined;
}

/**
 * Returns what is wrong with a grant, in one line, or undefined when it is exactly what `config` expects for
 * this VM in incarnation `incarnation` with at least `evidence`.
 */
export function findMismatch(
  config: AgentConfig,
  incarnation: Incarnation,
  evidence: EvidenceLevel,
  report: ReportedGrant,
): string | undefined {
  if (!sameBytes(report.digest, config.digest)) return 'bundle definition differs (digest)';
  if (report.holder !== config.self) return `holder is ${report.holder ?? 'nobody'}`;
  if (report.incarnation !== incarnation) return `incarnation ${report.incarnation}, ours is ${incarnation}`;
  if (!report.proof) return 'no proof enclosed';
  if (!isEvidenceEnough(report.proof.evidence, evidence)) {
    return `evidence ${report.proof.evidence}, we ask for ${evidence}`;
  }
  const expected = config.expected ?? expectedByDefinition(config.definition, config.self);
  return findResourceMismatch(expected, report.proof.resources);
}

/** One resource as it must be granted, whatever its table entries are. */
export type GrantedForm = Omit<GrantedResource, 'before' | 'after'>;

/** Returns what `vm` must be granted, entry by entry, when its definition is all that it knows. */
export function expectedByDefinition(definition: BundleDefinition, vm: VmId): readonly GrantedForm[] {
  return resourcesOf(definition).map((resource) => grantedForm(resource, vm));
}

/** Fields that are addresses, as page numbers: told to people in bytes. */
const PAGE_FIELDS: readonly string[] = ['smmu', 'physical', 'view'];

/** Returns how `granted` differs from what is expected, entry by entry, in one line; undefined when it does not. */
export function findResourceMismatch(
  expected: readonly GrantedForm[],
  granted: readonly GrantedForm[],
): string | undefined {
  const byName = new Map(granted.map((entry) => [entry.resource, entry]));
  for (const want of expected) {
    const entry = byName.get(want.resource);
    if (!entry) return `${want.resource} is missing`;
    if (entry.kind !== want.kind) return `${want.resource} is ${entry.kind}, expected ${want.kind}`;
    for (const field of ['physical', 'view', 'pages', 'trigger', 'smmu', 'mask'] as const) {
      if (entry[field] === want[field]) continue;
      const isAddress = PAGE_FIELDS.includes(field) && (want.kind === 'mmio' || field === 'smmu');
      const say = (value: number | string | undefined) =>
        isAddress && typeof value === 'number'
          ? `0x${(value * PAGE_BYTES).toString(16)}`
          : String(value ?? 'none');
      return `${want.resource} ${field} ${say(entry[field])}, expected ${say(want[field])}`;
    }
  }
  const names = new Set(expected.map(({ resource }) => resource));
  const more = granted.find(({ resource }) => !names.has(resource));
  if (more) return `${more.resource} is not expected`;
  if (granted.length !== expected.length) return `${granted.length} resources, expected ${expected.length}`;
  return undefined;
}

/** Returns the form in which `resource` is told to `vm` (messages.ts), without the entries read back. */
export function grantedForm(resource: Resource, vm: VmId): GrantedForm {
  const unit = resource.kind === 'mmio' ? PAGE_BYTES : 1;
  return {
    resource: resource.id,
    kind: resource.kind,
    physical: resource.physical / unit,
    view: viewOf(resource, vm) / unit,
    pages: resource.kind === 'mmio' ? resource.bytes / PAGE_BYTES : 0,
    trigger: resource.kind === 'interrupt' ? resource.trigger : 'none',
    ...(resource.kind === 'stream' && resource.smmu !== undefined
      ? { smmu: resource.smmu / PAGE_BYTES }
      : {}),
    ...(resource.kind === 'stream' && resource.mask ? { mask: resource.mask } : {}),
  };
}

/** Returns whether two byte strings are equal. Not constant-time: for public values only. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
