/** Pairs of agents on several engines. */

import { castOf, ENGINES } from './cells.ts';
import { livesSuite } from './lives.suite.ts';

livesSuite('both static', castOf('x86_64', 'x86_64'), ENGINES.node.agent);
livesSuite('static with a borrower on Node', castOf('x86_64', 'node'), ENGINES.x86_64.agent);
livesSuite('static with an owner on Node', castOf('node', 'x86_64'), ENGINES.node.agent);
livesSuite('a script with a static borrower', castOf('script', 'x86_64'), ENGINES.script.agent);
livesSuite('a script with an owner on Node', castOf('node', 'script'), ENGINES.x86_64.agent);
livesSuite(
  'static, over the UNIX form of vsock',
  castOf('x86_64', 'x86_64'),
  ENGINES.node.agent,
  'vsock-unix',
);
