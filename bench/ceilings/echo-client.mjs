// Ceiling of a round trip: writes `size` bytes, waits until as many came back, again. One line of JSON in, one out.
import net from 'node:net';
import readline from 'node:readline';

const socket = net.connect({ port: Number(process.argv[2]), host: '127.0.0.1', noDelay: true });
let onBytes = () => {};
socket.on('data', (chunk) => onBytes(chunk.length));

function round({ size, count }) {
  const message = Buffer.alloc(Math.max(9, size));
  const times = new Float64Array(count);
  return new Promise((resolve) => {
    let done = 0;
    let missing = message.length;
    let startedAt = performance.now();
    onBytes = (bytes) => {
      missing -= bytes;
      if (missing > 0) return;
      const now = performance.now();
      times[done++] = (now - startedAt) * 1000;
      if (done === count) return resolve(times.sort());
      missing = message.length;
      startedAt = now;
      socket.write(message);
    };
    socket.write(message);
  });
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const times = await round(JSON.parse(line));
  console.log(JSON.stringify({ p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }));
}
process.exit();
