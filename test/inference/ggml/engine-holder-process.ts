/** A program that holds an engine, says the pid of its process, and does nothing more until it is killed. */
import { eventually } from '../../support/eventually.js';
import { goldenEngine, ModelFolder } from './golden-models.js';

const folder = new ModelFolder();
const engine = goldenEngine(folder);
await engine.start();
folder.remove();
const { value } = await eventually({ timeoutMs: 20_000, what: 'the engine process runs' }, () => engine.pid);
console.log(value);
