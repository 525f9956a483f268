// Neighbour: an echo over ZeroMQ (native threads), request and reply sockets.
import { Reply } from 'zeromq';

const socket = new Reply();
await socket.bind('tcp://127.0.0.1:*');
console.log(JSON.stringify({ port: Number(socket.lastEndpoint.split(':').pop()) }));
process.stdin.on('end', () => process.exit()).resume();
for await (const [message] of socket) await socket.send(message);
