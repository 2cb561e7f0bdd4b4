// The agent for QuickJS: as a script that is linked into a program, and for a `qjs` of the system.
import { bundle } from './bundle.mjs';

const agent = { js: `${process.cwd()}/dist/js`, entry: 'targets/quickjs/main.js' };

export default [
  bundle({ ...agent, output: 'dist/quickjs/agent.js', native: 'baton' }),
  bundle({ ...agent, output: 'dist/quickjs/baton-agent.js', native: './baton.so' }),
];
