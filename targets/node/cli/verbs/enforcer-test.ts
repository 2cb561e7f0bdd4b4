/** `baton enforcer-test`: runs the shipped conformance suite on the enforcer that a host's configuration names. */

import { parseWords } from '../../../../src/cli/arguments.ts';
import type { Verb } from '../../../../src/cli/verb.ts';
import { EXIT, UsageError } from '../../../../src/cli/world.ts';
import { HOST_SCHEMA, type HostFile } from '../../../../src/config/host-config.ts';
import { programsOfHost, withWholePaths } from '../../../../src/config/programs.ts';
import type { BundleDefinition } from '../../../../src/core/protocol/bundle.ts';
import { type VmId, vmId } from '../../../../src/core/protocol/ids.ts';
import { type CheckResult, runConformance } from '../../../../src/edges/enforcer/conformance.ts';
import type { Enforcer } from '../../../../src/ports/enforcer.ts';
import { besideConfig, readBundles, readConfigFile } from '../../config/files.ts';
import { openEnforcer } from '../../host/enforcers.ts';
import { stderrLog } from '../../program/log.ts';
import { lockState } from '../../system/name-lock.ts';
import type { FileWorld } from '../world.ts';

const HELP = `baton enforcer-test CONFIG --owner VM --other VM [--bundle BUNDLE] [--json]

Checks the enforcer of a host's configuration against the Enforcer contract: every call, its repetition, the state
read back after it, and the errors. Capabilities that the enforcer does not declare are not tested. The test moves the
bundle between the two VMs: run it on a machine where nobody uses the bundle. Stop baton-host first, since the test
locks its state folder.
`;

/**
 * Runs the conformance suite on the enforcer of a host's configuration, under the lock of its state folder. `vms`: two
 * that run, the owner first. Returns the results, and what the enforcer calls itself. Rejects when a host runs or the
 * enforcer cannot be opened.
 */
export async function conformanceOf(
  file: string,
  config: HostFile,
  bundles: readonly BundleDefinition[],
  bundle: BundleDefinition,
  vms: readonly [VmId, VmId],
): Promise<{ readonly name: string; readonly results: readonly CheckResult[] }> {
  const state = besideConfig(file, config.state);
  const { enforcer: whole } = withWholePaths(config, programsOfHost(config), (name) =>
    besideConfig(file, name),
  );
  await lockState(state);
  const enforcer = await new Promise<Enforcer>((resolve, reject) => {
    openEnforcer(whole, bundles, state, stderrLog('baton', 'warn'), (result) =>
      result instanceof Error ? reject(result) : resolve(result),
    );
  });
  const results = await new Promise<readonly CheckResult[]>((resolve) =>
    runConformance({ enforcer, bundle, vms }, resolve),
  );
  enforcer.close();
  return { name: enforcer.describe().name, results };
}

export async function enforcerTest(world: FileWorld, args: readonly string[]): Promise<number> {
  const { plain, values, flags } = parseWords(args, {
    '--owner': 'value',
    '--other': 'value',
    '--bundle': 'value',
  });
  const [file] = plain;
  if (file === undefined) throw new UsageError('enforcer-test takes the CONFIG of a host');
  const config = readConfigFile(HOST_SCHEMA, file);
  const bundles = readBundles(besideConfig(file, config.bundles));
  const bundle = bundles.find(({ id }) => id === (values.get('--bundle') ?? id));
  if (!bundle)
    throw new UsageError(
      `no bundle ${values.get('--bundle')}; there are ${bundles.map(({ id }) => id).join(', ')}`,
    );
  const vms = [vmId(values.get('--owner') ?? bundle.owner), vmId(values.get('--other') ?? 'other')] as const;
  const { results, name: enforcer } = await conformanceOf(file, config, bundles, bundle, vms);
  for (const { name, verdict, text } of results) {
    if (flags.has('--json')) world.out(JSON.stringify({ name, verdict, text }));
    else world.out(`${verdict.padEnd(11)}  ${name}${verdict === 'fail' ? `: ${text}` : ''}`);
  }
  const failed = results.filter(({ verdict }) => verdict === 'fail').length;
  const passed = results.filter(({ verdict }) => verdict === 'pass').length;
  if (!flags.has('--json')) {
    world.out(
      `${enforcer}: ${passed} passed, ${failed} failed, ` + `${results.length - passed - failed} not claimed`,
    );
  }
  return failed === 0 ? EXIT.ok : EXIT.failed;
}

export const ENFORCER_TEST: Verb<FileWorld> = {
  says: 'check an enforcer against its contract',
  help: HELP,
  alone: enforcerTest,
};
