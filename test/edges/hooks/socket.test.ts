import { describe, expect, it } from 'vitest';
import { FakeServer } from './fake-world.ts';
import { Rig } from './support.ts';

const SOCKET = { kind: 'socket', path: '/run/touch.sock', limitMs: 100 } as const;

function rigWith(server: FakeServer): Rig {
  const rig = new Rig({ touch: { suspend: [SOCKET] } });
  rig.world.servers.set('/run/touch.sock', server);
  return rig;
}

describe('a socket hook', () => {
  it('says what is wanted, and keeps the connection between runs', async () => {
    const server = new FakeServer(() => ({ ok: true }));
    const rig = rigWith(server);
    expect(await rig.run('suspend')).toEqual({ ok: true });
    expect(await rig.run('resume')).toEqual({ ok: true });
    const names = { bundle: 'panel', device: 'touch', step: 'socket', epoch: 7 };
    expect(server.requests).toEqual([
      { id: 1, hook: 'suspend', ...names },
      { id: 2, hook: 'resume', ...names },
    ]);
    expect(server.connections).toBe(1);
  });

  it('connects anew to a program that was restarted', async () => {
    const server = new FakeServer(() => ({ ok: true }));
    const rig = rigWith(server);
    await rig.run('suspend');
    server.restart();
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(server.connections).toBe(2);
  });

  it('asks once more when a kept connection breaks before the answer', async () => {
    const server = new FakeServer(() => (server.requests.length === 2 ? 'break' : { ok: true }));
    const rig = rigWith(server);
    await rig.run('suspend');
    expect(await rig.run('resume')).toEqual({ ok: true });
    expect(server.requests.map(({ hook }) => hook)).toEqual(['suspend', 'resume', 'resume']);
  });

  it('does not ask for ever: a new connection that breaks is a failure', async () => {
    const server = new FakeServer(({ hook }) => (hook === 'suspend' ? 'break' : { ok: true }));
    const rig = rigWith(server);
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'failed',
      error: 'touch/socket: /run/touch.sock: connection closed before the answer',
    });
    // It may have acted, so it was undone.
    expect(server.requests.map(({ hook }) => hook)).toEqual(['suspend', 'resume']);
  });

  it('that hangs is abandoned with its connection; the undo goes over a new one', async () => {
    const server = new FakeServer(({ hook }) => (hook === 'suspend' ? undefined : { ok: true }));
    const rig = rigWith(server);
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'unknown',
      error: 'touch/socket: /run/touch.sock: no answer within 100 ms',
    });
    expect(server.connections).toBe(2);
    expect(server.requests.at(-1)).toMatchObject({ hook: 'resume' });
  });

  it('that is refused has done nothing', async () => {
    const server = new FakeServer(() => ({ ok: false, error: 'finger down' }));
    const rig = rigWith(server);
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'failed',
      error: 'touch/socket: /run/touch.sock: finger down',
    });
    expect(server.requests).toHaveLength(1);
  });

  it('without a program is a clear failure', async () => {
    const rig = new Rig({ touch: { suspend: [SOCKET] } });
    expect(await rig.run('suspend')).toEqual({
      ok: false,
      outcome: 'failed',
      error: 'touch/socket: unix:/run/touch.sock: ECONNREFUSED',
    });
  });

  it('tells by itself what the driver does', async () => {
    const rig = rigWith(new FakeServer(() => ({ ok: true, status: 'active' })));
    expect(await rig.inspect()).toBe('active');
  });

  it('whose program says nothing about it leaves that unknown', async () => {
    const rig = rigWith(new FakeServer(() => ({ ok: true })));
    expect(await rig.inspect()).toBe('unknown');
  });
});
