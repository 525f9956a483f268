/**
 * An old peer in its own process:
 *   node test/legacy-peer/main.mjs --node-id ID --node-port N --api-port N --peers FILE [--memory MB] [--node-host H]
 * Prints one JSON line {"nodePort", "apiPort"} when it listens; ends on SIGTERM.
 */
import { parseArgs } from 'node:util';
import { createApi } from './api.mjs';
import { ManualDiscovery } from './manual-discovery.mjs';
import { OldNode } from './node.mjs';
import { Record } from './record.mjs';
import { createServer } from './server.mjs';

const { values } = parseArgs({
  options: {
    'node-id': { type: 'string' },
    'node-host': { type: 'string', default: '127.0.0.1' },
    'node-port': { type: 'string', default: '0' },
    'api-port': { type: 'string', default: '0' },
    'response-timeout': { type: 'string', default: '60' },
    peers: { type: 'string' },
    memory: { type: 'string', default: '16384' },
  },
});
if (values['node-id'] === undefined || values.peers === undefined) {
  console.error('--node-id and --peers are needed');
  process.exit(2);
}

const record = new Record();
const discovery = new ManualDiscovery(values.peers, values['node-id'], record);
const node = new OldNode({ id: values['node-id'], memory: Number(values.memory) }, discovery, record);
const server = createServer(node, record);
const api = createApi(node, record, Number(values['response-timeout']) * 1000);

const nodePort = await server.listen(Number(values['node-port']), values['node-host']);
const apiPort = await api.listen(Number(values['api-port']));
console.log(JSON.stringify({ nodePort, apiPort }));

const stop = () => {
  node.stop();
  api.close();
  server.close();
};
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
await node.start();
