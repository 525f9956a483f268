/** Ours: round trips of a ping with `size` bytes, one at a time. One line of JSON in, one out. */
import { createInterface } from 'node:readline';
import { connect } from './speaker.js';

const connection = await connect(Number(process.argv[2]));

async function round({ size, count }: { size: number; count: number }): Promise<Float64Array> {
  const data = Buffer.alloc(size);
  const times = new Float64Array(count);
  for (let done = 0; done < count; done++) {
    const startedAt = performance.now();
    const answer = await connection.request({ kind: 'ping', data });
    times[done] = (performance.now() - startedAt) * 1000;
    connection.recycle(answer);
  }
  return times.sort();
}

for await (const line of createInterface({ input: process.stdin })) {
  const times = await round(JSON.parse(line));
  console.log(JSON.stringify({ p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }));
}
process.exit();
