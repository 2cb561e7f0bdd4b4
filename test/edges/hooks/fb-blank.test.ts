import { describe, expect, it } from 'vitest';
import type { FakeWorld } from './fake-world.ts';
import { Rig, step } from './support.ts';

const INHIBITED = '/sys/class/input/input3/inhibited';
const INHIBIT = { kind: 'input-inhibit', input: 'input3' } as const;
const BLANK = { kind: 'fb-blank', fb: 'fb0' } as const;

describe('fb-blank', () => {
  it('powers down and unblanks', async () => {
    const rig = new Rig({ display: { suspend: [BLANK] } });
    rig.world.files.set('/sys/class/graphics/fb0/blank', '');
    await rig.run('suspend');
    await rig.run('resume');
    expect(rig.world.events).toEqual(['/sys/class/graphics/fb0/blank=4', '/sys/class/graphics/fb0/blank=0']);
  });

  describe('under DRM', () => {
    const FB = '/sys/class/graphics/fb0';
    const dpms = (connector: string) => `${FB}/device/drm/card1/card1-${connector}/dpms`;
    /** A display whose connector follows what is written to `blank`, unless a DRM master has it. */
    function display(world: FakeWorld, hasMaster: () => boolean): void {
      world.files.set(`${FB}/blank`, '').set(dpms('DSI-1'), 'On').set(dpms('HDMI-A-1'), 'On');
      world.files.set(dpms('HDMI-A-1').replace(/dpms$/, 'enabled'), 'disabled');
      world.onWrite.set(`${FB}/blank`, (text) => {
        if (hasMaster()) return;
        world.clock.after(20, () => world.files.set(dpms('DSI-1'), text === '4' ? 'Off' : 'On'));
      });
    }

    it('waits until the connector that is in use is off, and on again', async () => {
      const rig = new Rig({ display: { suspend: [BLANK] } });
      display(rig.world, () => false);
      expect(await rig.inspect()).toBe('active');
      expect(await rig.run('suspend')).toEqual({ ok: true });
      expect(rig.world.files.get(dpms('DSI-1'))).toBe('Off');
      expect(await rig.inspect()).toBe('suspended');
      expect(await rig.run('resume')).toEqual({ ok: true });
      expect(rig.world.files.get(dpms('DSI-1'))).toBe('On');
    });

    it('is not deceived by a write that succeeds and blanks nothing', async () => {
      const rig = new Rig({ display: { suspend: [BLANK] } });
      display(rig.world, () => true);
      const result = await rig.run('suspend');
      expect(result).toMatchObject({ ok: false, outcome: 'failed' });
      expect(result.ok ? '' : result.error).toBe(
        `display/fb-blank: ${dpms('DSI-1')} reads "On" 1000 ms after 4 was written to ${FB}/blank: ` +
          'does a DRM master, such as a compositor, have the display? It must release it first',
      );
    });

    it('is looked at again at the end: a compositor may come meanwhile', async () => {
      const rig = new Rig({ touch: { suspend: [INHIBIT] }, display: { suspend: [BLANK, step('late')] } });
      rig.world.files.set(INHIBITED, '0');
      display(rig.world, () => false);
      rig.world.scripts.set('late', {
        get stdout() {
          rig.world.files.set(dpms('DSI-1'), 'On');
          return '';
        },
      });
      expect(await rig.run('suspend')).toMatchObject({
        outcome: 'failed',
        error: expect.stringContaining('another program has switched it on again'),
      });
    });

    it('leaves a display off that was off', async () => {
      const rig = new Rig({ display: { suspend: [BLANK] } });
      display(rig.world, () => false);
      rig.world.files.set(dpms('DSI-1'), 'Off');
      expect(await rig.run('suspend')).toEqual({ ok: true });
      expect(await rig.run('resume')).toEqual({ ok: true });
      expect(rig.world.events).toEqual([]);
    });
  });

  it('cannot tell where the kernel shows nothing', async () => {
    const rig = new Rig({ display: { suspend: [BLANK] } });
    rig.world.files.set('/sys/class/graphics/fb0/blank', '');
    expect(await rig.inspect()).toBe('unknown');
  });
});
