/**
 * Reads a daemon's configuration and every file that it names, with the checks of `baton check-config`, at each start.
 */

import { delimiter, isAbsolute } from 'node:path';
import { AGENT_SCHEMA, type AgentFile } from '../../../src/config/agent-config.ts';
import { type ConfigFiles, followAgent, followHost } from '../../../src/config/follow.ts';
import { HOST_SCHEMA, type HostFile } from '../../../src/config/host-config.ts';
import { programsOfAgent, programsOfHost, withWholePaths } from '../../../src/config/programs.ts';
import { ConfigError, readConfig } from '../../../src/config/read.ts';
import type { BundleDefinition } from '../../../src/core/protocol/bundle.ts';
import { MQTT_FAULT } from '../net/mqtt.ts';
import { NAME_FAULT } from '../net/streams.ts';
import { besideConfig, hidden, list, look, readText, realPath } from './files.ts';
import { readTree } from './tree-file.ts';

/** The files of this machine, and the abilities of this program. */
export const FILES: ConfigFiles = {
  readText,
  besideConfig,
  look,
  list,
  hidden,
  realPath,
  readTree,
  mqttFault: MQTT_FAULT,
  nameFault: NAME_FAULT,
  programFolders: (process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute),
};

/** Reads the configuration of an agent and everything that it names. Throws a ConfigError with every complaint. */
export function soundAgent(path: string): { config: AgentFile; bundles: readonly BundleDefinition[] } {
  const text = readText(path);
  const config = readConfig(AGENT_SCHEMA, path, text);
  const { complaints, bundles = [] } = followAgent(path, text, config, FILES);
  refuse(complaints);
  return {
    config: withWholePaths(config, programsOfAgent(config), (name) => besideConfig(path, name)),
    bundles,
  };
}

/** Reads the configuration of a host and everything that it names. Throws a ConfigError with every complaint. */
export function soundHost(path: string): HostFile {
  const text = readText(path);
  const config = readConfig(HOST_SCHEMA, path, text);
  refuse(followHost(path, text, config, FILES));
  return withWholePaths(config, programsOfHost(config), (name) => besideConfig(path, name));
}

function refuse(complaints: readonly string[]): void {
  if (complaints.length > 0) throw new ConfigError(...new Set(complaints));
}
