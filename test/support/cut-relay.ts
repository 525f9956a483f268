/**
 * A TCP relay on loopback that can be cut like a cable: while it is, nothing passes in either direction and nobody is told,
 * not even that an end has gone; what was under way arrives after `heal`. Or severed: its connections are reset, and new ones as soon
 * as they come. For links that cannot lie in a namespace.
 */
import { once } from 'node:events';
import net from 'node:net';
import type { Cleanup } from './processes.js';

/** One relay. */
export class CutRelay {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #waiting: Array<() => void> = [];
  #cut = false;
  #severed = false;

  constructor(targetPort: number) {
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      if (this.#severed) {
        near.resetAndDestroy();
        return;
      }
      this.#keep(near);
      this.#whenWhole(() => {
        const far = net.connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
        this.#keep(far);
        this.#join(near, far);
        this.#join(far, near);
      });
    });
  }

  /** Where it listens. */
  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async start(): Promise<void> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  /** Pulls the cable. */
  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** Resets every connection, and each new one until `heal`. */
  sever(): void {
    this.#severed = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Puts it back. */
  heal(): void {
    this.#cut = false;
    this.#severed = false;
    for (const socket of this.#sockets) socket.resume();
    for (const act of this.#waiting.splice(0)) act();
  }

  async stop(): Promise<void> {
    this.#waiting = [];
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    if (this.#cut) socket.pause();
  }

  #join(from: net.Socket, to: net.Socket): void {
    from.on('data', (chunk) => {
      if (to.write(chunk)) return;
      from.pause();
      to.once('drain', () => {
        if (!this.#cut) from.resume();
      });
    });
    from.on('end', () => this.#whenWhole(() => to.end()));
    from.on('close', () => this.#whenWhole(() => to.destroy()));
  }

  #whenWhole(act: () => void): void {
    if (this.#cut) this.#waiting.push(act);
    else act();
  }
}

/** A relay that ends with the test. */
export async function startCutRelay(cleanup: Cleanup, targetPort: number): Promise<CutRelay> {
  const relay = new CutRelay(targetPort);
  await relay.start();
  cleanup.add(() => relay.stop());
  return relay;
}
