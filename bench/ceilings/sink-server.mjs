// Ceiling of one-way throughput: reads and throws away; after every `expect` bytes (first 8 bytes of a burst) it
// answers one byte. Reports the resident memory that it needed for it when asked through stdin.
import net from 'node:net';

const server = net.createServer({ noDelay: true }, (socket) => {
  let missing = -1;
  socket.on('data', (chunk) => {
    if (missing < 0) missing = Number(chunk.readBigUInt64BE(0));
    missing -= chunk.length;
    if (missing > 0) return;
    missing = -1;
    socket.write(Buffer.alloc(1));
  });
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.on('data', () => console.log(JSON.stringify({ rss: process.memoryUsage.rss() })));
process.stdin.on('end', () => process.exit());
