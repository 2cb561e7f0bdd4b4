/** Where an MQTT broker is, by its URL. */

import { addressText, parseBroker } from '../../../src/common/addresses.ts';
import { withoutSecret } from '../../../src/config/secrets.ts';

/**
 * Returns the stream address of a broker's URL. Throws an Error that says what is wrong with it, without a login that
 * it has.
 */
export function brokerAddress(url: string): string {
  const broker = parseBroker(url);
  if (typeof broker !== 'string') return addressText(broker);
  throw new Error(`${JSON.stringify(withoutSecret(url))} is no broker: ${broker}`);
}
