/**
 * The frames of the correlated form that docs/PROTOCOL.md shows, written by the shipped connection: one conversation
 * between two ends in memory, cut into frames. Base frames of the original are in `golden-frames.ts`.
 */
import { ExoError, LIMITS } from '../../src/shared/index.js';
import { closePair, connectionPair, DUMMY_SHARD, helloOf, promptOf } from './connection-pair.js';

const HEADER_BYTES = 9;
const CAPABILITIES = { model: 'M', chip: 'C', memory: 1024, flops: { fp32: 0, fp16: 0, int8: 0 } };
const COMMON = { capabilities: CAPABILITIES, topologyDigest: '', agent: 'doc/1' };
const HELLO = helloOf('a', {
  ...COMMON,
  instance: '00000000000000aa',
  path: { description: 'MAN', priority: 4 },
});
const ANSWER = helloOf('b', { ...COMMON, instance: '00000000000000bb', epoch: 2, nodePort: 50052 });

/** Cuts whole frames out of what one end wrote. */
function framesIn(written: readonly Buffer[]): Buffer[] {
  let bytes = Buffer.concat(written);
  const frames: Buffer[] = [];
  while (bytes.length > 0) {
    const end = HEADER_BYTES + bytes.readUInt32BE(5);
    frames.push(bytes.subarray(0, end));
    bytes = bytes.subarray(end);
  }
  return frames;
}

/** Frames by the name that they have in the document, in its order. */
export async function documentedFrames(): Promise<ReadonlyMap<string, Buffer>> {
  const pair = connectionPair({
    acceptor: {
      onHello: () => ANSWER,
      onMessage: (_connection, message) => {
        if (message.kind === 'tensor-request') return { kind: 'tensor-response', tensor: null };
        if (message.kind === 'prompt') throw new ExoError('model-unknown', 'no model is called "x"');
        return undefined;
      },
    },
  });
  const { dialler, acceptor } = pair;
  await dialler.introduce(HELLO);
  await dialler.request({ kind: 'ping', data: Buffer.from([0xbe, 0xef]) });
  await dialler.request(promptOf('hé')).catch(() => undefined);
  // With its metadata a few bytes more than one fragment.
  const tensor = {
    shape: [1, LIMITS.fragmentBytesMax],
    dtype: 'uint8' as const,
    data: Buffer.alloc(LIMITS.fragmentBytesMax, 3),
  };
  await dialler.request({
    kind: 'tensor-request',
    shard: DUMMY_SHARD,
    tensor,
    requestId: 'r1',
    inferenceState: null,
    origin: 'a',
  });
  acceptor.notify({ kind: 'result', requestId: 'r1', result: [7], isFinished: false, index: 0 });
  acceptor.notify({
    kind: 'topology-update',
    entries: [
      {
        id: 'b',
        epoch: 2,
        version: 3,
        capabilities: CAPABILITIES,
        edges: [{ toId: 'a', description: 'MAN' }],
        lost: [{ id: 'c', epoch: 1 }],
      },
    ],
    spread: [],
  });
  // Control frames overtake the others, so what was said before has to leave first.
  await dialler.request({ kind: 'ping', data: Buffer.alloc(0) });
  dialler.notify({ kind: 'cancel-request', requestId: 'r1' });
  dialler.notify({ kind: 'goodbye', reason: 'stopping' });
  await closePair(pair);
  const [hello, ping, prompt, tensorFirst, tensorLast, , cancel, goodbye] = framesIn(
    pair.diallerStream.written,
  );
  const [helloAnswer, pong, error, tensorAnswer, result, update] = framesIn(pair.acceptorStream.written);
  const named = {
    hello,
    helloAnswer,
    ping,
    pong,
    correlatedPrompt: prompt,
    errorAnswer: error,
    tensorFirstFragment: tensorFirst,
    tensorLastFragment: tensorLast,
    tensorAnswer,
    resultWithIndex: result,
    topologyUpdate: update,
    cancel,
    goodbye,
  };
  return new Map(Object.entries(named).map(([name, frame]) => [name, frame!]));
}
