// Ceiling of many small requests: keeps `inFlight` frames on the way, walks the headers of the answers, and sends
// what one chunk of answers allows in one write at the end of the tick.
import net from 'node:net';
import readline from 'node:readline';

const socket = net.connect({ port: Number(process.argv[2]), host: '127.0.0.1', noDelay: true });
let onChunk = () => {};
socket.on('data', (chunk) => onChunk(chunk));

function round({ size, count, inFlight }) {
  const frame = Buffer.alloc(9 + size);
  frame.writeUInt32BE(size, 5);
  const burst = Buffer.concat(Array.from({ length: inFlight }, () => frame));
  return new Promise((resolve) => {
    let sent = inFlight;
    let done = 0;
    let rest = Buffer.alloc(0);
    const startedAt = performance.now();
    onChunk = (chunk) => {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let at = 0;
      let answers = 0;
      for (; bytes.length - at >= 9 && at + 9 + bytes.readUInt32BE(at + 5) <= bytes.length; answers++)
        at += frame.length;
      rest = bytes.subarray(at);
      done += answers;
      const more = Math.min(answers, count - sent);
      sent += more;
      if (more > 0) process.nextTick(() => socket.write(burst.subarray(0, more * frame.length)));
      if (done >= count) resolve({ perSecond: (count * 1000) / (performance.now() - startedAt) });
    };
    socket.write(burst);
  });
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await round(JSON.parse(line))));
}
process.exit();
