/** A client of a control socket on Node. */

import type { ControlClient } from '../../../src/cli/world.ts';
import { type Json, Lines } from '../../../src/common/lines.ts';
import { STREAMS } from '../net/streams.ts';

/** Connects to the control socket at `path`. Rejects when nothing listens there. */
export function connectControl(path: string): Promise<ControlClient> {
  return connectControlAt(`unix:${path}`);
}

/** The same for an address of any kind, such as a relay to a control socket elsewhere. */
export function connectControlAt(address: string): Promise<ControlClient> {
  return new Promise((resolve, reject) => {
    STREAMS.connect(address, (stream) => {
      if (stream instanceof Error) return reject(stream);
      const open = new Map<number, { resolve: (answer: Json) => void; reject: (error: Error) => void }>();
      let nextId = 1;
      let listener: (event: Json) => void = () => {};
      let over: string | undefined;
      let tellEnd: (reason: string) => void = () => {};
      const ended = new Promise<string>((done) => {
        tellEnd = done;
      });
      const lines = new Lines(stream, {
        onLine: (line) => {
          const waiting = open.get(line['id'] as number);
          if (!waiting) return listener(line);
          open.delete(line['id'] as number);
          waiting.resolve(line);
        },
        onBad: () => {},
        onClose: (reason) => {
          for (const waiting of open.values()) waiting.reject(new Error(`the connection ended: ${reason}`));
          open.clear();
          over = reason;
          tellEnd(reason);
        },
      });
      resolve({
        ended,
        onEvent: (next) => {
          listener = next;
        },
        request: (request) =>
          new Promise((done, fail) => {
            if (over !== undefined) return fail(new Error(`the connection ended: ${over}`));
            const id = nextId++;
            open.set(id, { resolve: done, reject: fail });
            lines.send({ id, ...request });
          }),
        close: () => lines.close(),
      });
    });
  });
}
