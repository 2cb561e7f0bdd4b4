/**
 * An agent reduced to the one thing of M17: it takes the lock of a bundle and starts a hook that sleeps. The test
 * kills it meanwhile.
 *
 * Usage: orphan-agent STATE_FOLDER PID_FILE SECONDS
 */

import type { BundleId } from '../../../src/core/protocol/ids.ts';
import { NodeHookLocks } from '../../../targets/node/agent/hooks-lock.ts';

const [state = '', pidFile = '', seconds = ''] = process.argv.slice(2);
const answer = await new NodeHookLocks(state, () => {}).take('panel' as BundleId);
if (!answer.ok) throw new Error(`no lock: ${answer.by}`);
const command = ['sh', '-c', `echo $$ > ${pidFile}; exec sleep ${seconds}`];
answer.lock.start({ command, environment: {} }, () => {});
