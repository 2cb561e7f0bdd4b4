import { describe, expect, it } from 'vitest';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { TERMS, UnisolatedWorld } from '../../support/unisolated-world.ts';

function hostAlone() {
  const vms = [ANDROID, VAULT];
  const made = new UnisolatedWorld(
    vms,
    [PANEL],
    () => new NoneEnforcer({ bundles: [PANEL], vms, machineBoot: 'one' }),
  );
  made.startHost();
  return made;
}

function world() {
  const made = hostAlone();
  made.startAgent(ANDROID, 'active');
  made.startAgent(VAULT, 'suspended');
  made.clock.advance(1_500);
  return made;
}

describe('two agents and a host over the memory network', () => {
  it('lend the bundle and take it back', () => {
    const made = world();
    made.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    made.clock.advance(100);
    expect(made.host.views()[0]).toMatchObject({ holder: 'vault', state: 'held', confirmed: true });
    expect(made.told(VAULT)).toEqual(['granted']);
    made.agents.get(VAULT)!.giveBack(PANEL.id);
    made.clock.advance(100);
    expect(made.host.views()[0]).toMatchObject({ holder: 'android', state: 'held', confirmed: true });
    expect(made.told(VAULT)).toEqual(['granted', 'returned']);
    expect(made.drivers.get(ANDROID)!.status).toBe('active');
    expect(made.drivers.get(VAULT)!.status).toBe('suspended');
  });
});

describe('an agent whose journal cannot be written', () => {
  const FULL = 'ENOSPC: no space left on device';

  it('lends, resumes and gives back all the same, and says so', () => {
    const made = world();
    made.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    made.clock.advance(100);
    expect(made.drivers.get(ANDROID)!.status).toBe('suspended');
    for (const journal of made.journals.values()) journal.broken = FULL;
    made.agents.get(VAULT)!.giveBack(PANEL.id);
    made.clock.advance(100);
    expect(made.host.views()[0]).toMatchObject({ holder: 'android', state: 'held', confirmed: true });
    expect(made.drivers.get(ANDROID)!.status).toBe('active');
    expect(made.drivers.get(VAULT)!.status).toBe('suspended');
    for (const vm of [ANDROID, VAULT])
      expect(made.logs.filter((line) => line.includes(`${vm} error: ${FULL}`))).toHaveLength(1);
    made.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    made.clock.advance(100);
    expect(made.host.views()[0]).toMatchObject({ holder: 'vault', state: 'held', confirmed: true });
  });
});

describe('an owner whose hook fails', () => {
  it('tells the borrower the device and the step, not what the step said', () => {
    const made = hostAlone();
    const step = `inhibit${'x'.repeat(200)}`;
    made.startAgent(ANDROID, 'active', made.everybody(), {
      run: (_bundle, hook, _epoch, done) =>
        hook === 'suspend'
          ? done({
              ok: false,
              outcome: 'failed',
              error: `touch/${step}: EACCES /opt/x`,
              where: `device touch, step ${step}`,
            })
          : done({ ok: true }),
      inspect: (_bundle, done) => done('active'),
    });
    made.startAgent(VAULT, 'suspended');
    made.clock.advance(1_500);
    made.agents.get(VAULT)!.borrow(PANEL.id, TERMS);
    made.clock.advance(100);
    const notice = made.notices.find((entry) => entry.vm === VAULT)!.notice;
    expect(notice).toMatchObject({ notice: 'declined', reason: 'hookFailed', retryAfterMs: 3_000 });
    expect((notice as { detail?: string }).detail).toMatch(/^device touch, step inhibitx+…?$/);
    expect(made.agents.get(ANDROID)!.view(PANEL.id).reason).toContain('EACCES /opt/x');
  });
});
