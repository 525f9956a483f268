/** A program that holds an engine, says the pid of its process, and does nothing more until it is killed. */
import { goldenEngine, ModelFolder } from './golden-models.js';

const folder = new ModelFolder();
const engine = goldenEngine(folder);
await engine.start();
folder.remove();
console.log(engine.pid);
