/** Checks of several configurations with each other, for faults that no single one shows. */

import { createHash } from 'node:crypto';
import type { Json } from '../../../../src/common/lines.ts';
import { keysDiffer, parsePairKeys } from '../../../../src/config/pair-keys.ts';
import type { BundleDefinition } from '../../../../src/core/protocol/bundle.ts';
import { bundleDigest } from '../../../../src/core/wire/digest.ts';
import { type ComparingCheck, type Finding, fault, ok, skipped } from './check.ts';
import { answered, type Subject } from './subject.ts';

/** Digits of a fingerprint that are shown: enough to tell keys of one machine apart. */
const FINGERPRINT_DIGITS = 16;

/** Returns fingerprints of the keys of a pair with their generations: hashes of their own kind, never a key. */
export function fingerprintOf(keys: string): string {
  return parsePairKeys(keys)
    .map(({ generation, key }) => {
      const hash = createHash('sha256').update('baton key fingerprint\n').update(key).digest('hex');
      return `${generation}:${hash.slice(0, FINGERPRINT_DIGITS)}`;
    })
    .join(' ');
}

function pairsOf(subjects: readonly Subject[]): readonly (readonly [Subject, Subject])[] {
  return subjects.flatMap((a, index) => subjects.slice(index + 1).map((b) => [a, b] as const));
}

function own<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record && Object.hasOwn(record, name) ? record[name] : undefined;
}

const FINGERPRINTS: ComparingCheck = {
  name: 'key-fingerprint',
  run: (subjects) =>
    pairsOf(subjects).flatMap(([a, b]): readonly Finding[] => {
      const about = `${a.party} and ${b.party}`;
      if (!a.daemon.keys || !b.daemon.keys) return skipped(about, 'a key file cannot be read');
      const [ours, theirs] = [own(a.daemon.keys, b.party), own(b.daemon.keys, a.party)];
      if (ours === undefined && theirs === undefined && !a.isHost && !b.isHost) return [];
      const words = (keys: string | undefined) => (keys === undefined ? 'no key' : fingerprintOf(keys));
      const found = `${words(ours)} at ${a.party}, ${words(theirs)} at ${b.party}`;
      if (ours !== undefined && theirs !== undefined && !keysDiffer(ours, theirs)) return ok(about, found);
      const places = [a, b].map(({ daemon, config }) => daemon.beside(config.keys)).join(' and ');
      const mend = `openssl rand -hex 32: the same new key in ${places}; restart both`;
      return fault(about, found, 'the same fingerprint', mend);
    }),
};

function digestOf(bundle: BundleDefinition): string {
  return Buffer.from(bundleDigest(bundle)).toString('hex').slice(0, FINGERPRINT_DIGITS);
}

const DIGESTS: ComparingCheck = {
  name: 'bundle-digest',
  run: (subjects) =>
    pairsOf(subjects).flatMap(([a, b]): readonly Finding[] => {
      const about = `${a.party} and ${b.party}`;
      const [ours, theirs] = [a.daemon.bundles, b.daemon.bundles];
      if (!ours || !theirs) return skipped(about, 'a bundle file cannot be read');
      const common = ours.flatMap((one) =>
        theirs.filter(({ id }) => id === one.id).map((two) => [one, two] as const),
      );
      return common.flatMap(([one, two]): readonly Finding[] => {
        const [first, second] = [digestOf(one), digestOf(two)];
        if (first === second) return ok(`${one.id} of ${about}`, first);
        const files = [a, b].map(({ daemon, config }) => daemon.beside(config.bundles));
        const found = `${first} at ${a.party}, ${second} at ${b.party}`;
        return fault(
          `${one.id} of ${about}`,
          found,
          'one digest',
          `cp ${files.join(' ')}; restart both daemons`,
        );
      });
    }),
};

async function statusesOf(subjects: readonly Subject[]): Promise<readonly (readonly [Subject, Json])[]> {
  const all = await Promise.all(subjects.map(async (subject) => [subject, await subject.status()] as const));
  return all.flatMap(([subject, status]) => (answered(status) ? [[subject, status] as const] : []));
}

const VERSIONS: ComparingCheck = {
  name: 'version-agreed',
  run: async (subjects) => {
    const running = await statusesOf(subjects);
    const versions = running.map(([{ party }, { version }]) => ({
      party,
      version: String(version ?? 'unknown'),
    }));
    const about = versions.map(({ party }) => party).join(', ');
    if (versions.length < 2) return skipped('versions', 'fewer than two daemons answer');
    const found = versions.map(({ party, version }) => `${version} at ${party}`).join(', ');
    if (new Set(versions.map(({ version }) => version)).size === 1) return ok(about, found);
    return fault(about, found, 'one version', 'install the same version everywhere, and restart the daemons');
  },
};

/** An agent learns its incarnation from the host; one of another run of its VM is refused whatever it sends. */
const INCARNATIONS: ComparingCheck = {
  name: 'incarnation-agreed',
  run: async (subjects) => {
    const running = await statusesOf(subjects);
    const host = running.find(([{ isHost }]) => isHost)?.[1];
    if (!host) return skipped('incarnations', 'no host answers');
    const vms = (host['vms'] ?? {}) as Readonly<Record<string, number>>;
    return running
      .filter(([{ isHost }]) => !isHost)
      .flatMap(([{ party }, { incarnation }]): readonly Finding[] => {
        const counted = own(vms, party) ?? 0;
        if (typeof incarnation !== 'number') return skipped(party, 'its agent does not say its incarnation');
        if (counted === incarnation && counted > 0) return ok(party, `incarnation ${counted}`);
        const found = `${counted === 0 ? 'not running' : counted} at the host, ${incarnation} at the agent`;
        const mend = 'restart the agent; compare the name of the VM in the enforcer’s configuration';
        return fault(party, found, 'a running VM with one incarnation', mend);
      });
  },
};

/** Every check of several configurations. */
export const COMPARING_CHECKS: readonly ComparingCheck[] = [FINGERPRINTS, DIGESTS, VERSIONS, INCARNATIONS];
