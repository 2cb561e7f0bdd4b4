/** Files and definitions that `baton plan` makes: the views of other VMs in a bundle, and the bundle file. */

import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { UsageError } from '../../../src/cli/world.ts';
import { bundleFileText, readBundleFile } from '../../../src/config/bundle-file.ts';
import { ConfigError } from '../../../src/config/read.ts';
import { type BundleDefinition, isResettable } from '../../../src/core/protocol/bundle.ts';
import { vmId } from '../../../src/core/protocol/ids.ts';
import { bundleDigest } from '../../../src/core/wire/digest.ts';
import type { DtNode } from '../../../src/planner/blob.ts';
import type { Tree } from '../../../src/planner/tree.ts';
import { withViews } from '../../../src/planner/views.ts';
import type { FileWorld } from './world.ts';

/** Adds the views of each `--view VM=TREE:DEVICE=NODE,…`. Throws a UsageError, and a ConfigError about a tree. */
export function withAllViews(
  world: FileWorld,
  bundle: BundleDefinition,
  views: readonly string[],
): BundleDefinition {
  return views.reduce((made, view) => withView(world, made, view), bundle);
}

function withView(world: FileWorld, bundle: BundleDefinition, view: string): BundleDefinition {
  const [, vm, file, pairs] = /^([a-z][a-z0-9._-]*)=(.+?):([^:]+=[^:]+)$/.exec(view) ?? [];
  if (vm === undefined || file === undefined || pairs === undefined)
    throw new UsageError(`--view ${view}: expected VM=TREE:DEVICE=NODE,DEVICE=NODE`);
  const tree = world.readTree(file);
  const nodes = new Map<string, readonly DtNode[]>();
  for (const pair of pairs.split(',')) {
    const [device = '', place = ''] = splitOnce(pair);
    nodes.set(device, [...(nodes.get(device) ?? []), nodeOf(tree, file, place)]);
  }
  try {
    return withViews(bundle, vmId(vm), tree, nodes);
  } catch (error) {
    throw new ConfigError(`--view ${view}: ${(error as Error).message}`);
  }
}

function splitOnce(pair: string): readonly [string, string] {
  const at = pair.indexOf('=');
  return [pair.slice(0, at), pair.slice(at + 1)];
}

function nodeOf(tree: Tree, file: string, place: string): DtNode {
  const node = tree.find(place);
  if (node === undefined) throw new UsageError(`${file}: ${place}: expected the name of exactly one node`);
  return node;
}

/**
 * Writes the bundle into a bundle file, whose other bundles stay. Manual edits are overwritten only with `replace`.
 * Prints what remains to be done. Throws a ConfigError when the file cannot be read or written, when edits would be
 * lost, or when two bundles overlap.
 */
export function writeBundle(
  world: FileWorld,
  file: string,
  bundle: BundleDefinition,
  replace: boolean,
): void {
  const before = existsSync(file) ? world.readText(file) : undefined;
  const known = before === undefined ? [] : readBundleFile(file, before);
  const others = known.filter(({ id }) => id !== bundle.id);
  const same = known.find(({ id }) => id === bundle.id);
  if (same && bundleFileText([same]) !== bundleFileText([bundle]) && !replace)
    throw new ConfigError(
      `${file}: it has a different ${bundle.id}: use --replace to overwrite it, with its views and ` +
        'residual states, or another --name',
    );
  if (before !== undefined && before !== bundleFileText(known) && !replace)
    throw new ConfigError(
      `${file}: edited by hand: use --replace to overwrite it, without its comments, or -o another file, and copy`,
    );
  const text = bundleFileText([...others, bundle]);
  readBundleFile(file, text);
  writeText(file, text);
  const kept = others.length > 0 ? ` beside ${others.map(({ id }) => id).join(', ')}` : '';
  world.err(
    `${file}: ${bundle.id} is ${same ? 'replaced' : 'written'}${kept}; its digest is ${digestText(bundle)}`,
  );
  world.err(
    'check its owner, its views (how each VM sees the resources), and its residual states (what may remain)',
  );
  if (!isResettable(bundle)) world.err('a host lends it only with "acceptDriverResidualState": true');
}

/** Writes a file completely or not at all. Throws a ConfigError that names it. */
export function writeText(file: string, text: string): void {
  const made = `${file}.${process.pid}`;
  try {
    writeFileSync(made, text);
    renameSync(made, file);
  } catch (error) {
    rmSync(made, { force: true });
    throw new ConfigError(`${file}: cannot be written: ${(error as Error).message}`);
  }
}

/** The digest that consents and grants name, in hexadecimal. */
export function digestText(bundle: BundleDefinition): string {
  return Buffer.from(bundleDigest(bundle)).toString('hex');
}
