/** What a start would fail by is said before anything is loaded: here a port that a program has, and one that a connection has. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import test from 'node:test';
import { lookEarly } from '../../src/cli/early-look.js';
import { readConfig } from '../../src/node/config/index.js';
import type { ErrorCode } from '../../src/shared/index.js';

const lookAt = (option: string, port: number) =>
  lookEarly(
    readConfig(
      {
        'node-host': '127.0.0.1',
        'node-port': '0',
        'chatgpt-api-port': '0',
        'discovery-module': 'tcp',
        [option]: String(port),
      },
      {},
    ),
  );

test('a port that is taken is named with its option, and with what has it', async () => {
  const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ host: '127.0.0.1', port });
  await once(client, 'connect');
  const code = 'port-in-use' satisfies ErrorCode;
  try {
    for (const option of ['node-port', 'chatgpt-api-port']) {
      const program = new RegExp(`taken by another program.*--${option}$`);
      await assert.rejects(lookAt(option, port), { code, message: program });
      if (process.platform !== 'linux') continue;
      const connection = new RegExp(`the near end of a connection, free at most a minute .*--${option}$`);
      await assert.rejects(lookAt(option, client.localPort!), { code, message: connection });
    }
    await lookAt('node-port', 0);
  } finally {
    client.destroy();
    server.close();
  }
});
