// Neighbour: an echo over `ws`, as its README shows it; compression off, which is its fast way.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({
  port: 0,
  host: '127.0.0.1',
  perMessageDeflate: false,
  maxPayload: 64 << 20,
});
server.on('connection', (socket) => socket.on('message', (data) => socket.send(data, { binary: true })));
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.on('end', () => process.exit()).resume();
