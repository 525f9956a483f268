/**
 * A program of its own: accepts connections over TCP and reports, on any message from its parent, how much memory it
 * has and how many connections are open. `fork` it; it ends with its parent.
 */
import { createConnection, createTcpTransport, createWireShared } from '../../src/protocol/index.js';
import { systemClock } from '../../src/shared/index.js';
import { handlersOf, WarningLog } from './connection-pair.js';

const log = new WarningLog();
const shared = createWireShared();
let open = 0;
const listener = createTcpTransport({ clock: systemClock }).listen(
  { host: '127.0.0.1', port: 0 },
  (stream) => {
    open += 1;
    createConnection(
      stream,
      { role: 'acceptor', trusted: true },
      {
        ...shared,
        clock: systemClock,
        logger: log,
        handlers: handlersOf({
          onClose: () => {
            open -= 1;
          },
        }),
      },
    );
  },
);
await listener.start();
process.on('message', async () => {
  // a collection frees what finalizers of the next one need, and pages go back beside it
  for (let round = 0; round < 4; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  process.send?.({ rssBytes: process.memoryUsage().rss, open, warnings: log.warnings.length });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ port: listener.address.port });
