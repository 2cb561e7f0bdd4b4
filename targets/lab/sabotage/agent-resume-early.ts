/** `baton-agent` of a borrower that does not wait for evidence: a negative control of the demo. */

import { BORROWER_TABLE } from '../../../src/core/agent/borrower.ts';
import { runAgent } from '../../node/agent/agent.ts';
import { stderrLog } from '../../node/program/log.ts';
import { resumeEarly } from './sabotage.ts';

stderrLog('baton-agent', 'warn')('warn', 'SABOTAGE: resume-early is switched off');
runAgent(process.argv.slice(2), resumeEarly(BORROWER_TABLE));
