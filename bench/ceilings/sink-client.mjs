// Ceiling of one-way throughput: writes `count` messages of `size` bytes as fast as the socket takes them.
import net from 'node:net';
import readline from 'node:readline';

const socket = net.connect({ port: Number(process.argv[2]), host: '127.0.0.1', noDelay: true });
let onAnswer = () => {};
socket.on('data', () => onAnswer());

function round({ size, count }) {
  const message = Buffer.alloc(size, 7);
  const first = Buffer.from(message);
  first.writeBigUInt64BE(BigInt(size * count), 0);
  const startedAt = performance.now();
  return new Promise((resolve) => {
    onAnswer = () => resolve({ bytesPerSecond: (size * count * 1000) / (performance.now() - startedAt) });
    let sent = 0;
    const pump = () => {
      while (sent < count)
        if (!socket.write(sent++ === 0 ? first : message)) return socket.once('drain', pump);
    };
    pump();
  });
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await round(JSON.parse(line))));
}
process.exit();
