// The agent for QuickJS: as a script that is linked into a program, and for a `qjs` of the system.
import { bundle } from './bundle.mjs';

const js = `${process.cwd()}/dist/js`;
const agent = { js, entry: 'targets/quickjs/main.js', packages: 'dist/packages/quickjs.json' };
const withMqtt = {
  js,
  entry: 'targets/quickjs/main-mqtt.js',
  mqtt: true,
  packages: 'dist/packages/quickjs-mqtt.json',
};

export default [
  bundle({ ...agent, output: 'dist/quickjs/agent.js', native: 'baton' }),
  bundle({ ...agent, output: 'dist/quickjs/baton-agent.js', native: './baton.so' }),
  bundle({ ...withMqtt, output: 'dist/quickjs/agent-mqtt.js', native: 'baton' }),
  bundle({ ...withMqtt, output: 'dist/quickjs/baton-agent-mqtt.js', native: './baton.so' }),
];
