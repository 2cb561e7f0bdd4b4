/** Common parts of commands on a control socket: one request, one line about the outcome, the exit status. */

import type { Json } from '../common/lines.ts';
import { type CliWorld, type ControlClient, EXIT, UsageError } from './world.ts';

/** Returns the one BUNDLE of a command. Throws a UsageError. */
export function oneBundle(plain: readonly string[], command: string): string {
  const [bundle] = plain;
  if (bundle === undefined || plain.length > 1) throw new UsageError(`${command} takes one BUNDLE`);
  return bundle;
}

/** Sends an order and reports the outcome. Returns the exit status. */
export async function order(
  world: CliWorld,
  client: ControlClient,
  request: Json,
  json: boolean,
  done: string | ((answer: Json) => string),
): Promise<number> {
  return tellOutcome(world, await client.request(request), request, json, done);
}

/** Reports the outcome of an order, and returns the exit status. */
export function tellOutcome(
  world: CliWorld,
  answer: Json,
  request: Json,
  json: boolean,
  done: string | ((answer: Json) => string),
): number {
  if (json) world.out(JSON.stringify(answer));
  else if (answer['ok'] === true) {
    const text = typeof done === 'string' ? done : done(answer);
    world.err(`baton: ${request['bundle'] ?? 'agent'}: ${text}`);
  } else world.err(`baton: ${(answer['error'] as { message: string }).message}`);
  if (answer['ok'] === true) return EXIT.ok;
  return (answer['error'] as { code: string }).code === 'stillLent' ? EXIT.declined : EXIT.failed;
}
