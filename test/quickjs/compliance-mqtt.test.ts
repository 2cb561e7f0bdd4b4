/** Every engine with every engine over MQTT, both versions. */

import { complianceSuite } from './compliance.suite.ts';

complianceSuite('mqtt');
