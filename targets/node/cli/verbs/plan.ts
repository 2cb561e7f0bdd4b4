/** `baton plan`: plans a bundle from a board's device tree. */

import { parseWords, type Words } from '../../../../src/cli/arguments.ts';
import type { Verb } from '../../../../src/cli/verb.ts';
import { EXIT, UsageError } from '../../../../src/cli/world.ts';
import { ConfigError } from '../../../../src/config/read.ts';
import { type BundleId, bundleId, type VmId, vmId } from '../../../../src/core/protocol/ids.ts';
import type { DtNode } from '../../../../src/planner/blob.ts';
import { ACCEPT_WORDS, type Acceptable } from '../../../../src/planner/blockers.ts';
import { Board } from '../../../../src/planner/board.ts';
import { definitionOf } from '../../../../src/planner/definition.ts';
import { planJson, planLines } from '../../../../src/planner/describe.ts';
import type { Paint } from '../../../../src/planner/paint.ts';
import { pictureOf } from '../../../../src/planner/picture.ts';
import { type Choices, type Plan, planBundle } from '../../../../src/planner/plan.ts';
import { survey, surveyJson, surveyLines, verdictOf } from '../../../../src/planner/survey.ts';
import { type Tree, textOf } from '../../../../src/planner/tree.ts';
import { wayOut } from '../../../../src/planner/ways.ts';
import { LIVE_TREE } from '../../config/live-tree.ts';
import { nodesOf, plainName } from '../board-nodes.ts';
import { paintFor } from '../colour.ts';
import { planDiff } from '../plan-diff.ts';
import { digestText, withAllViews, writeBundle, writeText } from '../plan-file.ts';
import type { FileWorld } from '../world.ts';

const HELP = `\
baton plan TREE NODE... [--accept KIND] [--power-reset] [--owner VM] [--name BUNDLE] [-o FILE] [--svg FILE]
baton plan TREE --list
baton plan --diff OLD NEW [NODE...]

Shows which devices must move together so that a device can move between VMs, what stays, and what stands in the way:
shared pages, interrupt lines, streams and resets, their other users, and the ways out. Changes nothing.

  TREE           a device tree blob (board.dtb) of one tree, no overlay; or a folder, a copy of ${LIVE_TREE};
                 or "live": that of this machine, from ${LIVE_TREE}
  NODE           a device: path (/soc@0/i2c@a90000), alias, or a name that only one node has (touchscreen@38)
                 (--device NODE is the same)
  --accept KIND  a blocker to accept: summaryInterrupt (the bundle moves without the line: the borrower polls, or the
                 keeper of the controller forwards it), sharedReset (nobody uses the line as a reset), clockLoop (the
                 keeper's clock driver does not touch the bundle's clocks), pciHost (the hypervisor keeps the host
                 bridge and emulates configuration space), unknownIommu (your enforcer switches this IOMMU), noDma
                 (devices without a stream do no DMA, by their manuals)
  --power-reset  the enforcer resets the devices by switching their power domains off and on
  --list         every device that may be asked for: what can move, what can if it does no DMA, what cannot and why
  --diff         changes from the tree OLD to NEW, per device, or for one bundle of all NODEs: the worst first
  --view VM=TREE:DEVICE=NODE,...
                 how another VM sees the devices of the bundle file, from that VM's own tree
  --owner VM     the owner in the bundle file (default: owner)
  --name BUNDLE  its name (default: from the first device)
  -o FILE        write it into the bundle file, if nothing stands in the way; other bundles of the file stay
  --replace      with -o: replace a different bundle of the same name, and what was written by hand
  --svg FILE     draw the bundle, what stays outside and what stands in the way
  --color WHEN   auto (the default: on a terminal, unless NO_COLOR is set), always, never

Exit status: 0 it can move. 1 something stands in the way. 82 nothing else does, but whether it does DMA is unknown.
64 or 66 no such node or tree. 78 the bundle file or a view cannot be made. With --diff: 0 nothing got worse, 1
something did.
`;

export function plan(world: FileWorld, args: readonly string[]): number {
  const { plain, values, lists, flags } = parseWords(args, {
    '--list': 'flag',
    '--diff': 'flag',
    '--owner': 'value',
    '--name': 'value',
    '--device': 'list',
    '--accept': 'list',
    '--power-reset': 'flag',
    '--view': 'list',
    '--svg': 'value',
    '--color': 'value',
    '-o': 'value',
    '--replace': 'flag',
  });
  const [file, ...plainNames] = plain;
  const names = [...plainNames, ...(lists.get('--device') ?? [])];
  if (file === undefined) throw new UsageError('plan takes a TREE and a NODE');
  const tree = readTree(world, file);
  if (tree === undefined) return EXIT.noInput;
  const choices = { accept: acceptedKinds(lists.get('--accept')), powerReset: flags.has('--power-reset') };
  const colours = paintFor(values.get('--color'), world.env, process.stdout.isTTY === true);
  const paint = flags.has('--json') ? undefined : colours;
  const only = ['-o', '--svg'].find((option) => values.has(option));
  if (only && (flags.has('--list') || flags.has('--diff')))
    throw new UsageError(`${only} applies to one bundle, not to --list or --diff`);
  if (flags.has('--diff')) {
    const [second, ...both] = names;
    if (second === undefined) throw new UsageError('--diff takes two trees: the old one, the new one');
    const other = readTree(world, second);
    if (other === undefined) return EXIT.noInput;
    return planDiff(world, [new Board(tree), new Board(other)], both, choices, paint);
  }
  if (flags.has('--list') && names.length > 0)
    throw new UsageError(`--list shows the whole board and takes no NODE: ${names[0]}`);
  if (flags.has('--list')) return list(world, new Board(tree), choices, paint);
  if (names.length === 0) throw new UsageError('plan takes a NODE; --list shows them');
  const wanted = nodesOf(tree, names);
  const id = nameOf(bundleId, '--name', values.get('--name') ?? plainName(wanted[0]!));
  const owner = nameOf(vmId, '--owner', values.get('--owner') ?? 'owner');
  const board = new Board(tree);
  const found = planBundle(board, wanted, choices);
  const picture = values.get('--svg');
  try {
    if (picture !== undefined) writeText(picture, pictureOf(found, titleOf(tree, wanted)));
    return tellPlan(world, { board, wanted, choices, found }, [id, owner], { values, lists, flags, paint });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const line of error.message.split('\n')) world.err(`baton plan: ${line}`);
    return EXIT.configuration;
  }
}

/** The wanted devices, and their plan. */
interface Planned {
  readonly board: Board;
  readonly wanted: readonly DtNode[];
  readonly choices: Choices;
  readonly found: Plan;
}

/** Prints the plan, and writes the bundle file. Throws a ConfigError when a view or the file cannot be made. */
function tellPlan(
  world: FileWorld,
  { board, wanted, choices, found }: Planned,
  named: readonly [BundleId, VmId],
  {
    values,
    lists,
    flags,
    paint,
  }: Pick<Words, 'values' | 'lists' | 'flags'> & { readonly paint: Paint | undefined },
): number {
  const made = definitionOf(found, ...named);
  const bundle = made && withAllViews(world, made, lists.get('--view') ?? []);
  const way = found.blockers.length > 0 ? wayOut(board, wanted, choices) : undefined;
  if (paint) for (const line of planLines(found, paint, way)) world.out(line);
  else world.out(JSON.stringify(planJson(found, bundle, bundle && digestText(bundle), way)));
  const target = values.get('-o');
  if (target !== undefined && bundle) writeBundle(world, target, bundle, flags.has('--replace'));
  else if (target !== undefined) world.err(`${target} was not written`);
  if (bundle) return EXIT.ok;
  return verdictOf(found) === 'unsure' ? EXIT.unsure : EXIT.failed;
}

/** Parses the name in an option. Throws a UsageError. */
function nameOf<T>(make: (name: string) => T, option: string, name: string): T {
  try {
    return make(name);
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`);
  }
}

function acceptedKinds(words: readonly string[] = []): Acceptable[] {
  return words.map((word) => {
    const known = ACCEPT_WORDS.find((each) => each === word);
    if (known === undefined)
      throw new UsageError(`--accept ${word}: only ${ACCEPT_WORDS.join(', ')} can be accepted`);
    return known;
  });
}

function readTree(world: FileWorld, file: string): Tree | undefined {
  try {
    return world.readTree(file);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const line of error.message.split('\n')) world.err(`baton plan: ${line}`);
    return undefined;
  }
}

function list(world: FileWorld, board: Board, choices: Choices, paint: Paint | undefined): number {
  const found = survey(board, choices);
  if (paint) for (const line of surveyLines(found, paint)) world.out(line);
  else for (const candidate of found) world.out(JSON.stringify(surveyJson(candidate)));
  return EXIT.ok;
}

/** Title of a picture: the devices, and the model of the board. */
function titleOf(tree: Tree, wanted: readonly DtNode[]): string {
  return [wanted.map(({ name }) => name).join(', '), textOf(tree.root, 'model')].filter(Boolean).join(' of ');
}

export const PLAN: Verb<FileWorld> = {
  says: 'plan which devices of a board move together',
  help: HELP,
  alone: plan,
};
