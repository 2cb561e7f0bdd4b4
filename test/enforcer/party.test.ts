/** The party back end over a fake that follows the order of Gunyah's resource manager, with its refusals. */
import { describe, expect, it } from 'vitest';
import { type Party, PartyEnforcer, type PartyNotice } from '../../src/enforcer/party.ts';
import type { EnforcerAnswer, EnforcerCall } from '../../src/enforcer/port.ts';
import { foldAnswers, NO_TALLY, phaseRun } from '../../src/host/remap.ts';
import type { VmId } from '../../src/protocol/ids.ts';
import type { RemapPhase } from '../../src/protocol/index.ts';
import { ANDROID, PANEL, VAULT } from '../../src/simulation/machine/board.ts';

type Kind = PartyNotice['kind'];
const KINDS: readonly Kind[] = ['mmio', 'interrupt', 'stream'];

/** A resource manager: who has each kind of resource, and what it refuses. */
class FakeGunyah {
  readonly state = new Map<Kind, 'owner' | 'offered' | 'accepted'>(KINDS.map((kind) => [kind, 'owner']));
  /** Order in which releases are told. */
  order: readonly Kind[] = KINDS;
  /** Releases that are never told: at a reset the interrupt's owner is not. */
  lost: readonly Kind[] = [];
  #listener: (notice: PartyNotice) => void = () => {};

  party(): Party {
    return {
      lend: (_bundle, _to, done) =>
        this.#turn('owner', 'offered', 'IRQ_INUSE', (result) => done({ ...result, handle: 7 } as never)),
      accept: (_bundle, handle, done) =>
        handle === 7
          ? this.#turn('offered', 'accepted', 'DENIED', done)
          : done({ ok: false, error: 'HANDLE_INVALID' }),
      release: (_bundle, done) => {
        this.#turn('accepted', 'offered', 'DENIED', done);
        for (const kind of this.order) {
          if (!this.lost.includes(kind)) this.#listener({ bundle: PANEL.id, what: 'released', kind });
        }
      },
      reclaim: (_bundle, done) => this.#turn('offered', 'owner', 'MEM_INUSE', done),
      onNotice: (listener) => {
        this.#listener = listener;
      },
    };
  }

  tell(notice: PartyNotice): void {
    this.#listener(notice);
  }

  /** The borrower VM is reset: what it had goes back to offered; its memory is told, its interrupts are not. */
  reset(): void {
    for (const kind of KINDS) this.state.set(kind, 'offered');
    this.#listener({ bundle: PANEL.id, what: 'released', kind: 'mmio' });
  }

  #turn(
    from: string,
    to: 'owner' | 'offered' | 'accepted',
    refusal: string,
    done: (result: { ok: true } | { ok: false; error: string }) => void,
  ): void {
    if (KINDS.some((kind) => this.state.get(kind) !== from)) return done({ ok: false, error: refusal });
    for (const kind of KINDS) this.state.set(kind, to);
    done({ ok: true });
  }
}

function bed() {
  const gunyah = new FakeGunyah();
  const party = gunyah.party();
  const enforcer = new PartyEnforcer({
    name: 'gunyah',
    bundles: [PANEL],
    machineBoot: 'one',
    running: () => [ANDROID, VAULT],
    party: () => party,
  });
  const run = (calls: readonly EnforcerCall[]) => {
    let answers: readonly EnforcerAnswer[] = [];
    enforcer.run(PANEL.id, calls, (got) => {
      answers = got;
    });
    return answers;
  };
  const phase = (name: RemapPhase, to?: VmId) => {
    const asked = phaseRun(PANEL, name, to);
    return foldAnswers(asked, 'observed', run(asked.calls), NO_TALLY).result;
  };
  const remap = (to: VmId) =>
    (['fence', 'settle', 'clean', 'grant'] as const).map((name) => phase(name, to).ok);
  return { gunyah, party, enforcer, phase, remap };
}

describe('the party back end', () => {
  it('declares that it cannot force', () => {
    expect(bed().enforcer.describe()).toMatchObject({ kind: 'party', capabilities: { forceRevoke: false } });
  });

  it('lends by the owner’s call and grants by the borrower’s accept', () => {
    const { enforcer, remap, gunyah, phase } = bed();
    enforcer.expect(PANEL.id, VAULT);
    expect(remap(VAULT)).toEqual([true, true, true, true]);
    expect([...gunyah.state.values()]).toEqual(['accepted', 'accepted', 'accepted']);
    expect(phase('inspect')).toMatchObject({ reach: VAULT });
  });

  it.each([
    ['registers first', ['mmio', 'interrupt', 'stream']],
    ['interrupts first', ['interrupt', 'stream', 'mmio']],
    ['told twice', ['mmio', 'mmio', 'stream', 'interrupt', 'interrupt']],
  ] as const)('joins the notices of a release, %s', (_, order) => {
    const { enforcer, remap, gunyah, party } = bed();
    gunyah.order = order;
    enforcer.expect(PANEL.id, VAULT);
    remap(VAULT);
    party.release(PANEL.id, () => {});
    expect(remap(ANDROID)).toEqual([true, true, true, true]);
    expect([...gunyah.state.values()]).toEqual(['owner', 'owner', 'owner']);
  });

  it('refuses to take from a live borrower', () => {
    const { enforcer, remap, phase, gunyah } = bed();
    enforcer.expect(PANEL.id, VAULT);
    remap(VAULT);
    expect(phase('fence')).toEqual({
      ok: false,
      error: 'vault still has mmio, interrupt, stream; a live borrower cannot be forced',
    });
    expect(phase('grant', ANDROID)).toEqual({ ok: false, error: 'MEM_INUSE' });
    expect([...gunyah.state.values()]).toEqual(['accepted', 'accepted', 'accepted']);
  });

  it('waits while a notice is missing, and not after the borrower VM has exited', () => {
    const { enforcer, remap, phase, gunyah } = bed();
    enforcer.expect(PANEL.id, VAULT);
    remap(VAULT);
    gunyah.reset();
    expect(phase('fence')).toMatchObject({ ok: false });
    enforcer.vmExited(VAULT);
    expect(remap(ANDROID)).toEqual([true, true, true, true]);
  });

  it('takes no notice of an accept for a release', () => {
    const { enforcer, remap, phase, gunyah } = bed();
    enforcer.expect(PANEL.id, VAULT);
    remap(VAULT);
    for (const kind of KINDS) gunyah.tell({ bundle: PANEL.id, what: 'accepted', kind });
    expect(phase('fence')).toMatchObject({ ok: false });
    expect(phase('inspect')).toMatchObject({ reach: VAULT });
  });

  it('does not grant what was not offered', () => {
    const { phase } = bed();
    expect(phase('grant', VAULT)).toEqual({ ok: false, error: 'the bundle was not offered to vault' });
  });
});
