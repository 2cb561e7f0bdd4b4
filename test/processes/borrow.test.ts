/** `baton borrow` on Node over a broker, from the built bundles. */

import { join } from 'node:path';
import { borrowSuite } from './borrow.suite.ts';

const BATON = join(import.meta.dirname, '../../dist/baton.mjs');

borrowSuite('on Node over MQTT', { agents: {}, transport: 'mqtt' }, [process.execPath, BATON]);
