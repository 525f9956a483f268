/** What every engine does, done by this one. */
import { after } from 'node:test';
import { engineSuite } from '../../compliance/engine-suite.js';
import { goldenEngine, goldenModel, ModelFolder } from './golden-models.js';

const folder = new ModelFolder();
const model = goldenModel('qwen3');
const written = folder.write(model);
after(() => folder.remove());

engineSuite('ggml', async () => ({
  engine: goldenEngine(folder, { shardsMax: 24 }),
  modelId: await written,
  layers: model.layers,
}));
