/** Address of an MQTT broker from its URL. */

import { addressText, parseBroker } from '../../../src/common/addresses.ts';
import { withoutSecret } from '../../../src/config/secrets.ts';

/** Returns the stream address of a broker's URL. Throws an Error about an invalid one, without its login. */
export function brokerAddress(url: string): string {
  const broker = parseBroker(url);
  if (typeof broker !== 'string') return addressText(broker);
  throw new Error(`${JSON.stringify(withoutSecret(url))} is not the URL of a broker: ${broker}`);
}
