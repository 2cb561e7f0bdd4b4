/** Messages that are specified and not carried out yet: refused by name, whoever they go to, and without effect. */

import { beforeEach, describe, expect, it } from 'vitest';
import { HOST, type VmId } from '../../../src/core/protocol/ids.ts';
import { LATER_KINDS } from '../../../src/core/protocol/later.ts';
import { MESSAGES, type Message } from '../../../src/core/protocol/messages.ts';
import { NoneEnforcer } from '../../../src/edges/enforcer/kinds/none/none-enforcer.ts';
import { ANDROID, PANEL, VAULT } from '../../../targets/lab/machine/board.ts';
import { smallest } from '../../core/wire/samples.ts';
import { UnisolatedWorld } from '../../support/unisolated-world.ts';

const COMMANDS = ['lendNext', 'cancelNext'];

let world: UnisolatedWorld;
beforeEach(() => {
  world = new UnisolatedWorld(
    [ANDROID, VAULT],
    [PANEL],
    () => new NoneEnforcer({ bundles: [PANEL], vms: [ANDROID, VAULT], machineBoot: '1' }),
  );
  world.startHost();
  world.startAgent(ANDROID, 'active');
  world.startAgent(VAULT, 'suspended');
  world.clock.advance(1_500);
});

const later = (kind: string) =>
  ({
    ...smallest(MESSAGES[kind as keyof typeof MESSAGES].fields),
    kind,
    bundle: PANEL.id,
    epoch: 1,
    requestId: 7,
  }) as unknown as Message;
const lines = (words: string) => world.logs.filter((line) => line.includes(words));

describe.each([...LATER_KINDS])('%s', (kind) => {
  it.each([ANDROID, VAULT])('R105 is dropped by the agent %s, which says so', (vm: VmId) => {
    const agent = world.agents.get(vm)!;
    const before = agent.views();
    agent.onMessage(HOST, later(kind), undefined);
    expect(lines(`${vm} warn: ${kind} dropped: not supported yet`)).toHaveLength(1);
    expect(agent.views().map(({ state }) => state)).toEqual(before.map(({ state }) => state));
  });

  it('R105 is dropped by the host, which refuses commands', () => {
    const answers: unknown[] = [];
    const agent = world.agents.get(ANDROID)!;
    const take = agent.onMessage.bind(agent);
    agent.onMessage = (from, message, hostTime) => {
      if (message.kind === 'refused') answers.push(message);
      take(from, message, hostTime);
    };
    const { epoch } = world.host.view(PANEL.id)!;
    world.host.onMessage(ANDROID, later(kind));
    world.clock.advance(100);
    expect(lines(`host warn: ${kind} dropped: not supported yet`)).toHaveLength(1);
    const refusal = {
      code: 'notSupported',
      command: MESSAGES[kind].number,
      currentEpoch: epoch,
      requestId: 7,
    };
    expect(answers).toEqual(COMMANDS.includes(kind) ? [expect.objectContaining(refusal)] : []);
    expect(world.host.view(PANEL.id)).toMatchObject({ epoch, holder: ANDROID });
  });
});

it('R94 refuses what names an epoch of an unknown bundle, and answers no question about it', () => {
  const said: string[] = [];
  const agent = world.agents.get(VAULT)!;
  agent.onMessage = (_, message) =>
    void said.push(`${message.kind} ${'code' in message ? message.code : ''}`.trim());
  const camera = { bundle: 'camera', epoch: 3 };
  world.host.onMessage(VAULT, { kind: 'release', ...camera } as never);
  world.host.onMessage(VAULT, { kind: 'queryState', ...camera, challenge: new Uint8Array(8) } as never);
  world.clock.advance(100);
  expect(said.filter((one) => one !== 'heartbeat')).toEqual(['refused unknownBundle']);
});
