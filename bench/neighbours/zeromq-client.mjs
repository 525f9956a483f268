// Neighbour: round trips over ZeroMQ. One line of JSON in, one out.
import readline from 'node:readline';
import { Request } from 'zeromq';

const socket = new Request();
socket.connect(`tcp://127.0.0.1:${process.argv[2]}`);

async function round({ size, count }) {
  const message = Buffer.alloc(size);
  const times = new Float64Array(count);
  for (let done = 0; done < count; done++) {
    const startedAt = performance.now();
    await socket.send(message);
    await socket.receive();
    times[done] = (performance.now() - startedAt) * 1000;
  }
  return times.sort();
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const times = await round(JSON.parse(line));
  console.log(JSON.stringify({ p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }));
}
process.exit();
