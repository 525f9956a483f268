/** The commands against real nodes in their own processes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { PeersJson, StatusJson, TopologyJson } from '../../src/cli/api-shapes.js';
import { runProgram } from '../../src/cli/program.js';
import { eventually } from '../support/eventually.js';
import { startNode } from '../support/one-node.js';
import { writePeersFile } from '../support/peers-file.js';
import { freePorts } from '../support/ports.js';
import { Cleanup, EXO_MAIN, type RunningNode } from '../support/processes.js';
import { exo, TestHost } from './host.js';

const cleanup = new Cleanup();
const homes: Record<'one' | 'both', string> = { one: '', both: '' };
let mac1: RunningNode;
let mac2: RunningNode;

before(async () => {
  homes.one = cleanup.folder();
  homes.both = cleanup.folder();
  const [node1 = 0, node2 = 0] = await freePorts(2);
  [mac1, mac2] = await Promise.all([
    startNode(cleanup, { id: 'mac1', nodePort: node1, peers: { mac2: node2 }, env: { EXO_HOME: homes.one } }),
    startNode(cleanup, {
      id: 'mac2',
      nodePort: node2,
      peers: { mac1: node1 },
      env: { EXO_HOME: homes.both },
    }),
  ]);
  await eventually(
    { timeoutMs: 20_000, what: 'both nodes list each other and have measured the way' },
    async () => {
      const both = await Promise.all([homes.one, homes.both].map(peersOf));
      return both.every(
        ({ peers }) => peers.length === 1 && peers[0]!.state === 'alive' && peers[0]!.rtt_ms !== null,
      );
    },
  );
});

after(() => cleanup.dispose());

const peersOf = async (home: string) =>
  JSON.parse((await exo(['peers', '--json'], { EXO_HOME: home })).out) as PeersJson;
const inOne = (...argv: string[]) => exo(argv, { EXO_HOME: homes.one });

test('status finds the node by its run file and shows its peer; --json is stable', async () => {
  const { code, out, err } = await inOne('status');
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^mac1 {2}up .*1 of 1 peer alive$/m);
  assert.match(out, new RegExp(`api +http://127\\.0\\.0\\.1:${mac1.apiPort} \\(pid ${mac1.child.pid}\\)`));
  assert.match(out, /^ {2}mac2 +alive +127\.0\.0\.1:\d+ +(out|in) +\d/m);
  const json = JSON.parse((await inOne('status', '--json')).out) as StatusJson;
  assert.equal(json.schema_version, 1);
  assert.equal(json.self.id, 'mac1');
  for (const key of ['peers', 'refusals', 'warnings', 'version', 'uptime_ms', 'topology', 'models']) {
    assert.ok(key in json, key);
  }
});

test('topology shows both nodes and both edges', async () => {
  const { out } = await inOne('topology');
  assert.match(out, /^2 nodes, 2 edges/);
  assert.match(out, /mac1 +→ +mac2 +MAN/);
  assert.match(out, /mac2 +→ +mac1 +MAN/);
  const json = JSON.parse((await inOne('topology', '--json')).out) as TopologyJson & {
    schema_version: number;
  };
  assert.equal(json.schema_version, 1);
  assert.deepEqual(Object.keys(json.nodes).sort(), ['mac1', 'mac2']);
});

test('peers lists the peer by name, state and address', async () => {
  const { code, out } = await inOne('peers', '--all');
  assert.equal(code, 0);
  assert.match(out, /^ {2}NAME +STATE/);
  assert.match(out, /mac2 +alive/);
  assert.match(out, /nothing was refused/);
});

test('ping measures the round trip by name and by prefix; an unknown name is an error', async () => {
  const { code, out } = await inOne('ping', 'mac2', '-c', '1');
  assert.equal(code, 0);
  assert.match(out, /^mac2 .*127\.0\.0\.1:\d+: seq 1, [\d.]+ ms\nmac2: 1 sent, 1 answered, min [\d.]+ ms/);
  const json = JSON.parse((await inOne('ping', 'mac', '-c', '1', '--json')).out) as Record<string, unknown>;
  assert.deepEqual([json['schema_version'], json['sent'], json['received'], json['node']], [1, 1, 1, 'mac']);
  const unknown = await inOne('ping', 'nobody', '-c', '1');
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /^error: .*nobody/);
});

test('run uses the running node, streams the answer to stdout and exits 0', async () => {
  const { code, out, err } = await inOne('run', 'dummy', '--prompt', 'hi');
  assert.deepEqual([code, out], [0, `${'dummy'.repeat(10)}\n`]);
  // After half a second without a token it is said who answers.
  assert.match(err, /^(?:\S+ is answering …\n)?$/);
  const json = JSON.parse(
    (await inOne('--run-model', 'dummy')).out === '' ? '{}' : '{"asked":true}',
  ) as object;
  assert.deepEqual(json, { asked: true });
  const full = JSON.parse(
    (await inOne('run', 'dummy', '--json', '--max-generate-tokens', '3')).out,
  ) as Record<string, unknown>;
  assert.equal(full['node'], 'mac1');
  assert.equal(full['content'], 'dummydummydummy');
  assert.equal(full['finish_reason'], 'length');
  assert.deepEqual([full['prompt_tokens'], full['completion_tokens']], [1, 3]);
  const unknown = await inOne('run', 'no-such-model');
  assert.deepEqual([unknown.code, unknown.out], [1, '']);
  assert.match(unknown.err, /no-such-model.*dummy/);
});

test('run without a running node starts one in the process and leaves nothing behind', async () => {
  const home = cleanup.folder();
  const child = cleanup.child(
    process.execPath,
    [EXO_MAIN, 'run', 'dummy', '--node-port', '0', '--discovery-module', 'manual', '--discovery-config-path']
      .concat(writePeersFile(home, 'none.json', {}))
      .concat('--prompt', 'hi', '--inference-engine', 'dummy'),
    { env: { EXO_HOME: home, EXO_API: '', NO_COLOR: '1' } },
  );
  assert.equal(await child.closed, 0, child.output);
  assert.equal(child.stdout, `${'dummy'.repeat(10)}\n`);
  // Where it took more than half a second, it says what for.
  assert.match(child.stderr, /^(?:the model is being made ready …\n)?$/);
  assert.match((await exo(['status'], { EXO_HOME: home })).err, /no node runs here/);
});

test('--api and EXO_API choose a node of another home', async () => {
  const api = `127.0.0.1:${mac2.apiPort}`;
  assert.match((await inOne('status', '--api', api)).out, /^mac2 /);
  assert.match((await exo(['status'], { EXO_HOME: homes.one, EXO_API: `http://${api}/` })).out, /^mac2 /);
});

test('the run file is the owner’s: mode 0600, and its token is what stop needs', async () => {
  const run = JSON.parse(readFileSync(path.join(homes.one, 'run', 'mac1.json'), 'utf8')) as {
    api: { port: number; token: string };
    nodePort: number;
  };
  assert.equal(run.api.port, mac1.apiPort);
  assert.equal(run.nodePort, mac1.nodePort);
  assert.match(run.api.token, /^[0-9a-f]{64}$/);
  // From a home without that run file there is no token.
  const stranger = await exo(['stop', '--api', `127.0.0.1:${mac1.apiPort}`], { EXO_HOME: homes.both });
  assert.equal(stranger.code, 1);
  assert.match(stranger.err, /from this machine too/);
  assert.match(stranger.err, /^hint: .*EXO_API_TOKEN/m);
});

test('two nodes with one home: the command lists both and says how to name one', async () => {
  const second = await startNode(cleanup, { id: 'second', env: { EXO_HOME: homes.both } });
  const { apiPort } = second;
  for (const command of [['status'], ['run', 'dummy'], ['stop']]) {
    const { code, err } = await exo(command, { EXO_HOME: homes.both });
    assert.equal(code, 1);
    assert.match(err, /^error: 2 nodes run here; name one:/);
    assert.match(err, new RegExp(`mac2 +--api 127\\.0\\.0\\.1:${mac2.apiPort}`));
    assert.match(err, new RegExp(`second +--api 127\\.0\\.0\\.1:${apiPort}`));
    assert.match(err, /^hint: .*EXO_API/m);
  }
  const twice = cleanup.child(
    process.execPath,
    [EXO_MAIN, '--node-id', 'second', '--node-port', '0', '--chatgpt-api-port', '0'],
    { env: { EXO_HOME: homes.both, NO_COLOR: '1' } },
  );
  assert.equal(await twice.closed, 2);
  assert.match(twice.stderr, new RegExp(`--node-id second is used.*pid ${second.child.pid}`));
  const stopped = await exo(['stop', '--api', `127.0.0.1:${apiPort}`], { EXO_HOME: homes.both });
  assert.deepEqual([stopped.code, stopped.out], [0, 'second has stopped\n']);
  assert.equal(await second.child.closed, 0);
});

test('a killed node leaves a run file that the next command clears away', async () => {
  const home = cleanup.folder();
  const node = await startNode(cleanup, { id: 'victim', env: { EXO_HOME: home } });
  node.child.kill('SIGKILL');
  await node.child.closed;
  assert.ok(readFileSync(path.join(home, 'run', 'victim.json')));
  assert.match((await exo(['status'], { EXO_HOME: home })).err, /no node runs here/);
  assert.throws(() => readFileSync(path.join(home, 'run', 'victim.json')));
});

test('--wait-for-peers waits with the API up, and a signal ends the wait with exit code 0', async () => {
  const home = cleanup.folder();
  const args = ['--wait-for-peers', '1'];
  const node = await startNode(cleanup, { id: 'lonely', args, env: { EXO_HOME: home } });
  await node.child.sees(/waiting for 1 peer, 0 there/, 10_000);
  assert.doesNotMatch(node.child.stderr, /"ready"/);
  node.child.kill('SIGINT');
  assert.equal(await node.child.closed, 0, node.child.output);
});

test('a hangup does not end a node whose output goes elsewhere', async () => {
  mac2.child.kill('SIGHUP');
  await mac2.child.sees(/hangup-ignored/, 5_000);
  assert.match((await exo(['status'], { EXO_HOME: homes.both })).out, /^mac2 /);
});

test('Ctrl-C during ping ends it with its summary', async () => {
  const host = new TestHost(['ping', 'mac2', '-c', '1000'], { env: { EXO_HOME: homes.one } });
  const done = runProgram(host);
  await eventually({ timeoutMs: 10_000, what: 'a first answer' }, () => host.out.includes('seq 1'));
  host.send('SIGINT');
  assert.equal(await done, 0);
  assert.match(host.out, /mac2: (\d+) sent, \1 answered/);
});
