/** Weights that have memory of their own lie in large pages, where the system has them, and are what was put there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openDevice, TYPE } from '../../../src/inference/engines/ggml/library/index.js';
import { OwnedTensors } from '../../../src/inference/engines/ggml/weights/owned-tensors.js';
import { Scratch } from '../../../src/inference/engines/ggml/weights/scratch.js';

const ROW = 1024;
const ROWS = 4096;
const BYTES = ROW * ROWS * 4;
const hasHugePages = existsSync('/sys/kernel/mm/transparent_hugepage/enabled');

/** Bytes of this process for which large pages are asked. */
function askedBytes(): number {
  let bytes = 0;
  for (const mapping of readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const size = Number(/^Size:\s+(\d+) kB/m.exec(mapping)?.[1] ?? 0) * 1024;
    if (/^VmFlags:.* hg\b/m.test(mapping)) bytes += size;
  }
  return bytes;
}

test('owned weights ask for large pages and keep their bytes', {
  skip: !hasHugePages && 'this system has no large pages',
}, async () => {
  const device = await openDevice({ device: 'cpu', threads: 1, quiet: true });
  const { ggml } = device;
  const context = ggml.newContext(2 * ggml.ggml_tensor_overhead());
  const owned = new OwnedTensors(device);
  const values = Float32Array.from({ length: ROW * ROWS }, (_, at) => at);
  const tensor = ggml.ggml_new_tensor_2d(context, TYPE.F32, ROW, ROWS);
  owned.add(tensor, () => [new Uint8Array(values.buffer)]);
  const before = askedBytes();
  owned.allocate(new Scratch());
  // The page in which the memory begins may be that of something else.
  assert.ok(askedBytes() - before > BYTES - 128 * 1024);
  const read = new Float32Array(values.length);
  ggml.ggml_backend_tensor_get(tensor, new Uint8Array(read.buffer), 0, BYTES);
  assert.deepEqual(read, values);
  owned.close();
  ggml.ggml_free(context);
  device.close();
});
