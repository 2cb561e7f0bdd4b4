/** A daemon's configuration with every file that it names: the checks of `baton check-config`, at each start. */

import { delimiter, isAbsolute, join } from 'node:path';
import { AGENT_SCHEMA, type AgentFile, HOST_SCHEMA, type HostFile } from '../../src/config/daemon-config.ts';
import { type ConfigFiles, followAgent, followHost } from '../../src/config/follow.ts';
import { ConfigError, complaintAt, readConfig } from '../../src/config/read.ts';
import type { BundleDefinition } from '../../src/protocol/bundle.ts';
import { besideConfig, list, look, readText, readTree, realPath } from './files.ts';
import { MQTT_FAULT } from './mqtt.ts';

export const FILES: ConfigFiles = {
  readText,
  besideConfig,
  look,
  list,
  realPath,
  readTree,
  mqttFault: MQTT_FAULT,
};

/** Reads the configuration of an agent, its bundles and all else that it names. Throws a ConfigError with every complaint. */
export function soundAgent(path: string): { config: AgentFile; bundles: readonly BundleDefinition[] } {
  const text = readText(path);
  const config = readConfig(AGENT_SCHEMA, path, text);
  const { complaints, bundles = [] } = followAgent(path, text, config, FILES);
  refuse(complaints);
  return { config, bundles };
}

/** Reads the configuration of a host and all that it names. Throws a ConfigError with every complaint. */
export function soundHost(path: string): HostFile {
  const text = readText(path);
  const config = readConfig(HOST_SCHEMA, path, text);
  const { enforcer } = config;
  refuse([
    ...followHost(path, text, config, FILES),
    ...(enforcer.kind === 'command' ? notInPath(path, text, ['enforcer'], enforcer.command) : []),
    ...(enforcer.kind === 'trusted-touch' && enforcer.lives.kind === 'command'
      ? notInPath(path, text, ['enforcer', 'lives'], enforcer.lives.command)
      : []),
  ]);
  return config;
}

/** The PATH that counts for a back end is that of the host itself. */
function notInPath(
  path: string,
  text: string,
  at: readonly string[],
  [name = '']: readonly string[],
): string[] {
  const folders = isAbsolute(name) ? [] : (process.env['PATH'] ?? '').split(delimiter);
  if (isAbsolute(name) || name.includes('/')) return [];
  if (folders.some((folder) => look(join(folder, name))?.isExecutable)) return [];
  const message = `${JSON.stringify(name)}: no such program in PATH: expected a program that this user may run`;
  return [complaintAt(path, text, { path: [...at, 'command', 0], at: 'value', message })];
}

function refuse(complaints: readonly string[]): void {
  if (complaints.length > 0) throw new ConfigError([...new Set(complaints)].join('\n'));
}
