/** What the agents of the checker's world do: their endpoints' steps, hooks, timers and messages. */

import type { AgentBundle, AgentEndpointState } from '../../src/core/agent/agent-endpoint-state.ts';
import type { AgentFact, AgentOrder } from '../../src/core/agent/agent-facts.ts';
import type { BorrowerState } from '../../src/core/agent/borrower-state.ts';
import { renewalMessage, requestMessage } from '../../src/core/agent/consent-messages.ts';
import type { OwnerState } from '../../src/core/agent/owner-state.ts';
import type { Epoch } from '../../src/core/protocol/ids.ts';
import { checkResume, checkResumed, Violation } from './properties.ts';
import { type AgentName, B, BUNDLE, endpoints, isTimeless, VM_OF } from './settings.ts';
import { type AgentWorld, consentOf, type Envelope, envelopeOf, seen, send, type World } from './world.ts';

/** An agent process starts. */
export function startAgent(world: World, name: AgentName): World {
  const { agents } = endpoints();
  const endpoint = agents[name].initial();
  const next = { ...world, [name]: { ...world[name], endpoint, state: bundleIn(endpoint).state } } as World;
  return feedAgent(next, name, { on: 'start', nowMs: 0 });
}

function bundleIn(endpoint: AgentEndpointState): AgentBundle {
  return endpoint.bundles[BUNDLE.id]!;
}

/** What a fact brings about at an agent: it depends on the agent and the fact alone. */
interface AgentStep {
  readonly agent: AgentWorld<OwnerState | BorrowerState>;
  readonly sent: readonly Envelope[];
  /** Epochs at which it begins to resume. */
  readonly resumes: readonly Epoch[];
  /** The epoch whose evidence the borrower rejects. */
  readonly rejected: number | undefined;
}

/** Feeds a fact to an agent, and what its orders bring at once, one after the other. */
export function feedAgent(world: World, name: AgentName, fact: AgentFact): World {
  const agent = world[name];
  if (!agent.endpoint) return world;
  const { memo } = endpoints();
  const key = `${name}${memo.numberOf(agent)}${memo.textOf(fact)}`;
  const step = memo.result(key, () => stepAgent(agent as AgentWorld<OwnerState>, name, fact));
  for (const epoch of step.resumes) checkResume(world, name, epoch);
  const { ghost } = world;
  const { rejected = ghost.rejected } = step;
  const next = { ...world, [name]: step.agent } as World;
  return step.sent.reduce(
    send,
    rejected === ghost.rejected ? next : { ...next, ghost: { ...ghost, rejected } },
  );
}

function stepAgent(start: AgentWorld<OwnerState>, name: AgentName, first: AgentFact): AgentStep {
  const endpoint = endpoints().agents[name];
  const facts = [first];
  const told: Told = { sent: [], resumes: [], rejected: undefined };
  let agent = start;
  for (let i = 0; i < facts.length; i++) {
    endpoint.state = agent.endpoint!;
    const orders = endpoint.step(facts[i]!);
    const { state: after } = endpoint;
    agent = { ...agent, endpoint: after, state: bundleIn(after).state as OwnerState };
    for (const order of orders) agent = performAgent(agent, name, order, told, (more) => facts.push(more));
  }
  return { ...told, agent: endpoints().memo.one(agent) };
}

/** What an agent's orders bring about outside of it. */
interface Told {
  readonly sent: Envelope[];
  readonly resumes: Epoch[];
  rejected: number | undefined;
}

function performAgent(
  agent: AgentWorld<OwnerState>,
  name: AgentName,
  order: AgentOrder,
  told: Told,
  feed: (fact: AgentFact) => void,
): AgentWorld<OwnerState> {
  switch (order.do) {
    case 'send': {
      const { message, to } = order;
      if (message.kind === 'reject' && name === 'b') told.rejected = message.epoch;
      told.sent.push(envelopeOf(VM_OF[name], to, message));
      return agent;
    }
    case 'request':
      told.sent.push(envelopeOf(B, order.owner, requestMessage(order, consentOf(order.claims))));
      return agent;
    case 'requestRenewal':
      told.sent.push(envelopeOf(B, order.owner, renewalMessage(order, consentOf(order.claims))));
      return agent;
    case 'decide': {
      const { request: number, question } = order;
      const decision = { allow: true } as const;
      feed({ on: 'policyDecided', nowMs: 0, bundle: question.bundle, request: number, decision });
      return agent;
    }
    case 'hook':
      if (agent.hook)
        throw new Violation(`two hooks at once in ${name}: ${agent.hook.name} and ${order.hook}`);
      if (order.hook === 'resume') {
        checkResumed(name, agent.state!, order.epoch);
        told.resumes.push(order.epoch);
      }
      return { ...agent, hook: { name: order.hook, epoch: order.epoch } };
    case 'inspect':
      return { ...agent, inspecting: true };
    case 'timer':
      if (isTimeless(name, order.timer)) return agent;
      return { ...agent, timers: [...new Set([...agent.timers, order.timer])].sort() };
    case 'stopTimer':
      return agent.timers.includes(order.timer)
        ? { ...agent, timers: agent.timers.filter((timer) => timer !== order.timer) }
        : agent;
    case 'step':
      for (const row of order.rows) seen.add(`${name}:${row}`);
      return agent;
    default:
      return agent;
  }
}
