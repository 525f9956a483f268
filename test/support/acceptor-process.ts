/**
 * A program of its own: accepts connections over TCP and reports, on any message from its parent, how much memory it
 * has and how many connections are open. `fork` it; it ends with its parent.
 */
import {
  type Connection,
  createConnection,
  createTcpTransport,
  createWireShared,
} from '../../src/protocol/index.js';
import { systemClock } from '../../src/shared/index.js';
import { handlersOf, WarningLog } from './connection-pair.js';

const log = new WarningLog();
const shared = createWireShared();
let open = 0;
const connections = new Set<Connection>();
let bytesBefore = 0;
const listener = createTcpTransport({ clock: systemClock }).listen(
  { host: '127.0.0.1', port: 0 },
  (stream) => {
    open += 1;
    const connection = createConnection(
      stream,
      { role: 'acceptor', trusted: true },
      {
        ...shared,
        clock: systemClock,
        logger: log,
        handlers: handlersOf({
          onClose: () => {
            open -= 1;
            connections.delete(connection);
            bytesBefore += connection.stats.bytesIn;
          },
        }),
      },
    );
    connections.add(connection);
  },
);
await listener.start();
process.on('message', async () => {
  // a collection frees what finalizers of the next one need, and pages go back beside it
  for (let round = 0; round < 4; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  let bytesIn = bytesBefore;
  for (const connection of connections) bytesIn += connection.stats.bytesIn;
  process.send?.({ rssBytes: process.memoryUsage().rss, open, warnings: log.warnings.length, bytesIn });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: listener.address.port });
