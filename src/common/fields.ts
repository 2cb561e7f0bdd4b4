/** Schema fields that several configurations share: names, times, addresses, programs. Pure. */

import { ID_PATTERN, ID_WORDS, VM_PATTERN } from '../core/protocol/ids.ts';
import { Type } from './schema.ts';

/** An object without other keys: a misspelt key is an error. */
export const CLOSED = { additionalProperties: false } as const;
/** Name of a bundle or device. */
export const idField = (description: string) =>
  Type.String({ pattern: ID_PATTERN, title: ID_WORDS, description });
export const vmField = (description: string) =>
  Type.String({ pattern: VM_PATTERN, title: ID_WORDS, description });
/** A time in milliseconds; `otherwise`: the default. */
export const msField = (description: string, otherwise?: number) =>
  Type.Integer({
    minimum: 1,
    maximum: 0xffff_ffff,
    title: 'milliseconds',
    description,
    ...(otherwise === undefined ? {} : { default: otherwise }),
  });
/** A program and its arguments. */
export const commandField = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description });

/** A port is at most 65535; the kernel limits the path of a socket to 107 bytes. */
const PORT = '([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';
/** Address of a local service. */
export const addressField = (description: string) =>
  Type.String({
    pattern: `^(unix:.{1,107}|tcp:.+:${PORT})$`,
    title: 'unix:/path (at most 107 bytes) or tcp:host:port (at most 65535)',
    description,
  });

/** A CID or a port of vsock has 32 bits. */
const VSOCK_NUMBER = '[0-9]{1,10}';
/** A listener may accept every guest; no dialler can dial all. */
export const ANY_GUEST = [`(any|${VSOCK_NUMBER})`, 'any'] as const;
/** Address of a message transport; `cid`: pattern of the CID, and its description. */
export const wayField = (
  description: string,
  [cid, words]: readonly [string, string] = [VSOCK_NUMBER, 'CID'],
) =>
  Type.String({
    pattern: `^(unix:.{1,107}|tcp:.+:${PORT}|vsock:${cid}:${VSOCK_NUMBER}|vsock-unix:.{1,107}:${VSOCK_NUMBER})$`,
    title:
      `unix:/path (at most 107 bytes), tcp:host:port (at most 65535), vsock:${words}:port, or ` +
      'vsock-unix:/path:port of Firecracker and Cloud Hypervisor',
    description,
  });
