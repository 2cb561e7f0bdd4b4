/**
 * The units' SystemCallFilter lets a whole handover through: host and one agent on Node, the owner's agent and the
 * command line as static programs, with hooks, traced by strace. What the filter would refuse is refused to Node here
 * as well. Needs strace and systemd.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { paced } from '../support/pace.ts';
import { runShell } from './shell.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const isHere = (program: string) => spawnSync(program, ['--version']).status === 0;
const CAN_RUN = isHere('strace') && isHere('systemd-analyze');
if (!CAN_RUN) console.warn('system calls are not checked: apt-get install strace systemd');

/** Asked for by the engine of Node, which does without when it is refused. */
const REFUSED = 'pkey_alloc';
const RUN_MS = paced(60_000);

const folder = mkdtempSync(join(tmpdir(), 'baton-sandbox-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** In the folder that `baton init` makes. The owner writes an attribute, and runs a program. */
const SCRIPT = `
node "$ROOT/dist/baton.mjs" init --bundles "$ROOT/docs/examples/bundles.json" --vm android --vm vault \\
  --enforcer none --transport unix --out bench
cd bench
echo 0 > attribute
cat > hooks <<END
"touch": { "suspend": [
  { "kind": "command", "command": ["/bin/sh", "-c", "echo held > $PWD/lock"], "undo": ["/bin/true"] },
  { "kind": "sysfs", "path": "$PWD/attribute", "write": "1", "undo": "0",
    "expect": { "path": "$PWD/attribute", "value": "1" } }
] }
END
sed -i '/\\/\\/ "touch":/r hooks' android/agent.json
static=$ROOT/dist/quickjs/x86_64
node="strace -f -qq -e inject=${REFUSED}:error=EPERM"
$node -o host.calls node "$ROOT/dist/baton-host.mjs" --config host/host.json --create-table &
strace -f -qq -o android.calls "$static/baton-agent" --config android/agent.json &
$node -o vault.calls node "$ROOT/dist/baton-agent.mjs" --config vault/agent.json &
for try in $(seq 200); do [ -S vault/agent.sock ] && break; sleep 0.1; done
strace -f -qq -o baton.calls "$static/baton" borrow panel --wait 20s --min-evidence none --socket vault/agent.sock -- \\
  cat attribute lock
exit # the daemons are ended with this group
`;

/** Names of the calls in a set of systemd, and in the sets that it has. */
function callsOf(set: string): string[] {
  const { stdout } = spawnSync('systemd-analyze', ['--no-pager', 'syscall-filter', set], {
    encoding: 'utf8',
  });
  const words = stdout
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
  return words.flatMap((word) =>
    /^[a-z_]\w*$/.test(word) ? [word] : word.startsWith('@') ? callsOf(word) : [],
  );
}

it.skipIf(!CAN_RUN)(
  'every system call of a handover is in the set of the units',
  { timeout: RUN_MS + 5_000 },
  async () => {
    const program = 'dist/quickjs/x86_64/baton-agent';
    if (!existsSync(join(ROOT, program))) throw new Error(`no ${program}: npm run build:quickjs makes it`);
    for (const unit of ['baton-agent', 'baton-host']) {
      const text = readFileSync(join(ROOT, `targets/linux/systemd/${unit}.service`), 'utf8');
      expect(text).toContain('\nSystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\n');
    }
    const allowed = new Set(callsOf('@system-service'));
    expect(allowed.size).toBeGreaterThan(200);

    const { status, output } = await runShell(SCRIPT, { cwd: folder, env: { ROOT }, limitMs: RUN_MS });

    expect(status, output).toBe(0);
    expect(output).toContain('\n1\nheld\n');
    for (const party of ['host', 'android', 'vault', 'baton']) {
      const trace = readFileSync(join(folder, `bench/${party}.calls`), 'utf8');
      const calls = new Set([...trace.matchAll(/^(?:\d+ +)?([a-z_]\w*)\(/gm)].map(([, call]) => call!));
      expect(calls.size, party).toBeGreaterThan(20);
      expect(
        [...calls].filter((call) => !allowed.has(call) && call !== REFUSED),
        party,
      ).toEqual([]);
    }
  },
);
