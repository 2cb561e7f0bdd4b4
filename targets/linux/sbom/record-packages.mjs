// A plugin of rollup: writes down of which packages something is left in a program, as paths that package-lock.json
// has too. The list of what a program consists of is made from it (sbom-main.ts).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Returns the package that a module is of, as `node_modules/mqtt`; undefined for one of ours. */
const packageOf = (id) =>
  /(?:^|\/)(node_modules\/.*)/.exec(id)?.[1].match(/^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/?]+/)?.[0];

/** `file`: where the list is written to. `made`: lists of modules that were made of packages before, by module. */
export const recordPackages = (file, made = {}) => ({
  name: 'record-packages',
  generateBundle(_options, bundle) {
    const modules = Object.values(bundle).flatMap((chunk) => Object.entries(chunk.modules ?? {}));
    const left = modules.filter(([, { renderedLength }]) => renderedLength > 0).map(([id]) => id);
    const packages = left.flatMap((id) =>
      made[id] === undefined ? [packageOf(id)] : JSON.parse(readFileSync(made[id], 'utf8')),
    );
    const named = new Set(packages.filter((found) => found !== undefined));
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify([...named].sort())}\n`);
  },
});
