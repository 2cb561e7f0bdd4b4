/**
 * The stage of the scenarios that agents on every engine play as processes. Each step is a line, and below it stands,
 * by party, what was to be seen of it: what programs were told over the control sockets, what the host wrote down,
 * what the drivers did.
 *
 * A step ends when every party is where it is to be, and has told all that it tells on the way there. Nobody promises
 * an order between what two parties tell, so each has lines of its own; only the drivers write into one file, in the
 * order of the machine.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { ControlClient } from '../../src/cli/world.ts';
import type { Json } from '../../src/common/lines.ts';
import { HOST, type VmId } from '../../src/core/protocol/ids.ts';
import { readJournal } from '../../src/drivers/journal/format.ts';
import type { Cast } from '../../targets/lab/demo/demo-testbed.ts';
import type { Told } from '../../targets/lab/demo/parties.ts';
import { ANDROID, PANEL, VAULT } from '../../targets/lab/machine/board.ts';
import { paced } from '../support/pace.ts';
import { BORROW, StreamTestbed, type Way } from './stream-testbed.ts';

/** Longest step, in ms: a start of Node, or of an emulated processor, while every core is busy. */
const STEP_MS = paced(10_000);

/** Where a step is to end: states of both agents, and who holds. A party that is not named is not running. */
export interface Rest {
  readonly android?: string;
  readonly vault?: string;
  readonly holder: VmId;
}

export const BACK: Rest = { android: 'held', vault: 'idle', holder: ANDROID };
export const LENT: Rest = { android: 'lent', vault: 'held', holder: VAULT };

/** Fields that tell a time, or what is told elsewhere. */
const UNSHOWN = new Set([
  'id',
  'ok',
  'event',
  'bundle',
  'leaseLeftMs',
  'retryAfterMs',
  'error',
  'message',
  'code',
]);

/**
 * The driver of a VM: active while a file is there. It waits where there is a gate, for ten seconds at most, and
 * writes down what it did. Arguments: the VM, the testbed's folder.
 */
const DRIVER = `
cd "$2" || exit 1
case $BATON_HOOK in
  inspect) if [ -e "active-$1" ]; then echo active; else echo suspended; fi ;;
  suspend)
    tries=0
    while [ -e "gate-$1" ] && [ $tries -lt 1000 ]; do sleep 0.01; tries=$((tries + 1)); done
    rm -f "active-$1"
    echo "$1 is suspended at $BATON_EPOCH" >> drivers ;;
  resume)
    echo "$1 is resumed at $BATON_EPOCH" >> drivers
    : > "active-$1" ;;
esac
`;

export class Stage {
  readonly testbed: StreamTestbed;
  /** The transcript so far. */
  lines: string[] = [];
  /** The last connection that a program made, and what it heard on it. */
  #program: ControlClient | undefined;
  #heard: string[] = [];
  #answers: string[] = [];
  readonly #cast: Cast;
  #epoch = 0;
  /** Who is in a new life since the step began: what it told before somebody listened, nobody knows. */
  readonly #fresh = new Set<VmId>();
  /** Lines of files that were shown already. */
  readonly #shown = new Map<string, number>();

  constructor(cast: Cast, way: Way) {
    this.testbed = new StreamTestbed(cast, way);
    this.#cast = cast;
  }

  async start(): Promise<void> {
    writeFileSync(this.testbed.file('driver.sh'), DRIVER);
    writeFileSync(this.testbed.file(`active-${ANDROID}`), '');
    const hooks = (vm: VmId) => {
      const command = ['/bin/sh', this.testbed.file('driver.sh'), vm, this.testbed.folder];
      const step = { kind: 'command', command, limitMs: STEP_MS };
      return { suspend: [step], resume: [step], inspect: { kind: 'command', command } };
    };
    await this.testbed.start({ [ANDROID]: hooks(ANDROID), [VAULT]: hooks(VAULT) }, { logLevel: 'debug' });
    await this.#arrive(BACK);
  }

  /** Begins a transcript: everything is back, nothing of before counts. */
  async begin(title: string): Promise<void> {
    this.leave();
    await this.#arrive(BACK);
    this.#epoch = Number((await this.testbed.view())['epoch']);
    this.#news();
    this.lines = [`# ${title}`];
  }

  /** Does something, waits until it came to rest, and notes what was seen. */
  async step(words: string, rest: Rest, act: () => unknown): Promise<void> {
    await act();
    await this.#arrive(rest);
    const { holder, epoch } = await this.testbed.view();
    for (const vm of this.#fresh) {
      const { bundles } = await this.testbed.ask(vm, { do: 'status' });
      this.#answers.push(
        `a new life of ${vm}: ${this.#agentWords({ event: 'changed', ...(bundles as Json[])[0] })}`,
      );
    }
    const news = this.#news();
    this.lines.push('', `> ${words}`, ...news, `  ${holder} holds at ${this.#at(epoch)}`);
  }

  /** A program asks for the bundle, and notes what it is answered. Does not wait for it. */
  async ask(terms: Json = {}): Promise<void> {
    if (!this.#program) await this.#connect();
    void this.#request(this.#program!, { ...BORROW, ...terms });
  }

  /** The program that asked last gives back, or withdraws; resolves when it was answered. */
  async giveBack(): Promise<void> {
    await this.#request(this.#program!, { do: 'return', bundle: PANEL.id });
  }

  /** The program that holds extends its lease; resolves when it was answered. */
  async renew(leaseMs: number): Promise<void> {
    await this.#request(this.#program!, { do: 'renew', bundle: PANEL.id, leaseMs });
  }

  /** Another program asks; resolves when it was answered. */
  async askAsAnother(): Promise<void> {
    const other = await this.testbed.program(VAULT);
    await this.#request(other, BORROW, 'another program');
    other.close();
  }

  /** The program that asked last ends without a word. */
  leave(): void {
    this.#program?.close();
    this.#program = undefined;
  }

  /** Waits until the program was told something. */
  async hears(what: string): Promise<void> {
    const said = () => [...this.#heard, ...this.#answers].some((line) => line.includes(what));
    await this.testbed.until(`the program is told ${what}`, STEP_MS, said);
  }

  /** Waits until an agent's log has a new line with these words: what it does not tell on its socket. */
  logs(vm: VmId, words: string): Promise<void> {
    const from = this.testbed.said.get(vm)!.length;
    return this.testbed.until(`${vm} logs ${words}`, STEP_MS, () =>
      this.testbed.said.get(vm)!.slice(from).includes(words),
    );
  }

  async recall(graceMs: number): Promise<void> {
    const answer = await this.testbed.ask(ANDROID, { do: 'recall', bundle: PANEL.id, graceMs });
    this.#answers.push(`the owner's program, recall: ${wordsOf(answer)}`);
  }

  async kill(vm: VmId): Promise<void> {
    await this.testbed.killAgent(vm);
    if (vm === VAULT) this.leave();
  }

  /** The next run of an agent that was killed, on the engine of `like`. */
  async startAgain(vm: VmId, like: VmId = vm): Promise<void> {
    this.#fresh.add(vm);
    const reads = this.logs(vm, 'last attempt according to the journal');
    await Promise.all([reads, this.testbed.startAgent(vm, this.#cast.agents[like]!)]);
  }

  /** Ends an agent in peace, and starts it on its own engine: no part of a transcript. */
  async restore(vm: VmId): Promise<void> {
    await this.testbed.killAgent(vm, 'SIGTERM');
    await this.startAgain(vm);
  }

  /** A second agent over the same files, on the engine of `like`; resolves when it has ended. */
  async twin(vm: VmId, like: VmId): Promise<void> {
    const from = this.testbed.said.get(vm)!.length;
    const twin = this.testbed.agentProcess(vm, this.#cast.agents[like]!);
    const status = await new Promise((resolve) => twin.once('close', resolve));
    const why = this.testbed.said
      .get(vm)!
      .slice(from)
      .match(/another process uses this state folder/)?.[0];
    this.#answers.push(`a second agent of ${vm}: ends with status ${status}: ${why}`);
  }

  /** Suspending the driver of a VM takes until the gate is opened. */
  shut(vm: VmId): void {
    writeFileSync(this.testbed.file(`gate-${vm}`), '');
  }

  open(vm: VmId): void {
    rmSync(this.testbed.file(`gate-${vm}`), { force: true });
  }

  async stop(): Promise<void> {
    for (const vm of [ANDROID, VAULT]) if (existsSync(this.testbed.file(`gate-${vm}`))) this.open(vm);
    this.#program?.close();
    await this.testbed.stop();
  }

  async #connect(): Promise<void> {
    this.#program = await this.testbed.program(VAULT);
    this.#program.onEvent((event) => this.#heard.push(`the program is told: ${wordsOf(event)}`));
  }

  async #request(client: ControlClient, request: Json, who = 'the program'): Promise<void> {
    const answer = await client.request(request).catch(() => ({ event: 'the connection ended' }));
    this.#answers.push(`${who}, ${request['do']}: ${wordsOf(answer)}`);
  }

  /** Waits until every party is where it is to be; then it has told all that it told on the way. */
  async #arrive({ holder, ...states }: Rest): Promise<void> {
    await this.testbed.until(`rest: ${JSON.stringify(states)}, ${holder} holds`, STEP_MS, async () => {
      const running = Object.keys(states);
      for (const [vm, state] of Object.entries(states))
        if ((await this.testbed.stateOf(vm as VmId)) !== state || !(await this.#hears(vm, running)))
          return false;
      const view = await this.testbed.view();
      return view['holder'] === holder && view['state'] === 'held' && view['confirmed'] === true;
    });
    // Its connection is another one: what was said on it before this answer has arrived with it.
    if (states.vault !== undefined) await this.#program?.request({ do: 'status' });
  }

  /**
   * Whether a party has a session with the host, and with whoever else runs: what is asked before comes later, or in
   * another way.
   */
  async #hears(vm: string, running: readonly string[]): Promise<boolean> {
    const { peers } = await this.testbed.ask(vm, { do: 'status' });
    const others = (peers as Json[]).filter(({ peer }) => peer === HOST || running.includes(String(peer)));
    return others.every(({ up }) => up === true);
  }

  /** What was seen since the last call, by party. */
  #news(): string[] {
    const told = this.testbed.told.splice(0);
    const by = (who: Told['by']) => told.filter((each) => each.by === who).map(({ event }) => event);
    const agents = [ANDROID, VAULT].flatMap((vm) => {
      if (this.#fresh.has(vm)) return [];
      return by(vm as 'android').map((event) => `agent of ${vm}: ${this.#agentWords(event)}`);
    });
    const host = by('host').flatMap((event) => this.#hostWords(event));
    const news = [
      ...this.#answers.splice(0).map((line) => this.#relative(line)),
      ...this.#heard.splice(0).map((line) => this.#relative(line)),
      ...agents,
      ...host,
      ...this.#written('host-state/audit.jsonl')
        .map((line) => this.#auditWords(line))
        // With a notice of 0 ms the release and the end of the notice race: who is first is not what is compared.
        .filter((words) => !words.startsWith('overdue'))
        .map((words) => `audit log: ${words}`),
      ...[ANDROID, VAULT].flatMap((vm) => this.#journal(vm)),
      ...this.#written('drivers').map((line) => `driver of ${this.#relative(line)}`),
    ];
    this.#fresh.clear();
    // Not all that changes is shown. What is done twice stands there twice.
    const isView = (line: string) => /^(host: |agent of \w+: \w+, driver )/.test(line);
    return news.filter((line, index) => line !== news[index - 1] || !isView(line)).map((line) => `  ${line}`);
  }

  #agentWords(event: Json): string {
    if (event['event'] !== 'changed') return this.#relative(wordsOf(event));
    const { state, driver, holder, epoch } = event;
    return `${state}, driver ${driver}, holder ${holder ?? 'nobody'} at ${this.#at(epoch)}`;
  }

  #hostWords(event: Json): string[] {
    if (event['event'] !== 'changed') return [];
    const { state, holder, epoch, confirmed } = event;
    return [
      `host: ${state}, holder ${holder ?? 'nobody'} at ${this.#at(epoch)}${confirmed === true ? ', confirmed' : ''}`,
    ];
  }

  #auditWords(line: string): string {
    const { event, epoch, holder, detail } = JSON.parse(line) as Json;
    const more = detail === undefined ? '' : ` (${detail})`;
    return `${event}${more}, holder ${holder ?? 'nobody'} at ${this.#at(epoch)}`;
  }

  #journal(vm: VmId): string[] {
    const name = `state-${vm}/agent.journal`;
    if (!existsSync(this.testbed.file(name))) return []; // the first record makes it
    const journal = readJournal(readFileSync(this.testbed.file(name)));
    if (!journal.ok) throw new Error(`${name}: ${journal.error}`);
    return this.#fromLast(name, journal.bodies).map((body) => {
      const { attempt, epoch } = JSON.parse(Buffer.from(body).toString()) as Json;
      return `journal of ${vm}: ${attempt} at ${this.#at(epoch)}`;
    });
  }

  /** Lines of a file that were not shown yet. */
  #written(name: string): string[] {
    if (!existsSync(this.testbed.file(name))) return [];
    return this.#fromLast(name, readFileSync(this.testbed.file(name), 'utf8').trimEnd().split('\n'));
  }

  #fromLast<T>(name: string, all: readonly T[]): readonly T[] & T[] {
    const fresh = all.slice(this.#shown.get(name) ?? 0);
    this.#shown.set(name, all.length);
    return fresh;
  }

  /** An epoch, counted from the one at which the transcript began. */
  #at(epoch: unknown): string {
    const since = Number(epoch) - this.#epoch;
    return since === 0 ? 'E' : `E${since > 0 ? '+' : ''}${since}`;
  }

  #relative(text: string): string {
    return text.replace(/\b(at|epoch) (\d+)$|\bepoch (\d+)/g, (_, word = 'epoch', end, middle) => {
      return `${word} ${this.#at(end ?? middle)}`;
    });
  }
}

/** An answer or an event in words: what it is, and its fields. */
function wordsOf(message: Json): string {
  const error = message['ok'] === false ? (message['error'] as Json) : undefined;
  const { event = message['ok'] === true ? 'ok' : error?.['code'] } = message;
  const fields = Object.entries({ ...error, ...message }).flatMap(([name, value]) =>
    UNSHOWN.has(name) ? [] : [`${name} ${value}`],
  );
  return [error ? `refused: ${error['code']}` : event, ...fields].join(', ');
}
