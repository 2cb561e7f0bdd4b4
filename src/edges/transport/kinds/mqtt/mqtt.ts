/** Transport kind `mqtt`: over a broker, version 3.1.1 or 5. */

import { CLOSED } from '../../../../common/fields.ts';
import { type Static, Type } from '../../../../common/schema.ts';
import type { Transport } from '../../../../ports/world.ts';
import { type TransportParts, transportKind } from '../../kind.ts';

const SCHEMA = Type.Object(
  {
    kind: Type.Literal('mqtt', { description: 'over a broker' }),
    url: Type.String({
      pattern: '^(mqtt://|mqtt\\+unix://).+',
      title: 'mqtt://host:port or mqtt+unix:///path',
      description: 'the broker; port 1883 unless given',
    }),
    version: Type.Optional(
      Type.Union([Type.Literal('3.1.1'), Type.Literal('5')], {
        default: '3.1.1',
        description: 'version of MQTT',
      }),
    ),
    username: Type.Optional(
      Type.String({ description: 'user at the broker: name of the VM, or "host"; absent: no login' }),
    ),
    passwordFile: Type.Optional(
      Type.String({
        secret: true,
        description: 'file with the password, mode 0600; spaces and newlines at its end are ignored',
      }),
    ),
  },
  CLOSED,
);

export const MQTT = transportKind({ agent: SCHEMA, host: SCHEMA, openAgent: open, openHost: open });

function open(config: Static<typeof SCHEMA>, parts: TransportParts): Transport {
  const { url, username, passwordFile, version } = config;
  return parts.mqtt({
    url,
    ...(version ? { protocol: version } : {}),
    ...(username ? { username } : {}),
    ...(passwordFile ? { password: parts.secret('passwordFile', passwordFile).trimEnd() } : {}),
  });
}
