/** `node:path`, for the paths of Linux. */

import * as os from 'qjs:os';

export const delimiter = ':';

export function isAbsolute(path: string): boolean {
  return path.startsWith('/');
}

export function basename(path: string): string {
  return path.replace(/\/+$/, '').split('/').at(-1) ?? '';
}

export function dirname(path: string): string {
  const end = path.replace(/\/+$/, '').lastIndexOf('/');
  if (end < 0) return '.';
  return path.slice(0, end).replace(/\/+$/, '') || '/';
}

export function join(...parts: readonly string[]): string {
  return normal(parts.filter((part) => part !== '').join('/'));
}

export function resolve(...parts: readonly string[]): string {
  let path = '';
  for (const part of [os.getcwd()[0], ...parts]) path = isAbsolute(part) ? part : `${path}/${part}`;
  path = normal(path);
  return path.length > 1 ? path.replace(/\/$/, '') : path;
}

/** Without `.`, `//` and `x/..`. */
function normal(path: string): string {
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..' || (kept.at(-1) ?? '..') === '..') {
      if (part !== '..' || !isAbsolute(path)) kept.push(part);
    } else kept.pop();
  }
  const text = `${isAbsolute(path) ? '/' : ''}${kept.join('/')}${path.endsWith('/') && kept.length > 0 ? '/' : ''}`;
  return text === '' ? '.' : text;
}
