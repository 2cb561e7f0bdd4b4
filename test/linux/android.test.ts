/**
 * The service of Android's init and its SELinux policy, as far as that can be told without Android: the grammar of
 * init's language, and that all name the same program, folders and types.
 */

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const read = (name: string) =>
  readFileSync(new URL(`../../targets/linux/android/${name}`, import.meta.url), 'utf8');

/**
 * Option of a service → how many words follow it. From "Android Init Language" (system/core/init/README.md), as far
 * as agents could want it.
 */
const OPTIONS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  capabilities: [0, 64],
  class: [1, 8],
  console: [0, 1],
  critical: [0, 2],
  disabled: [0, 0],
  group: [1, 13],
  ioprio: [2, 2],
  memcg: [1, 1],
  namespace: [1, 2],
  oneshot: [0, 0],
  onrestart: [1, 64],
  oom_score_adjust: [1, 1],
  priority: [1, 1],
  restart_period: [1, 1],
  rlimit: [3, 3],
  seclabel: [1, 1],
  setenv: [2, 2],
  shutdown: [1, 1],
  socket: [3, 6],
  task_profiles: [1, 64],
  timeout_period: [1, 1],
  user: [1, 1],
  writepid: [1, 64],
};
/** The same of commands after a trigger. */
const COMMANDS: typeof OPTIONS = {
  chmod: [2, 2],
  chown: [2, 3],
  enable: [1, 1],
  mkdir: [1, 8],
  restorecon: [1, 8],
  setprop: [2, 2],
  start: [1, 1],
  symlink: [2, 2],
  write: [2, 2],
};
/** init's own events, or a property that gets a value. */
const EVENT = /early-init|init|late-init|early-fs|fs|post-fs|late-fs|post-fs-data|boot|early-boot|charger/;
const PROPERTY = /property:[\w.-]+=\S+/;
const TRIGGER = new RegExp(`^(${EVENT.source}|${PROPERTY.source})( && ${PROPERTY.source})*$`);

/** What is wrong with a file in init's language, a sentence each. */
function faultsOf(text: string): string[] {
  const faults: string[] = [];
  let known: typeof OPTIONS | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const [first = '', ...words] = line.trim().split(/\s+/);
    const fault = (words: string) => faults.push(`line ${index + 1}: ${words}`);
    if (first === '' || first.startsWith('#')) continue;
    if (first === 'on') {
      known = COMMANDS;
      if (!TRIGGER.test(words.join(' '))) fault(`no trigger: ${words.join(' ')}`);
    } else if (first === 'service') {
      known = OPTIONS;
      const [name = '', path = ''] = words;
      if (!/^[\w.-]{1,64}$/.test(name) || !path.startsWith('/')) fault('a service has a name and a path');
    } else if (known === undefined) fault('nothing has begun');
    else {
      const [least, most] = known[first] ?? [];
      if (least === undefined) fault(`${first}: no such word here`);
      else if (words.length < least || words.length > most!)
        fault(`${first}: ${words.length} words after it`);
    }
  }
  return faults;
}

describe('baton-agent.rc', () => {
  const text = read('baton-agent.rc');
  const service = /^service .*\n(?: .*\n?)*/m.exec(text)![0];

  it('is in the language of init', () => {
    expect(faultsOf(text)).toEqual([]);
  });

  it.each([
    ['user system', 'usr system', 'usr: no such word here'],
    ['user system', 'user', 'user: 0 words after it'],
    ['on post-fs-data', 'on post-fs-datum', 'no trigger: post-fs-datum'],
    ['    mkdir', 'mkdirr', 'mkdirr: no such word here'],
  ])('with %s as %s is not', (from, to, fault) => {
    expect(faultsOf(text.replace(from, to)).join()).toContain(fault);
  });

  it('does not run as root, and starts the agent again', () => {
    expect(service).toMatch(/^ +user system$/m);
    expect(service).not.toMatch(/^ +oneshot$/m);
    expect(text).toContain('start baton-agent\n');
  });

  it('makes the folders that its README configures', () => {
    const [, state] = /"state": "(.*?)"/.exec(read('README.md'))!;
    const [, control] = /"control": "(.*?)"/.exec(read('README.md'))!;
    const made = [...text.matchAll(/^ +mkdir (\S+) 0700 system system$/gm)].map(([, path]) => path);
    expect(made).toEqual(['/data/vendor/baton', state]);
    expect(control).toMatch(/^\/data\/vendor\/baton\/\w+$/);
  });
});

describe('the policy', () => {
  const te = read('sepolicy/baton_agent.te');
  const code = te.replace(/#.*$/gm, '');
  const declared = [...code.matchAll(/^type (\w+)/gm)].map(([, name]) => name!);

  it('declares the types that files get, and gives each some file', () => {
    const contexts = `${read('sepolicy/file_contexts')}\n${read('sepolicy/genfs_contexts')}`;
    const lines = contexts.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const labels = lines.map((line) => {
      const [, type] = /^(?:\/\S+|genfscon sysfs \/\S+)\s+u:object_r:(\w+):s0$/.exec(line) ?? [];
      expect(type, line).toBeDefined();
      return type!;
    });
    // The process's own type is no file's.
    expect([...new Set(labels)].sort()).toEqual(declared.filter((name) => name !== 'baton_agent').sort());
  });

  it('is for the program and the folder of the service', () => {
    const [, program] = /^service \S+ (\S+)/m.exec(read('baton-agent.rc'))!;
    expect(read('sepolicy/file_contexts')).toContain(`${program} `);
    expect(read('sepolicy/file_contexts')).toContain('/data/vendor/baton(/.*)?');
  });

  it('consists of rules that end', () => {
    const rules = code.split('\n').filter((line) => line.trim() !== '');
    const rule = /^(type \w+(, \w+)*;|allow \w+ \w+:\w+ \w+;|\w+\(\w+(, \w+)*\))$/;
    expect(rules.filter((line) => !rule.test(line))).toEqual([]);
    const subjects = [...code.matchAll(/^allow (\w+)/gm)].map(([, name]) => name);
    expect(new Set(subjects)).toEqual(new Set(['baton_agent']));
  });
});
