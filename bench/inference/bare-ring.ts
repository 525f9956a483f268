/**
 * The ring of two without a mesh: the same engines, and between them one bare socket with a fixed head before the bytes. What a hop
 * costs there is what this machine asks for waking another process between two steps; the rest is ours.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { InferenceEngine } from '../../src/inference/index.js';
import type { DType, Shard } from '../../src/protocol/index.js';
import { middle, someTokens } from './questions.js';

const HOST = '127.0.0.1';
const REQUEST = 'bare';
const DTYPES: readonly DType[] = ['float32', 'float16', 'bfloat16'];
const never = new AbortController().signal;

/** What a frame says before its bytes, each a little-endian u32: bytes, position, shape[1], shape[2], type. */
const HEAD_BYTES = 20;

/** What one token takes, and of it the first half's steps, medians in ms; and the tokens per second, as of the ring with a mesh. */
export interface BareTokens {
  readonly tokenMs: number;
  readonly forwardMs: number;
  readonly tokensPerS: number;
}

/** The second half: computes what comes and answers with the token, as a frame without bytes whose position it is. */
export async function serveBareRing(engine: InferenceEngine, shard: Shard): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.once('close', () => engine.release(REQUEST));
    eachFrame(socket, async (head, data) => {
      const [, position, sequence, hidden, type] = head;
      const shape = [1, sequence!, hidden!];
      const output = await engine.forward({
        requestId: REQUEST,
        shard,
        input: { kind: 'hidden', hidden: { shape, dtype: DTYPES[type!]!, data } },
        position: position!,
        signal: never,
        isGreedy: true,
      });
      if (output.kind !== 'token') throw new Error('no token');
      socket.write(frame([0, output.token, 0, 0, 0]));
    });
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  return server;
}

/** The first half: `steps` tokens after a prompt, over the server at `port`. */
export async function bareTokens(
  engine: InferenceEngine,
  shard: Shard,
  { port, prompt, steps }: { readonly port: number; readonly prompt: number; readonly steps: number },
): Promise<BareTokens> {
  const socket = connect({ host: HOST, port, noDelay: true });
  await once(socket, 'connect');
  let answered: (token: number) => void = () => undefined;
  eachFrame(socket, async ([, token]) => answered(token!));
  const tokenMs: number[] = [];
  const forwardMs: number[] = [];
  let tokens: readonly number[] = someTokens(prompt);
  for (let step = 0, position = 0; step <= steps; step += 1) {
    const fromMs = performance.now();
    const output = await engine.forward({
      requestId: REQUEST,
      shard,
      input: { kind: 'tokens', tokens },
      position,
      signal: never,
    });
    const computedMs = performance.now();
    if (output.kind !== 'hidden') throw new Error('no hidden states');
    const { data, shape, dtype } = output.hidden;
    const answer = new Promise<number>((resolve) => {
      answered = resolve;
    });
    socket.write(frame([data.length, position, shape[1]!, shape[2]!, DTYPES.indexOf(dtype)], data));
    position += tokens.length;
    tokens = [await answer];
    // The first step is the prompt.
    if (step === 0) continue;
    tokenMs.push(performance.now() - fromMs);
    forwardMs.push(computedMs - fromMs);
  }
  socket.destroy();
  engine.release(REQUEST);
  const tookMs = tokenMs.reduce((sum, ms) => sum + ms, 0);
  return {
    tokenMs: middle(tokenMs),
    forwardMs: middle(forwardMs),
    tokensPerS: (tokenMs.length * 1000) / tookMs,
  };
}

function frame(head: readonly number[], data: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + data.length);
  head.forEach((value, index) => {
    bytes.writeUInt32LE(value, index * 4);
  });
  data.copy(bytes, HEAD_BYTES);
  return bytes;
}

/** One frame is on its way at a time. */
function eachFrame(socket: Socket, onFrame: (head: readonly number[], data: Buffer) => Promise<void>): void {
  let seen: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    if (seen.length < HEAD_BYTES) return;
    const head = Array.from({ length: HEAD_BYTES / 4 }, (_, index) => seen.readUInt32LE(index * 4));
    if (seen.length < HEAD_BYTES + head[0]!) return;
    const data = Buffer.from(seen.subarray(HEAD_BYTES));
    seen = Buffer.alloc(0);
    onFrame(head, data).catch((error: Error) => socket.destroy(error));
  });
  socket.on('error', (error) => console.error(`the bare ring: ${error.message}`));
}
