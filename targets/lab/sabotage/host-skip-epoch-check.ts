/** `baton-host` without its check of epochs: a negative control of the demo. */

import { HOST_TABLE } from '../../../src/core/host/host-table.ts';
import { runHost } from '../../node/host/host.ts';
import { stderrLog } from '../../node/program/log.ts';
import { skipEpochCheck } from './sabotage.ts';

stderrLog('baton-host', 'warn')('warn', 'SABOTAGE: skip-epoch-check is switched off');
runHost(process.argv.slice(2), skipEpochCheck(HOST_TABLE));
