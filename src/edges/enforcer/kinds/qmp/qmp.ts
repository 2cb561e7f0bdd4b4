/** Enforcer kind `qmp`: plain QEMU, without isolation of memory; input events go to the holder alone. */

import { addressField, CLOSED, msField } from '../../../../common/fields.ts';
import { Type } from '../../../../common/schema.ts';
import { ID_PATTERN, VM_PATTERN } from '../../../../core/protocol/ids.ts';
import { type EnforcerSocket, enforcerKind, resetFaults } from '../../kind.ts';
import { openQmpEnforcer, type QmpOptions } from './qmp-enforcer.ts';

/** Default time limit of a QMP command, in ms. A QEMU answers within one or two. */
const LIMIT_MS = 1_000;

export const QMP = enforcerKind({
  schema: Type.Object(
    {
      kind: Type.Literal('qmp', { description: 'plain QEMU: input events go to the holder alone' }),
      vms: Type.Record(Type.String({ pattern: VM_PATTERN }), addressField('QMP socket of this VM’s QEMU'), {
        ...CLOSED,
        description: 'VM → its QEMU; a VM runs for as long as its QMP answers',
      }),
      inputs: Type.Record(
        Type.String({ pattern: ID_PATTERN }),
        addressField('where the host listens for the program that reads the device'),
        { ...CLOSED, description: 'bundle → where its input events arrive' },
      ),
      limitMs: Type.Optional(
        msField('time limit of one answer of a QEMU; then its VM counts as ended', LIMIT_MS),
      ),
    },
    CLOSED,
  ),
  open: ({ vms, inputs, limitMs = LIMIT_MS }, { bundles, network, clock, entropy, log, machineBoot }) =>
    new Promise((resolve, reject) => {
      const options: QmpOptions = {
        bundles,
        vms: new Map(Object.entries(vms)) as unknown as QmpOptions['vms'],
        inputs: new Map(Object.entries(inputs)) as unknown as QmpOptions['inputs'],
        limitMs,
        // The routing ends with this process, so that each start finds a machine without holders.
        machineBoot: `${machineBoot()}/${[...entropy.random(8)].map(hexByte).join('')}`,
        network,
        clock,
        log,
      };
      openQmpEnforcer(options, (result) => (result instanceof Error ? reject(result) : resolve(result)));
    }),
  vms: ({ vms }) => Object.keys(vms).map((vm) => ({ vm, path: ['vms', vm], at: 'key' })),
  sockets: ({ vms, inputs }) => [...sockets('vms', vms, false), ...sockets('inputs', inputs, true)],
  complaints: ({ inputs }, bundles) => {
    const ids: string[] = bundles.map(({ id }) => id);
    const unknown = Object.keys(inputs).filter((id) => !ids.includes(id));
    const silent = ids.filter((id) => !(id in inputs));
    return [
      ...unknown.map((id) => ({
        path: ['inputs', id],
        message: `no bundle of this name: expected ${ids.map((known) => `"${known}"`).join(' or ')}`,
      })),
      ...silent.map((id) => ({
        path: ['inputs'],
        message: `no address for ${id}: qmp moves nothing but input events`,
      })),
      // Pressed keys are released when the bundle leaves. It can clear no other residual state.
      ...bundles.flatMap((bundle) =>
        resetFaults('qmp', bundle).map((message) => ({ path: ['kind'], message })),
      ),
    ];
  },
});

const hexByte = (byte: number) => byte.toString(16).padStart(2, '0');

function sockets(
  key: string,
  addresses: Readonly<Record<string, string>>,
  listens: boolean,
): EnforcerSocket[] {
  return Object.entries(addresses).map(([name, address]) => ({ path: [key, name], address, listens }));
}
