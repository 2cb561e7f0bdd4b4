/**
 * The enforcer `trusted-touch`: the guests' own drivers lend and accept (src/edges/hooks/kinds/trusted-touch), and
 * the host provides clock, queue and log.
 *
 * It switches nothing and can force nothing. The holder is what the agents report: the owner lends after its driver
 * has, the borrower confirms after its driver accepted. So the evidence is `asserted`. The hypervisor ensures that
 * two VMs never reach the device: it refuses an accept without a lend, and a reclaim from a live borrower.
 *
 * Its records survive the service, since nothing else knows the holders after a restart.
 */

import type { BundleDefinition } from '../../../../core/protocol/bundle.ts';
import type { BundleId, VmId } from '../../../../core/protocol/ids.ts';
import type {
  Enforcer,
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
  FaultRecord,
} from '../../../../ports/enforcer.ts';
import type { Log } from '../../../../ports/world.ts';
import type { NoteStore } from '../../kind.ts';
import { Notebook } from '../../notebook.ts';

/** The enforcer that knows the running VMs: `none` with those of the configuration, or `command` with its program. */
export type VmIncarnations = Pick<
  Enforcer,
  'machineBoot' | 'running' | 'acknowledgeStart' | 'acknowledgeExit' | 'onEvent' | 'close'
>;

export interface TrustedTouchParts {
  readonly bundles: readonly BundleDefinition[];
  readonly incarnations: VmIncarnations;
  readonly store: NoteStore;
  readonly log: Log;
}

export class TrustedTouchEnforcer implements Enforcer {
  readonly #parts: TrustedTouchParts;
  readonly #notebook: Notebook;
  #saved: string;

  constructor(parts: TrustedTouchParts) {
    this.#parts = parts;
    const notes = parts.store.load(parts.incarnations.machineBoot());
    this.#notebook = new Notebook(parts.bundles, 'unknown', notes);
    this.#saved = JSON.stringify(this.#notebook.notes());
  }

  describe(): EnforcerDescription {
    return {
      name: 'trusted-touch',
      kind: 'party',
      evidence: 'asserted',
      capabilities: {
        forceRevoke: false,
        reset: false,
        faultReport: false,
      },
    };
  }

  machineBoot(): string {
    return this.#parts.incarnations.machineBoot();
  }

  running(): readonly VmId[] {
    return this.#parts.incarnations.running();
  }

  run(
    bundle: BundleId,
    calls: readonly EnforcerCall[],
    done: (answers: readonly EnforcerAnswer[]) => void,
  ): void {
    const answers: EnforcerAnswer[] = [];
    for (const call of calls) {
      const answer = this.#notebook.note(bundle, call, this.running());
      answers.push(answer);
      if (!answer.ok) break;
    }
    this.#save();
    done(answers);
  }

  faults(): readonly FaultRecord[] {
    return [];
  }

  acknowledgeStart(vm: VmId): void {
    this.#parts.incarnations.acknowledgeStart(vm);
  }

  acknowledgeExit(vm: VmId): void {
    this.#parts.incarnations.acknowledgeExit(vm);
  }

  onEvent(listener: (event: EnforcerEvent) => void): void {
    this.#parts.incarnations.onEvent(listener);
  }

  close(): void {
    this.#parts.incarnations.close();
  }

  /** A full disk does not prevent a return: after a restart its holder is then unknown, and it is fenced again. */
  #save(): void {
    const notes = this.#notebook.notes();
    const text = JSON.stringify(notes);
    if (text === this.#saved) return;
    try {
      this.#parts.store.save(this.machineBoot(), notes);
      this.#saved = text;
    } catch (error) {
      this.#saved = '';
      this.#parts.log('error', 'the holders cannot be recorded', { error: (error as Error).message });
    }
  }
}
