/** Making a connection in the in-memory network: one round trip, an answer, or none. Only `memory-transport.ts` calls it. */
import { type Address, ExoError } from '../../shared/index.js';
import type { MemoryFabric } from './memory-fabric.js';
import { MemoryHost } from './memory-host.js';
import type { MemoryStream } from './memory-stream.js';
import { dialAborted, dialTimeout, nameUnknownInWords, refusedInWords } from './tcp-words.js';
import type { ByteStream } from './transport.js';

/** As `Transport.dial`, from a host of the network. */
export function dialFrom(
  fabric: MemoryFabric,
  from: MemoryHost,
  address: Address,
  how: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<ByteStream> {
  const { clock } = fabric.scheduler;
  const { timeoutMs, signal } = how;
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(dialAborted(address, signal.reason));
      return;
    }
    let over = false;
    const finish = () => {
      over = true;
      timer.cancel();
      flight?.cancel();
      fabric.forget(attempt);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: Error) => {
      if (over) return;
      finish();
      reject(error);
    };
    const refuse = (words: string) => fail(new ExoError('connect-failed', words, { retryable: true }));
    const onAbort = () => fail(dialAborted(address, signal?.reason));
    const timer = clock.after(timeoutMs, () => fail(dialTimeout(address, timeoutMs)));
    let flight: { cancel(): void } | undefined;
    signal?.addEventListener('abort', onAbort, { once: true });

    const arrive = () => {
      const to = fabric.find(address.host, from);
      if (over || to === undefined) return;
      if (!pathOpen(fabric, from, to)) {
        fabric.waitForPath(attempt);
        return;
      }
      const owner = to.ownerOf(address.port, from === to);
      if (owner === undefined || fabric.link(from, to).profile.refuse) {
        refuse(refusedInWords(address));
        return;
      }
      // A full queue drops the packet, as Linux does: the dial ends with its deadline.
      if (!MemoryHost.hasRoom(owner)) return;
      const opened = (end: MemoryStream, alive: boolean) => {
        owner.backlog.delete(end);
        if (!alive) {
          end.abandon();
          return;
        }
        end.release();
        if (to.ports.get(address.port) === owner) owner.onStream(end);
        else end.destroy();
      };
      const ends = fabric.connect(from, to, address, opened);
      if (ends === undefined) {
        refuse('no port is left on this machine for one more connection');
        return;
      }
      owner.backlog.add(ends.far);
      finish();
      // The caller sets its callbacks when the promise has resolved: nothing is delivered to it before the next tick.
      clock.after(0, () => ends.near.release());
      resolve(ends.near);
    };

    const attempt = () => {
      if (over) return;
      const to = fabric.find(address.host, from);
      if (to === undefined) {
        refuse(nameUnknownInWords(address));
        return;
      }
      if (!pathOpen(fabric, from, to)) {
        fabric.waitForPath(attempt);
        return;
      }
      const nowMs = clock.now();
      const thereMs = fabric.link(from, to).arrivalMs(nowMs, 0) - nowMs;
      const backMs = fabric.link(to, from).arrivalMs(nowMs, 0) - nowMs;
      if (thereMs + backMs > 0) flight = clock.after(thereMs + backMs, arrive);
      else fabric.scheduler.soon({ run: arrive });
    };
    fabric.scheduler.soon({ run: attempt });
  });
}

function pathOpen(fabric: MemoryFabric, from: MemoryHost, to: MemoryHost): boolean {
  if (!from.up || from.frozen || !to.up) return false;
  return !fabric.link(from, to).cut && !fabric.link(to, from).cut;
}
