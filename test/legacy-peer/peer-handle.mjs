/**
 * An old peer's own connection to one other peer: one lock, one request at a time, any frame that arrives is
 * taken for the answer. A request that timed out leaves the connection open, so the late answer disturbs the
 * next request; a health check that fails disconnects. That is how the original is.
 */
import net from 'node:net';
import {
  decodeTensor,
  encodeTensor,
  FrameScanner,
  frame,
  jsonFrame,
  metaPayload,
  StreamReader,
  splitMeta,
  TYPE,
} from './wire.mjs';

export class PeerHandle {
  #socket = null;
  #reader = null;
  #lock = Promise.resolve();

  constructor({ id, host, port, caps, description }, record) {
    Object.assign(this, { id, host, port, caps, description });
    this.record = record;
  }

  get address() {
    return `${this.host}:${this.port}`;
  }

  #locked(work) {
    const run = this.#lock.then(work);
    this.#lock = run.catch(() => undefined);
    return run;
  }

  async connect(timeoutMs = 10_000) {
    if (this.#socket !== null) return;
    const socket = net.connect({ host: this.host, port: this.port });
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`connect to ${this.address} timed out`)), timeoutMs);
      socket.once('connect', resolve);
      socket.once('error', reject);
      const clear = () => clearTimeout(timer);
      socket.once('connect', clear);
      socket.once('error', clear);
    }).catch((error) => {
      socket.destroy();
      throw error;
    });
    socket.setNoDelay(true);
    const reader = new StreamReader(socket);
    const scanner = new FrameScanner(
      (type) => this.record.received(type, reader.waiting ? 'answer' : 'unsolicited'),
      (hex) => this.record.badMagic(`${this.id}: ${hex}`),
    );
    socket.prependListener('data', (chunk) => scanner.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket === socket) {
        this.#socket = null;
        this.#reader = null;
      }
    });
    this.#socket = socket;
    this.#reader = reader;
  }

  disconnect() {
    this.#socket?.destroy();
    this.#socket = null;
    this.#reader = null;
  }

  async #send(bytes) {
    if (this.#socket === null) await this.connect();
    this.record.sent(bytes[4]);
    const socket = this.#socket;
    await new Promise((resolve, reject) =>
      socket.write(bytes, (error) => (error ? reject(error) : resolve())),
    );
  }

  #request(bytes, expected, timeoutMs) {
    return this.#locked(async () => {
      await this.#send(bytes);
      const { type, payload } = await this.#reader.frame(timeoutMs);
      if (type !== expected) {
        this.record.mismatch(expected, type);
        throw new Error(`Expected message type ${expected}, got ${type}`);
      }
      return payload;
    });
  }

  async healthCheck() {
    try {
      await this.connect(5_000);
      const payload = await withTimeout(
        5_000,
        this.#request(frame(TYPE.HEALTH_REQ), TYPE.HEALTH_RESP, 30_000),
      );
      return JSON.parse(payload.toString('utf8')).is_healthy === true;
    } catch {
      this.disconnect();
      return false;
    }
  }

  sendPrompt(shard, prompt, requestId, state) {
    const body = { shard, prompt, request_id: requestId, inference_state: state };
    return this.#locked(() => this.#send(jsonFrame(TYPE.PROMPT_REQ, body)));
  }

  async sendTensor(shard, tensor, requestId, state) {
    const { meta, data } = encodeTensor(tensor);
    const body = { shard, tensor: meta, request_id: requestId, inference_state: state };
    const payload = await this.#request(
      frame(TYPE.TENSOR_REQ, metaPayload(body, data)),
      TYPE.TENSOR_RESP,
      30_000,
    );
    if (payload.equals(Buffer.alloc(4))) return null;
    const answer = splitMeta(payload);
    return decodeTensor(answer.meta, answer.data);
  }

  sendResult(requestId, result, isFinished) {
    const body = { request_id: requestId, result, is_finished: isFinished };
    return withTimeout(
      15_000,
      this.#locked(() => this.#send(jsonFrame(TYPE.RESULT, body))),
    );
  }

  async collectTopology(visited, maxDepth) {
    const body = { visited: [...visited], max_depth: maxDepth };
    const work = this.#request(jsonFrame(TYPE.TOPO_REQ, body), TYPE.TOPO_RESP, 30_000);
    return JSON.parse((await withTimeout(5_000, work)).toString('utf8'));
  }

  sendStatus(requestId, status) {
    const body = { request_id: requestId, status };
    return withTimeout(
      15_000,
      this.#locked(() => this.#send(jsonFrame(TYPE.STATUS, body))),
    );
  }
}

function withTimeout(ms, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('timed out')), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
