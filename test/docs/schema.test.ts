/** docs/schema/ holds the published JSON Schemas; `-u` writes them anew (format them afterwards). */

import { existsSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { AGENT_SCHEMA } from '../../src/config/agent-config.ts';
import { BUNDLE_FILE_SCHEMA } from '../../src/config/bundle-file.ts';
import { HOST_SCHEMA } from '../../src/config/host-config.ts';
import { KEYS_SCHEMA } from '../../src/config/shared-parts.ts';

test.each([
  ['agent', AGENT_SCHEMA],
  ['host', HOST_SCHEMA],
  ['bundles', BUNDLE_FILE_SCHEMA],
  ['keys', KEYS_SCHEMA],
])('docs/schema/%s.schema.json is what the code checks', async (name, schema) => {
  const path = `../../docs/schema/${name}.schema.json`;
  const file = new URL(path, import.meta.url);
  const printed = `${JSON.stringify(schema, null, 2)}\n`;
  const committed = existsSync(file) ? readFileSync(file, 'utf8') : '{}';
  // The formatter may lay it out otherwise.
  const isSame = isDeepStrictEqual(JSON.parse(committed), JSON.parse(printed));
  await expect(isSame ? committed : printed).toMatchFileSnapshot(path);
});
