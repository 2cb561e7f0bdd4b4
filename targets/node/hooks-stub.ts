import type { DriverHooks, HookResult } from '../../src/ports.ts';
import { connectControl } from './control-client.ts';
export function openHooks({ bundles, config }: any): DriverHooks {
  const ask = async (bundle: string, hook: string, epoch: number) => {
    const devices = bundles.find((b: any) => b.id === bundle).devices.map((d: any) => d.id);
    if (hook === 'resume') devices.reverse();
    const out = [];
    for (const d of devices) {
      const c = await connectControl(config[bundle][d].suspend[0].path);
      out.push(await c.request({ hook, bundle, device: d, epoch }));
      c.close();
    }
    return out;
  };
  return {
    run: (b, h, e, done) => {
      ask(b, h, e).then(
        () => done({ ok: true }),
        (x) => done({ ok: false, outcome: 'failed', error: String(x) } as HookResult),
      );
    },
    inspect: (b, done) => {
      ask(b, 'inspect', 0).then(
        (o) =>
          done(
            o.every((x) => x['status'] === 'active')
              ? 'active'
              : o.every((x) => x['status'] === 'suspended')
                ? 'suspended'
                : 'unknown',
          ),
        () => done('unknown'),
      );
    },
  };
}
