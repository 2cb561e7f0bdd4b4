/**
 * `baton-machine`: the simulated machine as a process (machine-server.ts).
 *
 * Used by the demo and by tests; a real machine has KVM, Xen or Gunyah in its place.
 */

import { readFileSync } from 'node:fs';
import type { VmId } from '../../../src/core/protocol/ids.ts';
import { SABOTAGES, type Sabotage } from '../../../src/edges/enforcer/tables.ts';
import { readBundles } from '../../node/config/files.ts';
import { STREAMS } from '../../node/net/streams.ts';
import { onTermination } from '../../node/program/daemon.ts';
import { stderrLog } from '../../node/program/log.ts';
import { plainWords, refuseWords } from '../../node/program/program.ts';
import { MachineServer } from './machine-server.ts';

const FACE = {
  name: 'baton-machine',
  help: `baton-machine CONFIG

The simulated machine as a process, for the demo and for tests. CONFIG is a JSON file:
folder, bundles, vms, seed, sabotages.
`,
};
const [file = ''] = plainWords(FACE, process.argv.slice(2), 1);

/** Reads the configuration, which the demo or a test has written. */
function read(): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return refuseWords(FACE.name, (error as Error).message);
  }
}

const config = JSON.parse(read()) as {
  folder: string;
  bundles: string;
  vms: Record<VmId, string[][]>;
  seed: number;
  sabotages: string[];
};
const unknown = config.sabotages.filter((sabotage) => !(SABOTAGES as readonly string[]).includes(sabotage));
if (unknown.length > 0) throw new Error(`no such sabotage of the enforcer: ${unknown.join(', ')}`);

const server = new MachineServer({
  folder: config.folder,
  bundles: readBundles(config.bundles),
  vms: config.vms,
  seed: config.seed,
  sabotages: config.sabotages as Sabotage[],
  network: STREAMS,
  log: stderrLog('baton-machine', 'warn'),
});
onTermination(() => server.stop());
await server.start();
process.stdout.write('{"event":"ready"}\n');
