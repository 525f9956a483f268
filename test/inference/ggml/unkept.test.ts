/** Quantised weights for which the disk has no room: the model is computed all the same, and a person hears of it once. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { FixedModels } from '../../../src/inference/engine-models.js';
import { GgmlEngine } from '../../../src/inference/engines/ggml/index.js';
import { canComputeGgml } from '../../../src/inference/index.js';
import { type Logger, silentLogger, systemClock } from '../../../src/shared/index.js';
import { Cleanup } from '../../support/processes.js';
import { RANDOM_LAYERS, RANDOM_MODEL, writeRandomModel } from '../../support/real-model.js';

const skip = canComputeGgml() ? false : 'no prebuilt ggml libraries for this machine';
const signal = new AbortController().signal;

test('weights that cannot be kept are said once, with their size and what to do, and the model is computed', {
  skip,
}, async () => {
  const cleanup = new Cleanup();
  try {
    const place = cleanup.folder();
    const directory = await writeRandomModel(place, { seed: 2 });
    const file = path.join(place, 'no-folder');
    writeFileSync(file, '');
    const cases = [
      [{ weightsDirectory: path.join(place, 'weights'), weightsBytesMax: 1_000 }, /at most 0\.0 GB are kept/],
      [{ weightsDirectory: path.join(file, 'weights') }, /cannot be written to \(ENOTDIR\)/],
    ] as const;
    for (const [options, why] of cases) {
      const warnings: Array<{ event: string; message: string }> = [];
      const logger: Logger = {
        ...silentLogger,
        warn: (event, fields) => void warnings.push({ event, message: String(fields?.['message']) }),
      };
      const models = new FixedModels('ggml', [
        { id: RANDOM_MODEL, name: 'Random', layers: RANDOM_LAYERS, ready: true },
      ]);
      const files = { directoryOf: async () => directory };
      const engine = new GgmlEngine(
        { device: 'cpu', threads: 1, quantisation: 'q8_0', ...options },
        { files, models, clock: systemClock, logger },
      );
      await engine.start();
      try {
        for (const [startLayer, endLayer] of [
          [0, 3],
          [4, 7],
        ] as const) {
          await engine.load({ modelId: RANDOM_MODEL, startLayer, endLayer, nLayers: RANDOM_LAYERS }, signal);
        }
      } finally {
        await engine.stop();
      }
      assert.deepEqual(
        warnings.map(({ event }) => event),
        ['weights-not-kept'],
      );
      assert.match(warnings[0]!.message, why);
      assert.match(
        warnings[0]!.message,
        /GB of quantised weights of exo-test\/random.*make room there, or set EXO_HOME/,
      );
    }
  } finally {
    await cleanup.dispose();
  }
});
