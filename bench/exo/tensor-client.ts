/** Ours: sends tensors of `size` bytes, `inFlight` on the way so that the wire is never idle. One line of JSON in, one out. */
import { createInterface } from 'node:readline';
import { connect } from './speaker.js';

const connection = await connect(Number(process.argv[2]));

async function round({ size, count, inFlight }: { size: number; count: number; inFlight: number }) {
  const message = {
    kind: 'tensor-request',
    shard: { modelId: 'dummy', startLayer: 0, endLayer: 3, nLayers: 8 },
    tensor: { shape: [1, size / 4], dtype: 'float32', data: Buffer.alloc(size, 7) },
    requestId: 'bench',
    inferenceState: null,
  } as const;
  let sent = 0;
  const lane = async () => {
    while (sent < count) {
      sent += 1;
      await connection.request(message);
    }
  };
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { bytesPerSecond: (size * count * 1000) / (performance.now() - startedAt) };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await round(JSON.parse(line))));
}
process.exit();
