/**
 * An old peer's listener. Messages of one connection are handled strictly one after the other. A bad magic or a
 * type outside the list closes the connection without an answer; a known type that has no handler is ignored; a
 * handler that throws answers nothing.
 */
import net from 'node:net';
import { decodeTensor, FrameScanner, frame, jsonFrame, StreamReader, splitMeta, TYPE } from './wire.mjs';

export function createServer(node, record) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    const reader = new StreamReader(socket);
    const scanner = new FrameScanner(
      (type) => record.received(type, 'request'),
      (hex) => record.badMagic(hex),
    );
    socket.prependListener('data', (chunk) => scanner.push(chunk));
    void serve(socket, reader);
  });

  async function serve(socket, reader) {
    try {
      for (;;) {
        const { type, payload } = await reader.frame();
        try {
          const answer = await handle(type, payload);
          if (answer !== undefined) {
            record.sent(answer[4]);
            socket.write(answer);
          }
        } catch (error) {
          record.failure(`handler of type ${type}: ${error.message}`);
        }
      }
    } catch {
      socket.end();
      socket.destroySoon();
    }
  }

  async function handle(type, payload) {
    switch (type) {
      case TYPE.HEALTH_REQ:
        return jsonFrame(TYPE.HEALTH_RESP, { is_healthy: true });
      case TYPE.PROMPT_REQ: {
        const body = JSON.parse(payload.toString('utf8'));
        await node.processPrompt(body.shard, body.prompt, body.request_id, body.inference_state);
        return undefined;
      }
      case TYPE.TENSOR_REQ: {
        const { meta, data } = splitMeta(payload);
        await node.processTensor(
          meta.shard,
          decodeTensor(meta.tensor, data),
          meta.request_id,
          meta.inference_state,
        );
        return frame(TYPE.TENSOR_RESP, Buffer.alloc(4));
      }
      case TYPE.RESULT: {
        const n = payload.readUInt32BE(0);
        const body =
          n > 0 && n < payload.length ? splitMeta(payload).meta : JSON.parse(payload.toString('utf8'));
        node.handleResult(body.request_id, body.result, body.is_finished);
        return undefined;
      }
      case TYPE.TOPO_REQ:
        JSON.parse(payload.toString('utf8'));
        return jsonFrame(TYPE.TOPO_RESP, node.wireTopology());
      case TYPE.STATUS: {
        const body = JSON.parse(payload.toString('utf8'));
        node.handleStatus(body.request_id, body.status);
        return undefined;
      }
      default:
        return undefined;
    }
  }

  return {
    listen: (port, host) =>
      new Promise((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, () => resolve(server.address().port));
      }),
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
