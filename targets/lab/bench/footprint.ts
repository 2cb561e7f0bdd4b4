/**
 * What an agent takes that waits for work: bytes on disk, memory, time from exec to its first answer, and a question
 * and its answer, beside QEMU's guest agent on the same kind of socket, and mosquitto_sub. All by the same measure,
 * taking turns.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Json, Lines } from '../../../src/common/lines.ts';
import { bundleFileText } from '../../../src/config/bundle-file.ts';
import { STREAMS } from '../../node/net/streams.ts';
import { ended } from '../../node/system/started.ts';
import { Parties } from '../demo/parties.ts';
import { PANEL, VAULT } from '../machine/board.ts';
import { type Mosquitto, mosquittoProgram, startMosquitto } from './mosquitto.ts';
import type { Report } from './report.ts';
import { median } from './statistics.ts';

/** The built programs are where this one is. */
const DIST = dirname(fileURLToPath(import.meta.url));
const STARTS = 15;
const QUESTIONS = 1_000;
/** Longest wait for an answer, in ms. */
const ANSWER_MS = 10_000;
/** Between two looks whether a program answers: whoever looks all the time has the processor that it needs. */
const LOOK_MS = 1;

/** A program that is measured. */
interface Subject {
  readonly name: string;
  readonly words: readonly string[];
  /** Files that it consists of, besides shared libraries. */
  readonly files: readonly string[];
  readonly socket: string;
  readonly question: Json;
}

/** Figures of one program. */
interface Figures {
  readonly name: string;
  readonly diskBytes: number;
  readonly residentBytes: number;
  readonly proportionalBytes: number;
  readonly startMs: number;
  readonly answerMs: number;
}

/** What others are measured against. */
const REFERENCE = 'qemu-ga';

export async function benchFootprint(report: Report): Promise<void> {
  const testbed = new FootprintTestbed();
  try {
    const subjects = await testbed.subjects(report);
    const starts = new Map(subjects.map(({ name }) => [name, [] as number[]]));
    for (let round = 0; round < STARTS; round++)
      for (const subject of subjects) starts.get(subject.name)!.push(await startMs(subject));
    const all: Figures[] = [];
    for (const subject of subjects)
      all.push({ ...(await atWork(subject)), startMs: median(starts.get(subject.name)!) });
    addRows(report, all);
    await testbed.addSubscriber(report);
  } finally {
    await testbed.stop();
  }
}

function addRows(report: Report, all: readonly Figures[]): void {
  const reference = all.find(({ name }) => name === REFERENCE);
  const measures = [
    ['size', 'diskBytes', 'MB', 1e6],
    ['resident memory', 'residentBytes', 'MB', 1e6],
    ['proportional memory', 'proportionalBytes', 'MB', 1e6],
    ['start to answer', 'startMs', 'ms', 1],
    ['question', 'answerMs', 'ms', 1],
  ] as const;
  for (const [bench, key, unit, scale] of measures) {
    for (const figures of all) {
      const row = { bench, case: figures.name, value: figures[key] / scale, unit };
      if (!reference || figures === reference) report.add(row);
      else {
        // Pages of shared libraries count for qemu-ga by their share of a machine on which many others have them.
        const isHeld =
          figures.name.startsWith('static') && !['question', 'proportional memory'].includes(bench);
        const baseline = { name: REFERENCE, value: reference[key] / scale };
        report.compare({ ...row, baseline }, isHeld ? 1 : undefined);
      }
    }
  }
}

class FootprintTestbed extends Parties {
  #broker: Mosquitto | undefined;

  /** Writes what the programs read; returns those that are here, and tells the report of the others. */
  async subjects(report: Report): Promise<readonly Subject[]> {
    this.write('bundles.json', bundleFileText([PANEL]));
    this.writeKeys();
    // Nobody is at the other end: it answers its own programs all the same.
    this.writeAgent(VAULT, PANEL, { kind: 'stream', address: `unix:${this.path('nobody.sock')}` }, {});
    const config = this.path(`${VAULT}.json`);
    const small = join(DIST, 'quickjs/x86_64');
    const agent = (name: string, words: readonly string[], files: readonly string[]): Subject => ({
      ...{ name, words: [...words, '--config', config], files },
      ...{ socket: this.path(`${VAULT}.sock`), question: { do: 'status' } },
    });
    const qemu = '/usr/sbin/qemu-ga';
    const pipe = this.path('qemu-ga.sock');
    const node = join(DIST, 'baton-agent.mjs');
    const all: readonly Subject[] = [
      {
        ...{ name: REFERENCE, files: [qemu], socket: pipe, question: { execute: 'guest-ping' } },
        words: [qemu, '-m', 'unix-listen', '-p', pipe, '-t', this.folder],
      },
      ...['baton-agent', 'baton-agent-mqtt'].map((file) =>
        agent(`static ${file}`, [join(small, file)], [join(small, file)]),
      ),
      agent('Node baton-agent', [process.execPath, node], [realpathSync(process.execPath), node]),
    ];
    return all.filter((subject) => {
      const absent = subject.files.find((file) => !existsSync(file));
      const remedy = absent === qemu ? 'apt-get install qemu-guest-agent' : 'npm run build:quickjs';
      if (absent) report.skip('footprint', subject.name, `${absent} is not there: ${remedy}`);
      return absent === undefined;
    });
  }

  /** mosquitto_sub answers nobody: its start ends with the first message, which the broker keeps for it. */
  async addSubscriber(report: Report): Promise<void> {
    const program = '/usr/bin/mosquitto_sub';
    const server = mosquittoProgram();
    if (!server || !existsSync(program))
      return report.skip('footprint', 'mosquitto_sub', 'apt-get install mosquitto mosquitto-clients');
    this.#broker = await startMosquitto(server, this.folder);
    const { port } = new URL(this.#broker.tcpUrl);
    const topic = `baton/machine/host/in/${VAULT}`;
    const login = ['-p', port, '-u', VAULT, '-P', `secret of ${VAULT}`];
    const times = Array.from({ length: STARTS }, () => {
      const start = performance.now();
      const { status, stderr } = spawnSync(program, [...login, '-t', topic, '-E']);
      if (status !== 0) throw new Error(`mosquitto_sub: ${stderr}`);
      return performance.now() - start;
    });
    const child = spawn(program, [...login, '-t', topic], { stdio: 'ignore' });
    const memory = await memoryAfter(child, 200).finally(() => child.kill());
    await ended(child);
    const add = (bench: string, value: number, unit: string) =>
      report.add({ bench, case: 'mosquitto_sub', value, unit });
    add('size', diskBytes([program]) / 1e6, 'MB');
    add('resident memory', memory.residentBytes / 1e6, 'MB');
    add('proportional memory', memory.proportionalBytes / 1e6, 'MB');
    add('start to subscribed', median(times), 'ms');
  }

  override async stop(): Promise<void> {
    this.#broker?.stop();
    await super.stop();
  }
}

/** Time from exec to the first answer. */
async function startMs(subject: Subject): Promise<number> {
  rmSync(subject.socket, { force: true });
  const start = performance.now();
  const child = startOf(subject);
  try {
    const asker = await Asker.at(subject.socket);
    await asker.ask(subject.question);
    const ms = performance.now() - start;
    asker.close();
    return ms;
  } finally {
    child.kill('SIGKILL');
    await ended(child);
  }
}

/** What it takes after many questions, and how long one takes. */
async function atWork(subject: Subject): Promise<Omit<Figures, 'startMs'>> {
  rmSync(subject.socket, { force: true });
  const child = startOf(subject);
  try {
    const asker = await Asker.at(subject.socket);
    const times: number[] = [];
    for (let question = 0; question < QUESTIONS; question++) {
      const start = performance.now();
      await asker.ask(subject.question);
      times.push(performance.now() - start);
    }
    const memory = memoryBytes(child.pid!);
    asker.close();
    const { name, files } = subject;
    return { name, diskBytes: diskBytes(files), ...memory, answerMs: median(times) };
  } finally {
    child.kill('SIGKILL');
    await ended(child);
  }
}

function startOf({ words: [program = '', ...words] }: Subject): ChildProcess {
  return spawn(program, words, { stdio: 'ignore' });
}

/** Asks over JSON lines, one question at a time. */
class Asker {
  readonly #lines: Lines;
  #answered: (answer: Json | Error) => void = () => {};

  private constructor(lines: (heard: (answer: Json | Error) => void) => Lines) {
    this.#lines = lines((answer) => this.#answered(answer));
  }

  /** Connects as soon as somebody listens. */
  static async at(path: string): Promise<Asker> {
    const endMs = performance.now() + ANSWER_MS;
    for (;;) {
      const stream = await new Promise<Parameters<Parameters<typeof STREAMS.connect>[1]>[0]>((done) =>
        STREAMS.connect(`unix:${path}`, done),
      );
      if (!(stream instanceof Error)) {
        return new Asker(
          (heard) =>
            new Lines(stream, {
              onLine: heard,
              onBad: (why) => heard(new Error(why)),
              onClose: (why) => heard(new Error(why)),
            }),
        );
      }
      if (performance.now() > endMs) throw stream;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  ask(question: Json): Promise<Json> {
    return new Promise((resolve, reject) => {
      const late = () => this.#answered(new Error(`no answer within ${ANSWER_MS} ms`));
      const limit = setTimeout(late, ANSWER_MS);
      this.#answered = (answer) => {
        clearTimeout(limit);
        this.#answered = () => {};
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      };
      this.#lines.send(question);
    });
  }

  close(): void {
    this.#lines.close();
  }
}

/** The same after `ms`. */
async function memoryAfter(child: ChildProcess, ms: number): Promise<ReturnType<typeof memoryBytes>> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return memoryBytes(child.pid!);
}

/** What the kernel counts of a process. Proportional: pages that are shared count by their share. */
function memoryBytes(pid: number): { residentBytes: number; proportionalBytes: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const bytes = (what: string) => {
    const [, kib] = new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(rollup) ?? [];
    if (kib === undefined) throw new Error(`/proc/${pid}/smaps_rollup has no ${what}`);
    return Number(kib) * 1024;
  };
  return { residentBytes: bytes('Rss'), proportionalBytes: bytes('Pss') };
}

/** Of files, and of the shared libraries that they load besides the C library's own. */
function diskBytes(files: readonly string[]): number {
  const libraries = files.flatMap((file) => {
    const { stdout } = spawnSync('ldd', [file], { encoding: 'utf8' });
    return [...(stdout ?? '').matchAll(/=> (\/\S+)/g)].map(([, path]) => path!);
  });
  const others = libraries.filter((path) => !/\/(libc|libm|libdl|libpthread|librt)\.so\./.test(path));
  return [...files, ...others].reduce((sum, path) => sum + statSync(realpathSync(path)).size, 0);
}
