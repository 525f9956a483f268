/**
 * A program of its own: accepts connections over TCP, sends to whoever calls itself `slow` as fast as it is told, and measures
 * the round trips of all others meanwhile. `fork` it; its parent tells it the rate in bytes a second and asks for reports.
 */
import {
  type Connection,
  createConnection,
  createTcpTransport,
  createWireShared,
} from '../../src/protocol/index.js';
import { silentLogger, systemClock } from '../../src/shared/index.js';
import { handlersOf, helloOf } from './connection-pair.js';

/** What the program tells when it is asked. */
export interface SenderReport {
  /** Round trips to the others since the last report, in milliseconds. */
  readonly rttMs: readonly number[];
  /** Largest values since the last report. */
  readonly rssBytesMax: number;
  readonly queuedBytesMax: number;
  /** How the slow one ended, and how long after the last report but one that was; undefined while it is there. */
  readonly ended?: { readonly code: string; readonly atMs: number };
  readonly sheds: number;
}

const TICK_MS = 10;
const PART_BYTES = 100_000;

const wire = createWireShared();
const others = new Set<Connection>();
let slow: Connection | undefined;
let bytesPerSecond = 0;
let rttMs: number[] = [];
let rssBytesMax = 0;
let queuedBytesMax = 0;
let ended: SenderReport['ended'];

const listener = createTcpTransport({ clock: systemClock }).listen(
  { host: '127.0.0.1', port: 0 },
  (stream) => {
    createConnection(
      stream,
      { role: 'acceptor', trusted: true },
      {
        ...wire,
        clock: systemClock,
        logger: silentLogger,
        handlers: handlersOf({
          onHello: (connection, hello) => {
            if (hello.nodeId === 'slow') slow = connection;
            else others.add(connection);
            return helloOf('sender');
          },
          onClose: (connection, reason) => {
            others.delete(connection);
            if (connection === slow) {
              slow = undefined;
              ended = { code: reason.error?.code ?? reason.by, atMs: systemClock.wall() };
            }
          },
        }),
      },
    );
  },
);
await listener.start();

let owed = 0;
systemClock.every(TICK_MS, () => {
  owed += (bytesPerSecond * TICK_MS) / 1000;
  for (; owed >= PART_BYTES; owed -= PART_BYTES) {
    const data = Buffer.alloc(PART_BYTES, 1);
    const tensor = { shape: [PART_BYTES], dtype: 'uint8' as const, data };
    slow?.notify({ kind: 'result', requestId: 'r', result: [], isFinished: false, tensor });
  }
  rssBytesMax = Math.max(rssBytesMax, process.memoryUsage.rss());
  queuedBytesMax = Math.max(queuedBytesMax, slow?.stats.queuedBytes ?? 0);
  for (const other of others) {
    const sinceMs = systemClock.now();
    other
      .request({ kind: 'ping', data: Buffer.alloc(8_192) })
      .then(() => rttMs.push(systemClock.now() - sinceMs))
      .catch(() => undefined);
  }
});

process.on('message', (command: { readonly bytesPerSecond?: number }) => {
  if (command.bytesPerSecond !== undefined) bytesPerSecond = command.bytesPerSecond;
  const report: SenderReport = {
    rttMs,
    rssBytesMax,
    queuedBytesMax,
    ...(ended && { ended }),
    sheds: wire.sheds.count('slow-peer'),
  };
  process.send?.(report);
  rttMs = [];
  rssBytesMax = 0;
  queuedBytesMax = 0;
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: listener.address.port });
