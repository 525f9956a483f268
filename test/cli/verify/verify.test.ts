/**
 * `exo verify` over real nodes and real engines: two that compute rightly are found equal, and a mesh in which one engine makes
 * mistakes as soon as it holds a part of a model is caught.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApiServer } from '../../../src/api/index.js';
import {
  canComputeGgml,
  type ForwardRequest,
  type ForwardResult,
  type InferenceEngine,
  loadGgml,
  loadNodeModels,
} from '../../../src/inference/index.js';
import { DEMO_DIRECTORY } from '../../../src/models/index.js';
import { createNode, type Node } from '../../../src/node/index.js';
import { silentLogger, systemClock } from '../../../src/shared/index.js';
import { eventually } from '../../support/eventually.js';
import '../../support/leaks.js';
import { writePeersFile } from '../../support/peers-file.js';
import { Cleanup } from '../../support/processes.js';
import { WatchedEngine } from '../../support/watched-engine.js';
import { exo } from '../host.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
const CAPABILITIES = { model: 'M', chip: 'C', memory: 1024, flops: { fp32: 0, fp16: 0, int8: 0 } };
const QUESTION_TOKENS = '8';

/** The demo model on the real engine; with a hook, another outcome of its steps. */
async function engineOf(
  change?: (request: ForwardRequest, result: ForwardResult) => void,
): Promise<InferenceEngine> {
  const [{ NodeModels }, { GgmlEngine }] = await Promise.all([loadNodeModels(), loadGgml()]);
  const store = { async *each() {}, find: async () => [] };
  const models = new NodeModels({
    ...{ store, demoDirectory: DEMO_DIRECTORY, clock: systemClock, log: silentLogger },
  });
  await models.refresh();
  const engine = new GgmlEngine(
    { device: 'cpu', threads: 1, quiet: true },
    { files: models, models, clock: systemClock, logger: silentLogger },
  );
  return change === undefined ? engine : new BrokenEngine(engine, change);
}

/** Computes rightly, and then changes what comes out. */
class BrokenEngine extends WatchedEngine {
  readonly #change: (request: ForwardRequest, result: ForwardResult) => void;

  constructor(engine: InferenceEngine, change: (request: ForwardRequest, result: ForwardResult) => void) {
    super(engine);
    this.#change = change;
  }

  override async forward(request: ForwardRequest): Promise<ForwardResult> {
    const result = await super.forward(request);
    this.#change(request, result);
    return result;
  }
}

async function startNode(
  cleanup: Cleanup,
  nodeId: string,
  peers: Record<string, number>,
  engine: InferenceEngine,
): Promise<Node> {
  const node = createNode(
    {
      ...{ nodeId, instance: Buffer.from(nodeId.padEnd(8, '.')).toString('hex'), epoch: systemClock.wall() },
      ...{ version: '0.1.0', nodeHost: '127.0.0.1', nodePort: 0, engine: 'ggml' },
      discovery: {
        ...{ modules: ['manual'], discoveryTimeoutMs: 30_000, listenPort: 0, broadcastPort: 0 },
        configPath: writePeersFile(cleanup.folder(), 'peers.json', peers),
      },
      ...{ responseTimeoutMs: 60_000, maxGenerateTokens: 100, defaultTemperature: 0 },
    },
    {
      capabilities: { instant: CAPABILITIES, refined: Promise.resolve(CAPABILITIES) },
      inferenceEngine: engine,
    },
  );
  await node.start();
  cleanup.add(() => node.stop());
  return node;
}

/** Two nodes, the second with that engine; gives the address of the first one's API. */
async function meshWith(cleanup: Cleanup, second: InferenceEngine | undefined): Promise<string> {
  const a = await startNode(cleanup, 'a', {}, await engineOf());
  if (second !== undefined) {
    const b = await startNode(cleanup, 'b', { a: a.mesh.self().nodePort }, second);
    await eventually({ timeoutMs: 20_000, what: 'one ring of two' }, () => {
      const [one, other] = [a, b].map((node) => node.mesh.topology());
      return one?.partitions.length === 2 && one.digest === other?.digest;
    });
  }
  const server = createApiServer(
    { host: '127.0.0.1', port: 0, responseTimeoutMs: 60_000, ownerToken: 'token' },
    { mesh: a.mesh, chat: a.chat, clock: systemClock, log: silentLogger, quit: () => undefined },
  );
  await server.start();
  cleanup.add(() => server.stop());
  return `127.0.0.1:${server.address.port}`;
}

async function verified(second: InferenceEngine | undefined, ...more: readonly string[]) {
  const cleanup = new Cleanup();
  try {
    const api = await meshWith(cleanup, second);
    // Named, so that a busy machine on which nobody answers for a moment changes nothing.
    const layers = second === undefined ? [] : ['--layers', 'a=0-2,b=3-5'];
    return await exo(['verify', 'demo', '--tokens', QUESTION_TOKENS, '--api', api, ...layers, ...more]);
  } finally {
    await cleanup.dispose();
  }
}

test('verify finds two real engines equal, and shows who computed what', { skip }, async () => {
  const { code, out, err } = await verified(await engineOf());
  assert.equal(code, 0, `${out}${err}`);
  assert.match(out, /^demo, computed by [ab] \(layers 0-5\)$/m);
  assert.match(out, /^and by a \(layers 0-2\), b \(layers 3-5\)$/m);
  assert.match(out, /Who are you\?.*\d of \d.*same/);
  assert.match(out, /^the same: .*0\.0001/m);
});

/** Where a part of the model is computed, floats are moved a little. */
function nudge(by: (value: number) => number) {
  return ({ shard }: ForwardRequest, result: ForwardResult) => {
    if (shard.startLayer === 0 && shard.endLayer === shard.nLayers - 1) return;
    assert.notEqual(result.kind, 'token', 'log probabilities are asked for');
    if (result.kind === 'token') return;
    const { data } = result.kind === 'hidden' ? result.hidden : result.logits;
    const floats = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    floats.forEach((value, index) => {
      floats[index] = by(value);
    });
  };
}

test('verify catches an engine that is wrong by a thousandth as soon as it holds a part', {
  skip,
}, async () => {
  const { code, out, err } = await verified(await engineOf(nudge((value) => value * 1.001)), '--json');
  assert.equal(code, 1, `${out}${err}`);
  assert.notEqual(out, '', err);
  const report = JSON.parse(out) as {
    equal: boolean;
    bound: number;
    questions: Array<{ difference: number }>;
  };
  assert.equal(report.equal, false);
  assert.ok(report.questions.some(({ difference }) => difference > report.bound));
});

test('verify catches an engine that answers something else when it is split', { skip }, async () => {
  const { code, out, err } = await verified(await engineOf(nudge((value) => -value)));
  assert.equal(code, 1, out);
  assert.match(out, /^NOT the same/m, err);
});

test('verify says so when there is one node only', { skip }, async () => {
  const { code, out, err } = await verified(undefined);
  assert.deepEqual([code, out], [1, '']);
  assert.match(err, /nothing to compare: a is alone in its mesh.*\n.*start a second node/);
  const asJson = await verified(undefined, '--json');
  assert.deepEqual([asJson.code, asJson.out], [1, '']);
  const { error } = JSON.parse(asJson.err) as { error: { code: string; message: string; hint: string } };
  assert.deepEqual([error.code, error.hint.includes('exo connect')], ['ring-incomplete', true]);
});

test('verify refuses what it does not know in words', async () => {
  for (const [args, says] of [
    [['--weights', 'bf61'], /--weights.*bf16/],
    [['--tokens', 'many'], /--tokens.*1 to 1000/],
    [['--layers', 'a'], /--layers.*n1=0-11/],
    [['--layers', 'a=0-2,b=5-3'], /--layers.*"b=5-3" ends before it begins/],
  ] as const) {
    const { code, err } = await exo(['verify', 'demo', ...args, '--api', '127.0.0.1:1']);
    assert.equal(code, 2);
    assert.match(err, says);
  }
});
