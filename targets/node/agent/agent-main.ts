import { runAgent } from './agent.ts';

runAgent(process.argv.slice(2));
