/**
 * A program of its own: says hello to a node, sends it one large tensor a round, and asks for health and an echo on
 * the same connection while the tensor is on its way. Prints one JSON line a round.
 *
 *   node --import tsx test/support/tensor-load.ts HOST PORT MIB ROUNDS
 */
import {
  type Connection,
  createConnection,
  createTcpTransport,
  createWireShared,
} from '../../src/protocol/index.js';
import { silentLogger, sleep, systemClock } from '../../src/shared/index.js';
import { handlersOf, helloOf } from './connection-pair.js';

/** What it prints for one round. */
export interface LoadReport {
  /** Round trips that began and ended while the tensor was being sent. */
  readonly healthMs: readonly number[];
  readonly pingMs: readonly number[];
  /** From the first byte to the answer. */
  readonly tensorMs: number;
  /** How the node answered: it has no such model. */
  readonly answer: string;
}

/** One round over an established connection. */
async function load(connection: Connection, data: Buffer): Promise<LoadReport> {
  let running = true;
  const startedMs = systemClock.now();
  const tensor = connection
    .request(
      {
        kind: 'tensor-request',
        // A model that nobody has: the wire is measured, not what an engine does with 64 million numbers.
        shard: { modelId: 'no-such-model', startLayer: 0, endLayer: 7, nLayers: 8 },
        tensor: { shape: [data.length], dtype: 'uint8', data },
        requestId: 'load',
        inferenceState: null,
      },
      { timeoutMs: 120_000 },
    )
    .then(
      (answer) => answer.kind,
      (error: { code?: string; message: string }) => error.code ?? error.message,
    )
    .finally(() => {
      running = false;
    });
  const healthMs: number[] = [];
  const pingMs: number[] = [];
  while (running) {
    for (const [kind, times] of [
      ['health-request', healthMs],
      ['ping', pingMs],
    ] as const) {
      const since = systemClock.now();
      await connection.request(kind === 'ping' ? { kind, data: Buffer.from('now') } : { kind });
      if (running) times.push(systemClock.now() - since);
    }
    await sleep(systemClock, 10);
  }
  return { healthMs, pingMs, tensorMs: systemClock.now() - startedMs, answer: await tensor };
}

const [host, port, mib, rounds] = process.argv.slice(2) as [string, string, string, string];
const transport = createTcpTransport({ clock: systemClock });
const stream = await transport.dial({ host, port: Number(port) }, { timeoutMs: 5_000 });
const connection = createConnection(
  stream,
  { role: 'dialler', trusted: true },
  { clock: systemClock, logger: silentLogger, handlers: handlersOf(), ...createWireShared() },
);
await connection.introduce(helloOf('load', { nodePort: 0 }));
// Filled once: first touches of 64 MiB are not what is measured.
const data = Buffer.alloc(Number(mib) * 1024 * 1024, 1);
for (let round = 0; round < Number(rounds); round++) {
  console.log(JSON.stringify(await load(connection, data)));
}
await connection.close();
