/**
 * The holder's check of the evidence for a grant. A holder resumes only after it. Pure; used by both agent tables.
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
  /** The grant that this VM expects, from its own device tree; absent: by the definition. */
  readonly expected?: readonly GrantedForm[] | undefined;
}

/** Stage-2 granule, and the unit of addresses on the wire, in bytes. */
export const PAGE_BYTES = 4096;

/** A grant to this VM, as reported. */
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

/** One expected resource, without its table entries. */
export type GrantedForm = Omit<GrantedResource, 'before' | 'after'>;

/** Returns the expected grant to `vm`, entry by entry, by its definition alone. */
export function expectedByDefinition(definition: BundleDefinition, vm: VmId): readonly GrantedForm[] {
  return resourcesOf(definition).map((resource) => grantedForm(resource, vm));
}

/** Fields that are page numbers of addresses. Messages show them in bytes. */
const PAGE_FIELDS: readonly string[] = ['smmu', 'physical', 'view'];

/** Returns how `granted` differs from the expected grant, entry by entry, in one line; undefined when it does not. */
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

/** Returns the form of `resource` in a report to `vm` (messages.ts), without the table entries. */
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
