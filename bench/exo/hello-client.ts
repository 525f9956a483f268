/** Ours: from dial to the answered hello, one connection after the other. One line of JSON in, one out. */
import { createInterface } from 'node:readline';
import { connect } from './speaker.js';

async function round({ count }: { count: number }): Promise<Float64Array> {
  const times = new Float64Array(count);
  for (let done = 0; done < count; done++) {
    const startedAt = performance.now();
    const connection = await connect(Number(process.argv[2]));
    times[done] = performance.now() - startedAt;
    await connection.close();
  }
  return times.sort();
}

for await (const line of createInterface({ input: process.stdin })) {
  const times = await round(JSON.parse(line));
  console.log(JSON.stringify({ p50: times[times.length >> 1] }));
}
process.exit();
