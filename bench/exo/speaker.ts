/** Both ends of an exo connection for the benches: the shipped transport, connection and session, nothing else. */
import { generateKeyPairSync } from 'node:crypto';
import {
  type Connection,
  createConnection,
  createTcpTransport,
  createTlsTransport,
  createWireShared,
  type Hello,
  type Message,
  UNKNOWN_CAPABILITIES,
} from '../../src/protocol/index.js';
import { silentLogger, systemClock } from '../../src/shared/index.js';
import { createCredentials } from '../../src/trust/certificate.js';

// As in a node: one listener for both, told by the first byte.
const credentials = await createCredentials(generateKeyPairSync('ed25519'));
const transport = createTlsTransport(createTcpTransport({ clock: systemClock }), {
  clock: systemClock,
  credentials,
});
const wire = createWireShared();

function hello(nodeId: string): Hello {
  return {
    versionMin: 1,
    versionMax: 1,
    nodeId,
    instance: '0123456789abcdef',
    epoch: 1,
    features: ['correlated', 'topology'],
    capabilities: UNKNOWN_CAPABILITIES,
    nodePort: 0,
    topologyDigest: '0000000000000000',
    agent: 'bench',
  };
}

/** Serves on a free port, prints it, and ends with its parent. */
export async function serve(
  answer: (message: Message) => Promise<Message | undefined> | Message | undefined,
): Promise<void> {
  const listener = transport.listen({ host: '127.0.0.1', port: 0 }, (stream) => {
    const handlers = {
      onHello: () => hello('server'),
      onMessage: (_: Connection, message: Message) => answer(message),
      onClose: () => undefined,
    };
    createConnection(
      stream,
      { role: 'acceptor', trusted: true },
      { ...wire, clock: systemClock, logger: silentLogger, handlers },
    );
  });
  await listener.start();
  console.log(JSON.stringify({ port: listener.address.port }));
}

/** An established connection to a server of `serve`; encrypted when the program's last argument is `secure`. */
export async function connect(port: number): Promise<Connection> {
  const secure = process.argv.at(-1) === 'secure';
  const stream = await transport.dial({ host: '127.0.0.1', port }, { timeoutMs: 5_000, secure });
  const handlers = { onHello: () => hello('client'), onMessage: () => undefined, onClose: () => undefined };
  const connection = createConnection(
    stream,
    { role: 'dialler', trusted: true },
    { ...wire, clock: systemClock, logger: silentLogger, handlers },
  );
  await connection.introduce(hello('client'));
  if (connection.state !== 'established') throw new Error(`the connection is ${connection.state}`);
  return connection;
}
