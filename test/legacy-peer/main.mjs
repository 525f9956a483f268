/**
 * An old peer in its own process:
 *   node test/legacy-peer/main.mjs --node-id ID --node-port N --api-port N --peers FILE [--memory MB] [--node-host H]
 *     [--model ID=FOLDER] [--max-generate-tokens N]
 * Every model but the given one is the dummy. Prints one JSON line {"nodePort", "apiPort"} when it listens; ends on SIGTERM.
 */
import { parseArgs } from 'node:util';
import { createApi } from './api.mjs';
import * as dummyEngine from './dummy-engine.mjs';
import { LlamaEngine } from './llama-engine.mjs';
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
    model: { type: 'string' },
    'max-generate-tokens': { type: 'string', default: '10000' },
  },
});
if (values['node-id'] === undefined || values.peers === undefined) {
  console.error('--node-id and --peers are needed');
  process.exit(2);
}

const record = new Record();
const discovery = new ManualDiscovery(values.peers, values['node-id'], record);
const [modelId, folder] = values.model?.split('=') ?? [];
const llama = folder === undefined ? undefined : new LlamaEngine(folder);
const engineOf = (id) => (id === modelId ? llama : dummyEngine);
const self = {
  id: values['node-id'],
  memory: Number(values.memory),
  maxTokens: Number(values['max-generate-tokens']),
  engineOf,
};
const node = new OldNode(self, discovery, record);
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
