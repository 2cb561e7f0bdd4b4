/** Files of the product that `baton init` copies. The program has their texts, so that it is one file. */

import acl from '../../../docs/mosquitto/acl?raw';
import mosquitto from '../../../docs/mosquitto/mosquitto.conf?raw';
import type { Shipped } from '../../../src/config/init/files.ts';
import agentUnit from '../../linux/systemd/baton-agent.service?raw';
import agentOnNode from '../../linux/systemd/baton-agent.service.d/node.conf?raw';
import hostUnit from '../../linux/systemd/baton-host.service?raw';
import hostWatchdog from '../../linux/systemd/baton-host.service.d/watchdog.conf?raw';
import sleepUnit from '../../linux/systemd/baton-sleep.service?raw';

export const SHIPPED: Shipped = { agentUnit, agentOnNode, hostUnit, hostWatchdog, sleepUnit, mosquitto, acl };
