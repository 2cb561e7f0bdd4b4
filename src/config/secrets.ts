/**
 * Removes secrets from messages: keys, passwords, addresses with a login. Pure.
 *
 * A schema marks a secret by `secret: true`; a message then shows only its shape. A secret in a wrong place, such as
 * a key instead of the path of its file, is recognized by its form.
 */

/**
 * Shortest row of digits that may be a key or most of one: half of 32 bytes in hexadecimal. Digests in paths are
 * shorter, or in base32.
 */
const KEY_DIGITS = /[0-9a-fA-F]{32,}/g;
/** The same in base64: 32 bytes have 43 characters and a padding. A path has slashes in shorter distances. */
const KEY_BASE64 = /(?<![A-Za-z0-9+/])[A-Za-z0-9+]{20}[A-Za-z0-9+/]{22,}={0,2}/g;
/** User and password before a server address, within a sentence. */
const LOGIN = /(:\/\/)[^\s"]*@/g;
/** The same in a value on its own, up to its last `@`: a password may contain spaces, slashes and `@`. */
const WHOLE_LOGIN = /(:\/\/).*@/s;
/** The same without a scheme. */
const BARE_LOGIN = /^(?!(vsock-)?unix:|[^:]+:\/\/)[^\s/:@]+:.*@/s;

/** Returns a sentence without anything that looks like a key or a login; the rest helps to find the place. */
export function withoutSecrets(text: string): string {
  return text
    .replace(KEY_DIGITS, (digits) => `(${digits.length} hexadecimal digits)`)
    .replace(KEY_BASE64, (signs) => (/[0-9]/.test(signs) && /[A-Z]/.test(signs) ? hidden(signs) : signs))
    .replace(LOGIN, '$1(login)@');
}

/** The same for a value of a configuration. */
export function withoutSecret(value: string): string {
  return withoutSecrets(value.replace(WHOLE_LOGIN, '$1(login)@').replace(BARE_LOGIN, '(login)@'));
}

function hidden(text: string): string {
  return `(${text.length} characters)`;
}

/** Returns a description of a secret: its type, its length, and properties that no hexadecimal key has. */
export function shapeOf(value: unknown): string {
  if (typeof value !== 'string') return kindOf(value);
  const strange = [
    ...(/[A-F]/.test(value) ? ['capitals'] : []),
    ...(/\s/.test(value) ? ['white space'] : []),
    ...(/[^0-9a-fA-F\s]/.test(value) ? ['other signs than digits'] : []),
  ];
  const length = `a text of ${value.length} characters`;
  return strange.length === 0 ? length : `${length}, with ${strange.join(' and ')}`;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
