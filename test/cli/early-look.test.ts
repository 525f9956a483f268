/** What a start would fail by is said before anything is loaded: here a port that a program has, and one that a connection has. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import test, { after } from 'node:test';
import { lookEarly } from '../../src/cli/early-look.js';
import { readConfig } from '../../src/node/config/index.js';
import { ensureHome } from '../../src/node/home/index.js';
import { claimRunFile } from '../../src/node/home/run-claim.js';
import type { ErrorCode } from '../../src/shared/index.js';
import { Cleanup } from '../support/processes.js';

const cleanup = new Cleanup();
after(() => cleanup.dispose());

function lookAt(option: string, port: number, home = cleanup.folder()): Promise<void> {
  const own = {
    'node-host': '127.0.0.1',
    'node-port': '0',
    'chatgpt-api-port': '0',
    'discovery-module': 'tcp',
  };
  return lookEarly(readConfig({ ...own, [option]: String(port) }, {}), home);
}

test('a port that is taken is named with its option, and with what has it', async () => {
  const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ host: '127.0.0.1', port });
  await once(client, 'connect');
  const code = 'port-in-use' satisfies ErrorCode;
  try {
    for (const option of ['node-port', 'chatgpt-api-port']) {
      const program = new RegExp(
        `^--${option} ${port} is taken by another program.*lsof -i :${port}.*choose another --${option}$`,
      );
      await assert.rejects(lookAt(option, port), { code, message: program });
      if (process.platform !== 'linux') continue;
      const connection = new RegExp(
        `^--${option} \\d+ is the near end of a connection, free at most a minute .*--${option}$`,
      );
      await assert.rejects(lookAt(option, client.localPort!), { code, message: connection });
    }
    await lookAt('node-port', 0);
    const home = cleanup.folder();
    ensureHome(home);
    const about = { id: 'mac2', instance: '0123456789abcdef', startedAt: '', version: '' };
    const claim = claimRunFile(home, about);
    assert.ok('runFile' in claim);
    claim.runFile.update({ api: null, nodePort: port, peersFile: null });
    const own = new RegExp(
      `taken by the node mac2 that runs here \\(pid ${process.pid}\\); end it with exo stop`,
    );
    await assert.rejects(lookAt('node-port', port, home), { code, message: own });
  } finally {
    client.destroy();
    server.close();
  }
});
