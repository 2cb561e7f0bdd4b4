/**
 * `npm run boards -- FOLDER`: of the device trees of a folder, how many devices that somebody lends can move, by vendor
 * and by kind. The vendor of a tree is the folder that it is in; of one in FOLDER itself, its name up to the first `-`.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { DeviceTreeError, readBlob } from '../../../src/planner/blob.ts';
import { Board } from '../../../src/planner/board.ts';
import { ShareTable } from '../../../src/planner/shares.ts';
import { survey } from '../../../src/planner/survey.ts';
import { Tree } from '../../../src/planner/tree.ts';
import { writeErrors, writeLines } from '../../node/program/terminal.ts';

/** How often somebody who waits hears of it. */
const PROGRESS_EVERY = 100;

const [folder, ...more] = process.argv.slice(2);
if (folder === undefined || more.length > 0) {
  writeErrors('npm run boards -- FOLDER: a folder of device tree blobs (*.dtb), and those in it');
  process.exit(64);
}
const root = resolve(folder);
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.dtb'))
  .sort();
const table = new ShareTable();
let read = 0;
for (const [index, name] of files.entries()) {
  try {
    const board = new Board(new Tree(readBlob(readFileSync(join(root, name)))));
    const vendor = name === basename(name) ? name.split('-')[0]! : basename(dirname(name));
    table.add(vendor, survey(board));
    read += 1;
  } catch (error) {
    const isForeign = error instanceof DeviceTreeError || (error as NodeJS.ErrnoException).code !== undefined;
    if (!isForeign) throw error;
    writeErrors(`${name} cannot be read: ${(error as Error).message}`);
  }
  if ((index + 1) % PROGRESS_EVERY === 0) writeErrors(`${index + 1} of ${files.length} trees`);
}
writeLines(...table.lines(), `${read} of ${files.length} trees were read`);
process.exit(read === files.length && read > 0 ? 0 : 1);
