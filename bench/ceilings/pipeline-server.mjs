// Ceiling of many small requests: walks the 9-byte headers in what arrives and answers each frame with itself;
// all answers of one chunk leave in one write.
import net from 'node:net';

const server = net.createServer({ noDelay: true }, (socket) => {
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 9) {
      const end = at + 9 + bytes.readUInt32BE(at + 5);
      if (end > bytes.length) break;
      at = end;
    }
    rest = bytes.subarray(at);
    if (at > 0) socket.write(bytes.subarray(0, at));
  });
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.on('end', () => process.exit()).resume();
