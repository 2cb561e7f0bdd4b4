/** The blocks of docs/DEPLOY.md, for tests that run them. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const DEPLOY = readFileSync(join(import.meta.dirname, '../../docs/DEPLOY.md'), 'utf8');

/** Returns the blocks of `language` below the headings that fit. */
export function deployBlocks(headings: RegExp, language: string): string[] {
  const sections = DEPLOY.split(/^## /m).filter((section) => headings.test(section));
  return sections.flatMap((section) =>
    [...section.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
      ([, block]) => block!,
    ),
  );
}
