/**
 * A bundle definition that the tests of digest and vectors share.
 */

import { type BundleDefinition, nameResources } from '../../../src/core/protocol/bundle.ts';
import { bundleId, deviceId, vmId } from '../../../src/core/protocol/ids.ts';

const TOUCH = deviceId('touch');
const PANEL = deviceId('panel');

export const SAMPLE_BUNDLE: BundleDefinition = {
  id: bundleId('screen'),
  owner: vmId('android'),
  keeper: 'hypervisor',
  devices: [
    {
      id: TOUCH,
      resources: nameResources(TOUCH, [
        {
          kind: 'mmio',
          physical: 0xa9_0000,
          bytes: 0x4000,
          views: { 'pin-pad': 0x4000_0000, android: 0xa9_0000 },
        },
        { kind: 'interrupt', physical: 388, trigger: 'level', views: { 'pin-pad': 40 } },
      ] as never),
      residualStates: [{ what: 'report FIFO', clearedBy: 'driver' }],
    },
    {
      id: PANEL,
      resources: nameResources(PANEL, [{ kind: 'stream', physical: 0x880, views: {} }] as never),
      residualStates: [
        { what: 'framebuffer address', clearedBy: 'reset' },
        { what: 'gamma table', clearedBy: 'reset' },
      ],
    },
  ],
};
