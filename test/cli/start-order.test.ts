/**
 * A node takes its own ports before it knows whom it would dial: an outgoing connection could be given the very port. The order
 * is seen in what a node complains of that has both a taken port and a peers.json that cannot be read.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import test, { type TestContext } from 'node:test';
import { startNode } from '../../src/cli/running-node.js';
import { readConfig } from '../../src/node/config/index.js';
import { type ErrorCode, ExoError, silentLogger } from '../../src/shared/index.js';
import { Cleanup } from '../support/processes.js';
import { TestHost } from './host.js';

async function takenPort(t: TestContext, host: string): Promise<number> {
  const server = createServer();
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Starts a node whose peers.json is no JSON; the code and the message of what it says. */
async function startInVain(t: TestContext, options: Readonly<Record<string, string>>): Promise<ExoError> {
  const cleanup = new Cleanup();
  t.after(() => cleanup.dispose());
  const host = new TestHost([], { env: { EXO_HOME: cleanup.folder() } });
  const peers = path.join(cleanup.folder(), 'peers.json');
  writeFileSync(peers, '{"peers": ');
  const raw = {
    'node-id': 'early',
    'node-host': '127.0.0.1',
    'node-port': '0',
    'chatgpt-api-port': '0',
    'inference-engine': 'dummy',
    'discovery-module': 'manual',
    'discovery-config-path': peers,
    ...options,
  };
  const settings = readConfig(raw, host.env);
  const quit = () => undefined;
  return startNode(host, { settings, api: true, logger: silentLogger, quit }).then(
    async (running) => {
      await running.stop();
      return assert.fail('it started');
    },
    (error: unknown) => {
      assert.ok(error instanceof ExoError, String(error));
      return error;
    },
  );
}

const PORTS = [
  { option: 'chatgpt-api-port', host: '127.0.0.1', modules: 'manual' },
  { option: 'node-port', host: '127.0.0.1', modules: 'manual' },
  { option: 'listen-port', host: '0.0.0.0', modules: 'manual,tcp' },
];

for (const { option, host, modules } of PORTS) {
  test(`a node whose --${option} is taken says so before it has read whom it would dial`, async (t) => {
    const taken = String(await takenPort(t, host));
    const error = await startInVain(t, { 'discovery-module': modules, [option]: taken });
    assert.equal(error.code, 'port-in-use' satisfies ErrorCode, error.message);
    assert.match(error.message, new RegExp(`--${option}`));
  });
}

test('with its ports free, the same node reads it', async (t) => {
  const error = await startInVain(t, {});
  assert.equal(error.code, 'peers-file-invalid' satisfies ErrorCode, error.message);
});
