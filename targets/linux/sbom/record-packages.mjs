// A plugin of rollup: writes down of which packages something is left in a program, as paths that package-lock.json
// has too. The list of what a program consists of is made from it (sbom-main.ts).
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Returns the package that a module is of, as `node_modules/mqtt`; undefined for one of ours. */
const packageOf = (id) =>
  /(?:^|\/)(node_modules\/.*)/.exec(id)?.[1].match(/^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/?]+/)?.[0];

/** `file`: where the list is written to. */
export const recordPackages = (file) => ({
  name: 'record-packages',
  generateBundle(_options, bundle) {
    const modules = Object.values(bundle).flatMap((chunk) => Object.entries(chunk.modules ?? {}));
    const left = modules.filter(([, { renderedLength }]) => renderedLength > 0);
    const packages = new Set(left.map(([id]) => packageOf(id)).filter((found) => found !== undefined));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify([...packages].sort())}\n`);
  },
});
