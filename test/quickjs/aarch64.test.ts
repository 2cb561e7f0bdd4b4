/** The static program for aarch64, under an emulator of its processor alone. */

import { castOf, ENGINES } from './cells.ts';
import { livesSuite } from './lives.suite.ts';

livesSuite('aarch64 with a borrower on x86-64', castOf('aarch64', 'x86_64'), ENGINES.aarch64.agent);
livesSuite('aarch64 with an owner on Node', castOf('node', 'aarch64'), ENGINES.node.agent);
livesSuite(
  'aarch64 and a script, over the UNIX form of vsock',
  castOf('script', 'aarch64'),
  ENGINES.x86_64.agent,
  'vsock-unix',
);
