/**
 * The codec without sockets, beside what the same bytes cost at least: walking headers for the decoder, and
 * JSON.parse / JSON.stringify of the same text for a tensor's metadata.
 */
import { Bench } from 'tinybench';
import {
  CORRELATED,
  encodeCorrelated,
  FrameDecoder,
  HEADER_BYTES,
  MAGIC,
  MessageDecoder,
  PREFIX_BYTES,
  type TensorRequest,
  TYPE,
} from '../src/protocol/index.js';
import { atLeast, type Row } from './table.js';

const CHUNK_BYTES = 64 * 1024;

/** Rows for frames of 0 B and 8 KiB and for a tensor's metadata. */
export async function codecRows(quick: boolean): Promise<Row[]> {
  const time = quick ? 100 : 1_000;
  const rows: Row[] = [];
  for (const { label, size, min } of [
    { label: '0 B', size: 0, min: 0.1 },
    { label: '8 KiB', size: 8_192, min: 0.2 },
  ]) {
    const bytes = frames(size);
    const count = bytes.length / (HEADER_BYTES + PREFIX_BYTES + size);
    const body = Buffer.alloc(size);
    const decoder = new FrameDecoder({
      checkHeader: () => undefined,
      place: () => body,
      frame: () => undefined,
    });
    const bench = new Bench({ time });
    bench.add('ours', () => decoder.push(bytes));
    bench.add('walk', () => walkAndCopy(bytes, body));
    const rate = await perSecond(bench);
    rows.push(
      atLeast(
        `decode frames of ${label}`,
        'frames/s',
        rate.ours * count,
        'header walk and copy',
        rate.walk * count,
        min,
      ),
    );
  }
  const message: TensorRequest = {
    kind: 'tensor-request',
    shard: { modelId: 'llama-3.2-1b', startLayer: 0, endLayer: 7, nLayers: 16 },
    tensor: { shape: [1, 1, 4096], dtype: 'float16', data: Buffer.alloc(8_192) },
    requestId: '6f2c1f0e-4be5-4d0e-9d2b-6d6b9b0d8b11',
    inferenceState: null,
  };
  const { text } = encodeCorrelated(message);
  const metadata = JSON.parse(text);
  const body = Buffer.alloc(4 + Buffer.byteLength(text) + 8_192);
  body.writeUInt32BE(Buffer.byteLength(text), 0);
  body.write(text, 4);
  const decoder = new MessageDecoder();
  const decode = new Bench({ time });
  decode.add('ours', () => void decoder.decode(TYPE.tensorRequest, body));
  decode.add('walk', () => void JSON.parse(body.toString('utf8', 4, 4 + text.length)));
  const decoded = await perSecond(decode);
  rows.push(atLeast('decode a tensor of 8 KiB', 'messages/s', decoded.ours, 'JSON.parse', decoded.walk, 0.5));
  const encode = new Bench({ time });
  encode.add('ours', () => void encodeCorrelated(message));
  encode.add('walk', () => void JSON.stringify(metadata));
  const encoded = await perSecond(encode);
  rows.push(
    atLeast('encode a tensor of 8 KiB', 'messages/s', encoded.ours, 'JSON.stringify', encoded.walk, 0.5),
  );
  return rows;
}

/** A chunk full of correlated pings of `size` bytes. */
function frames(size: number): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + PREFIX_BYTES + size);
  frame.set(MAGIC, 0);
  frame[4] = TYPE.ping | CORRELATED;
  frame.writeUInt32BE(PREFIX_BYTES + size, 5);
  frame.writeUInt32BE(1, 9);
  return Buffer.concat(Array.from({ length: Math.floor(CHUNK_BYTES / frame.length) }, () => frame));
}

function walkAndCopy(bytes: Buffer, body: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    const end = at + HEADER_BYTES + bytes.readUInt32BE(at + 5);
    bytes.copy(body, 0, at + HEADER_BYTES + PREFIX_BYTES, end);
    at = end;
  }
}

async function perSecond(bench: Bench): Promise<{ ours: number; walk: number }> {
  await bench.run();
  const of = (name: string) => {
    const { result } = bench.getTask(name)!;
    if (result.state !== 'completed') throw new Error(`${name}: ${result.state}`);
    return 1000 / result.latency.p50;
  };
  return { ours: of('ours'), walk: of('walk') };
}
