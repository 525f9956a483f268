/** A process that hangs is given up, and the next one serves; one that loads for long is not. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { EngineProcess } from '../../../src/inference/engines/ggml/process/engine-process.js';
import { LIMITS, VirtualClock } from '../../../src/shared/index.js';
import { goldenEngine, goldenModel, greedy, ModelFolder, ShardedRequest } from './golden-models.js';

const skip = process.platform === 'win32' ? 'no SIGSTOP' : false;
const folder = new ModelFolder();
const model = goldenModel('llama');
const written = folder.write(model);
after(() => folder.remove());
const [prompt] = model.prompts;

test('a load that hangs is given up, and the next is served by a new process', { skip }, async () => {
  const modelId = await written;
  const clock = new VirtualClock();
  const engine = goldenEngine(folder, {}, clock);
  await engine.start();
  const { signal } = new AbortController();
  try {
    await engine.load({ modelId, startLayer: 0, endLayer: 0, nLayers: model.layers }, signal);
    const { pid } = engine;
    process.kill(pid!, 'SIGSTOP');
    const failed = assert.rejects(
      engine.load({ modelId, startLayer: 0, endLayer: model.layers - 1, nLayers: model.layers }, signal),
      { code: 'engine-failed', retryable: true, message: /no answer to load within 30 min.*ask again/ },
    );
    // Its deadline is set when it is asked.
    while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(LIMITS.engineLoadMs);
    await failed;
    const request = new ShardedRequest(engine, modelId, model.layers, 1, 'r');
    assert.equal(greedy(await request.step(prompt!.tokens)), prompt!.ids[0]);
    assert.notEqual(engine.pid, pid);
  } finally {
    await engine.stop();
  }
  assert.equal(clock.pending, 0);
});

test('a profile that hangs is given up, but not while a shard is loaded', { skip }, async () => {
  const clock = new VirtualClock();
  const engine = new EngineProcess({ clock });
  process.kill(engine.pid!, 'SIGSTOP');
  const failures: string[] = [];
  const ask = (question: Parameters<EngineProcess['ask']>[0]) =>
    engine.ask(question).catch(({ message }: Error) => failures.push(message));
  const profile = ask({ op: 'profile', modelId: 'm', type: 0 });
  await clock.advance(LIMITS.engineProfileMs / 2);
  const load = ask({ op: 'load', shardKey: 'm 0-1', source: {} as never });
  await clock.advance(LIMITS.engineLoadMs - 1);
  assert.equal(engine.hasEnded, false);
  await clock.advance(1);
  await Promise.all([profile, load]);
  assert.equal(failures.length, 2);
  for (const message of failures) assert.match(message, /no answer to load within 30 min/);
  assert.equal(clock.pending, 0);

  const next = new EngineProcess({ clock });
  process.kill(next.pid!, 'SIGSTOP');
  const alone = assert.rejects(next.ask({ op: 'profile', modelId: 'm', type: 0 }), {
    message: /no answer to profile within 5 min/,
  });
  await clock.advance(LIMITS.engineProfileMs);
  await alone;
  assert.equal((await next.ended).code, 'engine-failed');
});
