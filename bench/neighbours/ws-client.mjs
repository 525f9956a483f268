// Neighbour: round trips over `ws`. One line of JSON in, one out.
import readline from 'node:readline';
import WebSocket from 'ws';

const socket = new WebSocket(`ws://127.0.0.1:${process.argv[2]}`, {
  perMessageDeflate: false,
  maxPayload: 64 << 20,
});
let onMessage = () => {};
socket.on('message', () => onMessage());
await new Promise((resolve) => socket.once('open', resolve));

function round({ size, count }) {
  const message = Buffer.alloc(size);
  const times = new Float64Array(count);
  return new Promise((resolve) => {
    let done = 0;
    let startedAt = performance.now();
    onMessage = () => {
      const now = performance.now();
      times[done++] = (now - startedAt) * 1000;
      if (done === count) return resolve(times.sort());
      startedAt = now;
      socket.send(message);
    };
    socket.send(message);
  });
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const times = await round(JSON.parse(line));
  console.log(JSON.stringify({ p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }));
}
process.exit();
