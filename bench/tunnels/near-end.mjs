// Measures what an address leads to, for the benches of tunnels: `{host, port, size, count}` round trips of `size` bytes one
// after the other, `{host, port, bytes}` so many bytes one way. One line of JSON in, one out; times in microseconds.
import net from 'node:net';
import readline from 'node:readline';

const CHUNK_BYTES = 256 * 1024;
const WARM_UP = 50;

const connect = ({ host, port }) => net.connect({ host, port, noDelay: true });

function roundTrips({ size, count, ...address }) {
  const socket = connect(address);
  const message = Buffer.alloc(size, 1);
  const times = new Float64Array(count);
  return new Promise((resolve, reject) => {
    let done = -WARM_UP;
    let missing = 0;
    let startedAt = 0;
    const send = () => {
      missing = size;
      startedAt = performance.now();
      socket.write(message);
    };
    socket.on('error', reject).on('close', () => reject(new Error(`${address.host}:${address.port} closed`)));
    socket.on('data', (chunk) => {
      missing -= chunk.length;
      if (missing > 0) return;
      if (done >= 0) times[done] = (performance.now() - startedAt) * 1000;
      done += 1;
      if (done < count) return send();
      resolve(summary(times));
      socket.destroy();
    });
    socket.write('P');
    send();
  });
}

function summary(times) {
  const sum = times.reduce((total, each) => total + each, 0);
  times.sort();
  const at = (part) => times[Math.min(times.length - 1, Math.floor(times.length * part))];
  return { p50: at(0.5), p99: at(0.99), mean: sum / times.length };
}

function oneWay({ bytes, ...address }) {
  const socket = connect(address);
  const chunk = Buffer.alloc(CHUNK_BYTES, 7);
  const head = Buffer.alloc(9, 'S');
  head.writeBigUInt64BE(BigInt(bytes), 1);
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    socket.on('error', reject).on('close', () => reject(new Error(`${address.host}:${address.port} closed`)));
    socket.on('data', () => {
      resolve({ bytesPerSecond: (bytes * 1000) / (performance.now() - startedAt) });
      socket.destroy();
    });
    socket.write(head);
    let left = bytes;
    const pump = () => {
      while (left > 0) {
        const part = left < CHUNK_BYTES ? chunk.subarray(0, left) : chunk;
        left -= part.length;
        if (!socket.write(part)) return socket.once('drain', pump);
      }
    };
    pump();
  });
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const task = JSON.parse(line);
  console.log(JSON.stringify(await (task.bytes === undefined ? roundTrips(task) : oneWay(task))));
}
process.exit();
