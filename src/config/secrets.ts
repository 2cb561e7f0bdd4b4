/**
 * What a complaint may say of a value that nobody should read in a log: a key, a password, an address with a login.
 * Pure.
 *
 * A schema marks a secret by `secret: true`, and a complaint then says its shape alone. What stands in a wrong place,
 * as a key in place of the path of its file, is known by its looks.
 */

/**
 * Digits in a row that may be a key, or most of one: half of 32 bytes in hexadecimal. Digests of paths are shorter or
 * in base 32.
 */
const KEY_DIGITS = /[0-9a-fA-F]{32,}/g;
/** The same in base64: 32 bytes have 43 signs and a padding. A path has its slashes sooner. */
const KEY_BASE64 = /(?<![A-Za-z0-9+/])[A-Za-z0-9+]{20}[A-Za-z0-9+/]{22,}={0,2}/g;
/** User and password before the address of a server, in a sentence. */
const LOGIN = /(:\/\/)[^\s"]*@/g;
/**
 * The same in a value that is nothing else, up to its last `@`: a password may have spaces, slashes and one of these.
 */
const WHOLE_LOGIN = /(:\/\/).*@/s;
/** The same without a scheme. */
const BARE_LOGIN = /^(?!(vsock-)?unix:|[^:]+:\/\/)[^\s/:@]+:.*@/s;

/** Returns a sentence without what looks like a key or a login; the rest stays, for it tells where to look. */
export function withoutSecrets(text: string): string {
  return text
    .replace(KEY_DIGITS, (digits) => `(${digits.length} hexadecimal digits)`)
    .replace(KEY_BASE64, (signs) => (/[0-9]/.test(signs) && /[A-Z]/.test(signs) ? hidden(signs) : signs))
    .replace(LOGIN, '$1(login)@');
}

/** The same of a value of a configuration. */
export function withoutSecret(value: string): string {
  return withoutSecrets(value.replace(WHOLE_LOGIN, '$1(login)@').replace(BARE_LOGIN, '(login)@'));
}

function hidden(text: string): string {
  return `(${text.length} characters)`;
}

/** Returns what can be said of a secret: what it is, how long, and what no key in hexadecimal has. */
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
