/**
 * The components of the shipped programs as a CycloneDX 1.5 document (cyclonedx.org/docs/1.5/json): programs, the
 * packages in each, licences, hashes. Pure: the caller reads files, clock and random numbers.
 */

/** An entry of package-lock.json. */
export interface LockedPackage {
  readonly version: string;
  readonly license?: string;
  /** `sha512-` and base64. */
  readonly integrity?: string;
}

/** A library that is not in the lock file. */
export interface NativeLibrary {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  /** SPDX expression. */
  readonly license: string;
  /** SHA-256 of its source, in hex. */
  readonly sourceSha256?: string;
  readonly description?: string;
}

export interface ShippedProgram {
  /** Its path in the repository. */
  readonly file: string;
  readonly sha256: string;
  /** Paths of package-lock.json. */
  readonly packages: readonly string[];
  readonly native: readonly NativeLibrary[];
}

export interface SbomInput {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly programs: readonly ShippedProgram[];
  readonly lock: Readonly<Record<string, LockedPackage>>;
  /** ISO 8601. */
  readonly timestamp: string;
  /** A UUID. */
  readonly serial: string;
}

/** A component of CycloneDX, as far as we use it. */
export interface Component {
  readonly type: 'application' | 'library';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly group?: string;
  readonly version: string;
  readonly description?: string;
  readonly purl?: string;
  readonly licenses: readonly (
    | { readonly license: { readonly id: string } }
    | { readonly expression: string }
  )[];
  readonly hashes?: readonly { readonly alg: 'SHA-256' | 'SHA-512'; readonly content: string }[];
}

export interface Bom {
  readonly $schema: string;
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.5';
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: { readonly timestamp: string; readonly component: Component };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** Returns the document. Throws an Error when a package is not in the lock file, or has no licence there. */
export function sbomOf(input: SbomInput): Bom {
  const whole = `${input.name}@${input.version}`;
  const libraries = new Map<string, Component>();
  const keep = (component: Component) => {
    libraries.set(component['bom-ref'], component);
    return component['bom-ref'];
  };
  const programs = input.programs.map((program) => {
    const packages = program.packages.map((path) => keep(packageOf(path, input.lock[path])));
    const native = program.native.map((library) => keep(nativeOf(library)));
    return { program, parts: [...packages, ...native].sort() };
  });
  const own = { version: input.version, licenses: licensesOf(input.license) };
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${input.serial}`,
    version: 1,
    metadata: {
      timestamp: input.timestamp,
      component: { type: 'application', 'bom-ref': whole, name: input.name, ...own },
    },
    components: [
      ...programs.map(({ program: { file, sha256 } }) => ({
        type: 'application' as const,
        'bom-ref': file,
        name: file,
        ...own,
        hashes: [{ alg: 'SHA-256' as const, content: sha256 }],
      })),
      ...[...libraries.values()].sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1)),
    ],
    dependencies: [
      { ref: whole, dependsOn: programs.map(({ program }) => program.file) },
      ...programs.map(({ program, parts }) => ({ ref: program.file, dependsOn: parts })),
    ],
  };
}

function packageOf(path: string, locked: LockedPackage | undefined): Component {
  if (!locked) throw new Error(`${path} is not in package-lock.json: npm ci, then build again`);
  const { version, license, integrity } = locked;
  if (license === undefined) throw new Error(`${path}: package-lock.json has no licence of it`);
  const [, name = ''] = /.*node_modules\/(.+)$/.exec(path) ?? [];
  const [last = '', group] = name.split('/').reverse();
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const [, base64] = /^sha512-(.+)$/.exec(integrity ?? '') ?? [];
  return {
    type: 'library',
    'bom-ref': purl,
    name: last,
    ...(group === undefined ? {} : { group }),
    version,
    purl,
    licenses: licensesOf(license),
    ...(base64 === undefined ? {} : { hashes: [{ alg: 'SHA-512', content: hexOf(base64) }] }),
  };
}

function nativeOf({ name, version, purl, license, sourceSha256, description }: NativeLibrary): Component {
  return {
    type: 'library',
    'bom-ref': purl,
    name,
    version,
    ...(description === undefined ? {} : { description }),
    purl,
    licenses: licensesOf(license),
    ...(sourceSha256 === undefined ? {} : { hashes: [{ alg: 'SHA-256', content: sourceSha256 }] }),
  };
}

/** One identifier of SPDX, or an expression of several. */
function licensesOf(license: string): Component['licenses'] {
  return / (OR|AND|WITH) /.test(license) ? [{ expression: license }] : [{ license: { id: license } }];
}

/** npm writes base64, CycloneDX hex. */
function hexOf(base64: string): string {
  return Array.from(atob(base64), (byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}
