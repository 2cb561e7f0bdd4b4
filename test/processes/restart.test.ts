/** Processes that are killed, on Node over a broker, from the built bundles. */

import { restartSuite } from './restart.suite.ts';

restartSuite('on Node over MQTT', { agents: {}, transport: 'mqtt' });
