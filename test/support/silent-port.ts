/**
 * A TCP port on loopback that does not answer: its program never accepts and its queue is full, so the system
 * drops further attempts to connect. What a machine behind a silent firewall looks like.
 */
import net from 'node:net';
import { Worker } from 'node:worker_threads';

const PROGRAM = `
  const { parentPort, workerData } = require('node:worker_threads');
  const server = require('node:net').createServer();
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    // The thread stands still from here on, before it has looked for a connection even once: nothing is accepted.
    Atomics.wait(new Int32Array(workerData), 0, 0);
  });
`;
/** The system rounds the length of a queue up. */
const FILLERS = 8;
/** An attempt that is not answered within this on loopback will not be. */
const UNANSWERED_MS = 200;

/** A port and the way to end it. */
export interface SilentPort {
  readonly port: number;
  stop(): Promise<void>;
}

/** Opens one and waits until it is silent. */
export async function openSilentPort(): Promise<SilentPort> {
  const worker = new Worker(PROGRAM, { eval: true, workerData: new SharedArrayBuffer(4) });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const fillers = Array.from({ length: FILLERS }, () =>
    net.connect({ host: '127.0.0.1', port }).on('error', () => undefined),
  );
  await new Promise((resolve) => setTimeout(resolve, UNANSWERED_MS));
  return {
    port,
    async stop() {
      for (const filler of fillers) filler.destroy();
      await worker.terminate();
    },
  };
}
