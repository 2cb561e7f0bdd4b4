/**
 * The contract between the `command` enforcer and its executable, and the check of every answer.
 *
 * One request line, one answer line, both JSON objects in UTF-8 without line breaks inside.
 *   {"hello":1} -> {"name":"xen","kind":"central","evidence":"observed","machineBoot":"b7","running":["android"],
 *     "capabilities":{"forceRevoke":true,"reset":true,"faultReport":false}}; "vmsOutliveHost":true may be added
 *   {"bundle":"panel","calls":[{"op":"fence","resource":"touch.mmio0","kind":"mmio","physical":…,"bytes":…},
 *     {"op":"settle"},{"op":"reset","device":"touch"},{"op":"grant","resource":…,"vm":…,"view":…},…]}
 *     -> {"answers":[{"ok":true},{"ok":true,"syncs":1},…,{"ok":false,"error":"why"}]}: in order, the failed one last;
 *     "idle" answers drained, "reach" inspect; "before" and "after" of grant are hex
 *   {"acknowledgeStart":"vm"}, {"acknowledgeExit":"vm"}, {"poll":1} -> {}
 * Any answer may add "running":[vm…], "events":[{"kind":"vmStarting","vm":…}…] and "faults":[FaultRecord…].
 */

import { EVIDENCE_LEVELS } from '../../../../core/protocol/codes.ts';
import { isId, isUint32, isVm, type VmId } from '../../../../core/protocol/ids.ts';
import { ENTRY_BYTES_MAX } from '../../../../core/protocol/messages.ts';
import type {
  EnforcerAnswer,
  EnforcerCall,
  EnforcerDescription,
  EnforcerEvent,
  FaultRecord,
} from '../../../../ports/enforcer.ts';

/** Longest answer line in characters: answers to the calls of the largest bundle and a full set of faults. */
export const LINE_CHARS_MAX = 65_536;
/** Most faults or events of one answer that are processed. */
export const EXTRAS_MAX = 128;
/** Longest text accepted from an executable, in characters. */
const TEXT_MAX = 200;

/** The description that the executable gives of itself. */
export interface Hello {
  readonly description: EnforcerDescription;
  readonly machineBoot: string;
  readonly running: readonly VmId[];
}

/** Optional parts of any answer. */
export interface Extras {
  readonly running?: readonly VmId[];
  readonly events: readonly EnforcerEvent[];
  readonly faults: readonly FaultRecord[];
  /** The first part that violates the contract; undefined: none. */
  readonly refused?: string;
}

type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };
type Fields = Readonly<Record<string, unknown>>;

/** Parses the answer to `hello`. */
export function parseHello(line: string): Parsed<Hello> {
  const fields = parseLine(line);
  if (fields === undefined) return failure('the answer to hello is not a JSON object');
  const { name, kind, evidence, machineBoot } = fields;
  if (typeof name !== 'string' || name.length > TEXT_MAX) return failure('hello: name is missing');
  if (kind !== 'central' && kind !== 'party') return failure('hello: kind is neither central nor party');
  const level = EVIDENCE_LEVELS.find((known) => known === evidence);
  if (level === undefined) return failure(`hello: evidence is none of ${EVIDENCE_LEVELS.join(', ')}`);
  if (typeof machineBoot !== 'string' || machineBoot.length > TEXT_MAX)
    return failure('hello: no machineBoot');
  const running = parseVms(fields['running']);
  if (running === undefined) return failure('hello: running is not a list of VM names');
  const capabilities = parseCapabilities(fields['capabilities']);
  if (capabilities === undefined) return failure(`hello: capabilities need forceRevoke, reset, faultReport`);
  return {
    ok: true,
    value: { description: { name, kind, evidence: level, capabilities }, machineBoot, running },
  };
}

/** Parses the answers to `calls`. An invalid answer becomes a failed one, and ends the list. */
export function parseAnswers(line: string, calls: readonly EnforcerCall[]): readonly EnforcerAnswer[] {
  const list = parseLine(line)?.['answers'];
  if (!Array.isArray(list)) return [failure('the command answered no list of answers')];
  const answers: EnforcerAnswer[] = [];
  for (const call of calls) {
    const answer = parseAnswer(list[answers.length], call);
    answers.push(answer);
    if (!answer.ok) break;
  }
  return answers;
}

/**
 * Parses the optional parts of an answer. Invalid parts are omitted and named in `refused`. Too many events make the
 * platform lost, since a start or an exit would otherwise be missed.
 */
export function parseExtras(line: string): Extras {
  const fields = parseLine(line) ?? {};
  const running = parseVms(fields['running']);
  const said = [listOf(fields['events']), listOf(fields['faults'])] as const;
  const events = said[0].slice(0, EXTRAS_MAX).flatMap(parseEvent);
  const faults = said[1].slice(0, EXTRAS_MAX).flatMap(parseFault);
  if (said[0].length > EXTRAS_MAX)
    events.push({ kind: 'lost', error: `${said[0].length} events in one answer: at most ${EXTRAS_MAX}` });
  const wrong = [
    ...(fields['running'] === undefined || running !== undefined ? [] : [fields['running']]),
    ...said[0].filter((event) => parseEvent(event).length === 0),
    ...said[1].slice(0, EXTRAS_MAX).filter((fault) => parseFault(fault).length === 0),
  ];
  return {
    ...(running === undefined ? {} : { running }),
    events,
    faults,
    ...(wrong.length === 0 ? {} : { refused: String(JSON.stringify(wrong[0])).slice(0, TEXT_MAX) }),
  };
}

/** Returns why an answer does not confirm its request; undefined when it does. */
export function whyNotTaken(line: string): string | undefined {
  const fields = parseLine(line);
  if (fields === undefined) return 'the answer is not a JSON object';
  if (fields['ok'] !== false) return undefined;
  const { error } = fields;
  return typeof error === 'string' ? error.slice(0, TEXT_MAX) : 'the answer has "ok": false';
}

function parseAnswer(value: unknown, call: EnforcerCall): EnforcerAnswer {
  const fields = asFields(value);
  if (fields === undefined) return failure(`the command answered nothing to ${call.op}`);
  if (fields['ok'] === false) {
    const { error } = fields;
    return failure(typeof error === 'string' ? error.slice(0, TEXT_MAX) : `${call.op} failed`);
  }
  if (fields['ok'] !== true) return failure(`the command’s answer to ${call.op} has no ok`);
  const { idle, reach, syncs } = fields;
  if (call.op === 'drained') {
    return typeof idle === 'boolean' ? { ok: true, idle } : failure('drained: idle is missing');
  }
  if (call.op === 'inspect') {
    return isVm(reach) || reach === 'blocked' || reach === 'unknown'
      ? { ok: true, reach }
      : failure('inspect: reach is neither a VM, "blocked" nor "unknown"');
  }
  if (call.op === 'settle') return isUint32(syncs) ? { ok: true, syncs } : { ok: true };
  if (call.op !== 'grant') return { ok: true };
  const before = parseHex(fields['before']);
  const after = parseHex(fields['after']);
  return { ok: true, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) };
}

function parseEvent(value: unknown): EnforcerEvent[] {
  const fields = asFields(value);
  const { kind, vm, error } = fields ?? {};
  if (kind === 'lost')
    return [{ kind, error: typeof error === 'string' ? error.slice(0, TEXT_MAX) : 'lost' }];
  if ((kind !== 'vmStarting' && kind !== 'vmExited') || !isVm(vm)) return [];
  return [{ kind, vm }];
}

function parseFault(value: unknown): FaultRecord[] {
  const fields = asFields(value);
  if (fields === undefined) return [];
  const { by, address, write, event, count, lost, stream } = fields;
  if (by !== 'cpu' && by !== 'dma') return [];
  if (typeof address !== 'number' || !Number.isSafeInteger(address) || address < 0) return [];
  if (typeof write !== 'boolean' || typeof event !== 'string') return [];
  return [
    {
      by,
      address,
      write,
      event: event.slice(0, TEXT_MAX),
      count: isUint32(count) && count > 0 ? count : 1,
      lost: lost === true,
      ...(isUint32(stream) ? { stream } : {}),
      ...names(fields),
    },
  ];
}

function names(fields: Fields): Pick<FaultRecord, 'vm' | 'bundle' | 'resource'> {
  const named = NAMES.flatMap((name) => (isName(name, fields[name]) ? [[name, fields[name]]] : []));
  return Object.fromEntries(named) as Pick<FaultRecord, 'vm' | 'bundle' | 'resource'>;
}

function parseCapabilities(value: unknown): EnforcerDescription['capabilities'] | undefined {
  const fields = asFields(value);
  const { forceRevoke, reset, faultReport, vmsOutliveHost = false } = fields ?? {};
  const flags = { forceRevoke, reset, faultReport, vmsOutliveHost };
  if (!Object.values(flags).every((flag) => typeof flag === 'boolean')) return undefined;
  return flags as EnforcerDescription['capabilities'];
}

function parseVms(value: unknown): readonly VmId[] | undefined {
  return Array.isArray(value) && value.every(isVm) ? value : undefined;
}

function parseHex(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'string' || value.length > ENTRY_BYTES_MAX * 2) return undefined;
  if (!/^([0-9a-f]{2})+$/.test(value)) return undefined;
  return Uint8Array.from(value.match(/../g)!, (pair) => Number.parseInt(pair, 16));
}

function parseLine(line: string): Fields | undefined {
  if (line.length > LINE_CHARS_MAX) return undefined;
  try {
    return asFields(JSON.parse(line));
  } catch {
    return undefined; // Not JSON: the caller says which answer is missing.
  }
}

function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function failure(error: string): { readonly ok: false; readonly error: string } {
  return { ok: false, error };
}

const NAMES = ['vm', 'bundle', 'resource'] as const;

/** A resource is named by its device, a dot, its kind and a number: longer than any other name. */
function isName(name: string, value: unknown): boolean {
  return name === 'resource'
    ? typeof value === 'string' && RESOURCE_PATTERN.test(value)
    : name === 'vm'
      ? isVm(value)
      : isId(value);
}

const RESOURCE_PATTERN = /^[a-z][a-z0-9._-]{0,31}\.[a-z]+[0-9]{1,2}$/;
