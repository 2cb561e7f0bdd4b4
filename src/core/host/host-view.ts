/** What the host shows: the view of a bundle for `status` and `describe`, and refused accesses as text. Pure. */

import type { FaultRecord } from '../../ports/enforcer.ts';
import type { EvidenceLevel } from '../protocol/codes.ts';
import { PAGE_BYTES } from '../protocol/evidence.ts';
import { type BundleId, type ResourceId, UINT32_MAX, type VmId } from '../protocol/ids.ts';
import { isLater, isLaterCommand, type LaterMessage, NOT_SUPPORTED } from '../protocol/later.ts';
import { MESSAGES, type Message, type MessageOf } from '../protocol/messages.ts';
import type { Attributed } from './attribution.ts';
import { leaseLeft } from './host-attempt.ts';
import type { HostConfig, HostState, Rejection, RemapPhase } from './host-state.ts';

/** Duration of each phase of the last remap, in ms of the host's clock. */
export type PhaseTimes = Readonly<Partial<Record<RemapPhase, number>>>;

/** A bundle as the host sees it. */
export interface HostView {
  readonly bundle: BundleId;
  readonly state: string;
  readonly holder: VmId | null;
  readonly incarnation: number | null;
  readonly epoch: number;
  readonly leaseLeftMs: number | null;
  readonly reason: string;
  /** VMs that rejected the evidence, and why. Borrowers among them are barred until a lift. */
  readonly rejections: readonly Rejection[];
  readonly confirmed: boolean;
  readonly evidence: string;
  readonly owner: VmId;
  readonly faults: number;
  readonly phases: PhaseTimes;
  readonly events: readonly string[];
  /** Agents with a different definition under this name. */
  readonly definitionDiffersFrom: readonly VmId[];
}

/** The host's own part of the view. */
export interface HostFacts {
  /** Running VMs and their incarnations. */
  readonly vms: Readonly<Record<string, number>>;
  /** Hash of the last line of the audit log. */
  readonly auditHash: string;
  /** What cannot be written, and why. */
  readonly writeFault: string | null;
  /**
   * The last time that this process was stopped while its machine ran: for how long, and how long ago that ended, in
   * ms.
   */
  readonly stopped: { readonly forMs: number; readonly agoMs: number } | null;
}

/** Inputs of a view besides the state. */
export interface ViewParts {
  readonly config: HostConfig;
  /** The last event. */
  readonly reason: string;
  readonly faults: number;
  readonly phases: PhaseTimes;
  readonly events: readonly string[];
  /** Error of the last failed phase; undefined when the last remap succeeded. */
  readonly failure?: string | undefined;
  readonly differs?: readonly VmId[];
}

/** Returns the view of a bundle. */
export function hostView({ config, ...parts }: ViewParts, state: HostState, nowMs: number): HostView {
  const { holder, attempt, quarantine, rejections } = state;
  return {
    bundle: config.bundle,
    state: state.name,
    holder: holder?.vm ?? null,
    incarnation: holder?.incarnation ?? null,
    epoch: holder?.epoch ?? attempt?.epoch ?? state.lastEpoch,
    leaseLeftMs: holder?.lease ? leaseLeft(state, nowMs) : null,
    reason: [
      quarantine
        ? `${quarantine.cause}, ` +
          `${isolationText(config.evidence, quarantine.isolated)}${parts.failure ? `: ${parts.failure}` : ''}`
        : parts.reason,
      ...rejections.map(({ vm, what }) => `${vm} rejected it: ${what}`),
    ].join('; '),
    rejections,
    confirmed: holder?.confirmed ?? false,
    evidence: config.evidence,
    owner: config.owner,
    faults: parts.faults,
    phases: { ...parts.phases },
    events: [...parts.events],
    definitionDiffersFrom: parts.differs ?? [],
  };
}

/** An enforcer that isolates nothing proves nothing, whatever its calls returned. */
function isolationText(evidence: EvidenceLevel, isolated: boolean): string {
  if (evidence === 'none') return 'nothing is isolated';
  return `isolation ${isolated ? 'proved' : 'unproved'}`;
}

/** Returns the text for a refused access, in one line. */
export function faultText({ fault, offender, epoch }: Attributed, count: number): string {
  const who = offender ? `${offender.vm} (incarnation ${offender.incarnation})` : 'unattributed';
  const access = `${fault.write ? 'write' : 'read'} at 0x${fault.address.toString(16)}`;
  const what = namesAccess(fault.event) ? access : 'access';
  const where = fault.resource ?? `stream ${fault.stream}`;
  return `${fault.event}: ${who} ${what}, ${where}, by ${fault.by}, epoch ${epoch}, ${count} times`;
}

/** Returns the report of a refused access to the parties. */
export function faultMessage(
  bundle: BundleId,
  { fault, offender, epoch }: Attributed,
  resource: ResourceId,
  count: number,
): MessageOf<'faultReported'> {
  const isNamed = namesAccess(fault.event);
  return {
    kind: 'faultReported',
    bundle,
    epoch,
    resource,
    by: fault.by,
    ...(isNamed ? { write: fault.write } : {}),
    ...(offender ? { vm: offender.vm, incarnation: offender.incarnation } : {}),
    ...(isNamed ? { page: Math.floor(fault.address / PAGE_BYTES) >>> 0 } : {}),
    count: Math.min(count, UINT32_MAX),
  };
}

/** Returns the fields of a fault for the log. */
export function faultFields(fault: FaultRecord) {
  return { event: fault.event, by: fault.by, vm: fault.vm, stream: fault.stream, address: fault.address };
}

/** Returns why the host cannot process a message in any state, and the answer to it; empty when it can. */
export function whyUnfit(
  message: Extract<Message, { bundle: BundleId }>,
  state: HostState | undefined,
): { readonly why?: string; readonly answer?: Message | undefined } {
  if (!state)
    return { why: `no bundle ${message.bundle} is configured`, answer: unknownBundleRefusal(message) };
  return isLater(message) ? { why: NOT_SUPPORTED, answer: refuseLater(message, state) } : {};
}

/** Returns the host's answer to a message that is not supported yet; undefined unless it is a command to the host. */
function refuseLater(
  message: LaterMessage,
  { holder, attempt, lastEpoch }: HostState,
): MessageOf<'refused'> | undefined {
  if (!isLaterCommand(message)) return undefined;
  const { bundle, epoch, kind, requestId } = message;
  const currentEpoch = holder?.epoch ?? attempt?.epoch ?? lastEpoch;
  const who = holder === undefined ? {} : { holder: holder.vm };
  const command = MESSAGES[kind].number;
  return { kind: 'refused', bundle, epoch, command, code: 'notSupported', currentEpoch, ...who, requestId };
}

/** Returns the answer to a command for a bundle that is not configured; undefined when it is no command. */
export function unknownBundleRefusal(message: Extract<Message, { bundle: BundleId }>): Message | undefined {
  if (!('epoch' in message) || message.kind === 'queryState') return undefined;
  const { bundle, epoch, kind } = message;
  const command = MESSAGES[kind].number;
  // Without it the owner would match the answer to an earlier request.
  const request = 'requestId' in message ? { requestId: message.requestId } : {};
  return { kind: 'refused', bundle, epoch, command, code: 'unknownBundle', currentEpoch: epoch, ...request };
}

/**
 * Returns whether the hardware describes the refused access. An SMMU's record of a faulty configuration (such as
 * `C_BAD_STE`) names only the stream: Arm IHI 0070, 7.3.
 */
export function namesAccess(event: string): boolean {
  return !event.startsWith('C_');
}

/** Returns the running VMs that take part in a bundle now. */
export function partiesOf(state: HostState, owner: VmId): VmId[] {
  const { holder, reservation, attempt, running, lastBorrower } = state;
  const vms = [owner, holder?.vm, reservation?.borrower.vm, attempt?.to?.vm, lastBorrower?.vm];
  return vms.filter((vm): vm is VmId => vm !== undefined && running[vm] !== undefined);
}
