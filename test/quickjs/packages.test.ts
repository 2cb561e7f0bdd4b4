/**
 * dist/linux: the source archive builds with an ordinary compiler, and the recipes of Buildroot and Yocto carry it
 * through to a file system. Neither is here: what they do for a recipe stands in, over the recipe's own words.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VERSION } from '../../targets/node/program/version.ts';
import { packSource } from '../../targets/quickjs/build/archive.ts';
import { Engine, HOST } from '../../targets/quickjs/build/engine.ts';
import { paced } from '../support/pace.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LINUX = join(ROOT, 'dist/linux');
const NAME = `baton-agent-${VERSION}`;
const ARCHIVE = join(LINUX, `${NAME}.tar.xz`);
const read = (file: string) => readFileSync(join(LINUX, file), 'utf8');
/** Longest build, in ms: 6 s on a quiet machine. */
const BUILD_MS = paced(120_000);

const folder = mkdtempSync(join(tmpdir(), 'baton-packages-'));
const at = (path: string) => join(folder, path);
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a program. Throws with its words unless it ends with status 0. */
function run(program: string, args: readonly string[], cwd = folder): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    timeout: BUILD_MS,
  });
  if (status !== 0)
    throw new Error(`${program} ${args.join(' ')}: ${status} ${error ?? ''}\n${stdout}${stderr}`);
  return stdout;
}
const hash = (kind: string, file: string) => createHash(kind).update(readFileSync(file)).digest('hex');

/**
 * As package/pkg-generic.mk: the variables of the environment, and its phases. Where that fetches, this takes what
 * the URL names, and holds it to the hash as that does.
 */
const BUILDROOT = `
qstrip = $(strip $(subst ",,$(1)))
TARGET_MAKE_ENV = PATH="$(PATH)"
TARGET_CONFIGURE_OPTS = CC="cc" CFLAGS="-O0" LDFLAGS=""
INSTALL = install
TARGET_DIR = $(CURDIR)/target
BR2_PACKAGE_BATON_AGENT_SITE = "file://${LINUX}"
define generic-package
source:
	cp $$(patsubst file://%,%,$$(BATON_AGENT_SITE))/$$(BATON_AGENT_SOURCE) .
	grep $$(BATON_AGENT_SOURCE) ${LINUX}/buildroot/baton-agent/baton-agent.hash | sed 's/^sha256 *//' | sha256sum -c -
	mkdir -p build && tar -xJf $$(BATON_AGENT_SOURCE) -C build --strip-components=1
	cd build && grep LICENSE ${LINUX}/buildroot/baton-agent/baton-agent.hash | sed 's/^sha256 *//' | sha256sum -c -
$$(CURDIR)/build/built:
	$$(BATON_AGENT_BUILD_CMDS)
$$(CURDIR)/build/installed:
	$$(BATON_AGENT_INSTALL_TARGET_CMDS)
	$$(BATON_AGENT_INSTALL_INIT_SYSTEMD)
endef
include ${LINUX}/buildroot/baton-agent/baton-agent.mk
`;

const make = (...words: string[]) => run('make', ['-f', 'stub.mk', ...words]);
const phase = (name: string) => at(`build/${name}`);

beforeAll(() => {
  writeFileSync(at('stub.mk'), BUILDROOT);
  make('source');
  make(phase('built'), 'BR2_PACKAGE_BATON_AGENT_MQTT=');
}, BUILD_MS);

describe('the source archive', () => {
  it('is the same when it is made again', () => {
    const bytecodes = Object.fromEntries(['agent.c', 'agent-mqtt.c'].map((name) => [name, phase(name)]));
    const again = packSource(ROOT, new Engine(ROOT, HOST).headers, bytecodes, at('again'));
    expect(hash('sha256', again)).toBe(hash('sha256', ARCHIVE));
  });

  it('has what it is built from, and nothing that runs while it is built but its Makefile', () => {
    const files = run('tar', ['-tJf', ARCHIVE])
      .split('\n')
      .filter((name) => name !== '' && !name.endsWith('/'));
    const odd = files.filter(
      (name) => !/\.[ch]$|\/(Makefile|LICENSE|[\w-]+\.service|[\w-]+\.conf)$/.test(name),
    );
    expect(odd).toEqual([]);
    expect(files.every((name) => name.startsWith(`${NAME}/`))).toBe(true);
    expect(readFileSync(phase('Makefile'), 'utf8')).not.toMatch(/curl|wget|git|https?:/);
  });
});

describe('the package for Buildroot', () => {
  it('installs the program by both names, and the units', () => {
    make(phase('installed'));
    const bin = at('target/usr/bin');
    expect(readdirSync(bin).sort()).toEqual(['baton', 'baton-agent']);
    expect(readlinkSync(join(bin, 'baton'))).toBe('baton-agent');
    expect(run(join(bin, 'baton-agent'), ['--version'])).toBe(`baton-agent ${VERSION}\n`);
    expect(run(join(bin, 'baton'), ['--version'])).toBe(`baton ${VERSION}\n`);
    expect(statSync(at('target/etc/baton')).mode & 0o777).toBe(0o700);
    expect(readdirSync(at('target/usr/lib/systemd/system')).sort()).toEqual([
      'baton-agent.service',
      'baton-sleep.service',
    ]);
  });

  it('builds what speaks MQTT when it is told to', () => {
    const words = make('-n', '-B', phase('built'), 'BR2_PACKAGE_BATON_AGENT_MQTT=y');
    expect(words).toContain(' MQTT=yes');
    expect(make('-n', '-B', phase('built'), 'BR2_PACKAGE_BATON_AGENT_MQTT=')).toContain(' MQTT=no');
  });

  it('does not take another archive', () => {
    const other = at('other');
    mkdirSync(other, { recursive: true });
    writeFileSync(join(other, `${NAME}.tar.xz`), 'not ours');
    expect(() => make('source', `BR2_PACKAGE_BATON_AGENT_SITE="file://${other}"`)).toThrow(/FAILED/);
  });

  it('has options that its rules use', () => {
    const config = read('buildroot/baton-agent/Config.in');
    const options = [...config.matchAll(/^config (\w+)$/gm)].map(([, name]) => name!);
    const used = [...read('buildroot/baton-agent/baton-agent.mk').matchAll(/BR2_PACKAGE_\w+/g)].map(
      ([name]) => name,
    );
    expect(options).toEqual(['BR2_PACKAGE_BATON_AGENT', ...new Set(used)]);
    expect(config.split('\nif ').length).toBe(config.split('\nendif').length);
  });
});

describe('the recipe for Yocto', () => {
  const recipe = () => read(`yocto/baton-agent_${VERSION}.bb`);
  /** Value of a variable, with lines joined as bitbake joins them. */
  const variable = (name: string) => {
    const text = recipe().replace(/\\\n\s*/g, ' ');
    const lines = text.split('\n').filter((line) => line.startsWith(`${name} `));
    expect(lines, name).toHaveLength(1);
    return /^\S+ \?{0,2}= "(.*)"$/.exec(lines[0]!)![1]!;
  };
  const body = (name: string) => new RegExp(`^${name}\\(\\) \\{\\n([\\s\\S]*?)^\\}`, 'm').exec(recipe())![1]!;

  it('fetches the archive alone, by its hash, from where it is told', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as it stands there
    expect(variable('SRC_URI')).toBe('${BATON_SITE}/baton-agent-${PV}.tar.xz');
    expect(variable('SRC_URI[sha256sum]')).toBe(hash('sha256', ARCHIVE));
    expect(variable('BATON_SITE')).toBe('');
    const sums = [...variable('LIC_FILES_CHKSUM').matchAll(/file:\/\/(\S+);md5=(\w+)/g)];
    expect(sums.map(([, file]) => file)).toEqual(['LICENSE', 'engine/LICENSE']);
    for (const [, file, md5] of sums) expect(md5).toBe(hash('md5', phase(file!)));
  });

  it('compiles and installs by what make is told, in a shell', () => {
    const [, mqtt, without] = /^PACKAGECONFIG\[mqtt\] = "(.*),(.*)"$/m.exec(recipe())!;
    expect([mqtt, without]).toEqual(['MQTT=yes', 'MQTT=no']);
    const values: Record<string, string> = {
      ...{ CC: 'cc', CFLAGS: '-O0', CPPFLAGS: '', LDFLAGS: '', PACKAGECONFIG_CONFARGS: without! },
      ...{
        prefix: '/usr',
        bindir: '/usr/bin',
        sysconfdir: '/etc',
        systemd_system_unitdir: '/usr/lib/systemd/system',
      },
      ...{ S: at('build'), D: at('image') },
    };
    const expanded = (text: string) =>
      text.replace(/\$\{(\w+)\}/g, (_, name) => {
        if (!(name in values)) throw new Error(`the recipe uses ${name}`);
        return values[name]!;
      });
    const options = expanded(variable('EXTRA_OEMAKE'));
    const script = `set -eu; oe_runmake() { make ${options} "$@"; }; cd ${values['S']}\n`;
    run('sh', ['-c', script + expanded(body('do_compile')) + expanded(body('do_install'))]);
    expect(run(at('image/usr/bin/baton'), ['--version'])).toBe(`baton ${VERSION}\n`);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as it stands there
    const named = variable('SYSTEMD_SERVICE:${PN}').split(' ');
    expect(readdirSync(at('image/usr/lib/systemd/system')).sort()).toEqual(named.sort());
    expect(readFileSync(at('image/usr/lib/systemd/system/baton-agent.service'), 'utf8')).toContain(
      'ExecStart=/usr/bin/baton-agent ',
    );
  });
});
