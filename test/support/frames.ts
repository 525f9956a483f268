/** Frames as bytes, for tests: whole messages to one buffer, and buffers back to what a decoder sees. */
import {
  CORRELATED,
  type EncodedBody,
  encodeBase,
  encodeCorrelated,
  FrameDecoder,
  type Message,
  TYPE_OF_KIND,
} from '../../src/protocol/index.js';

/** A frame seen by a decoder. */
export interface SeenFrame {
  readonly type: number;
  readonly id: number;
  readonly flags: number;
  readonly body: Buffer;
}

/** Any frame: `id` undefined makes a base frame. */
export function rawFrame(type: number, body: Uint8Array, id?: number, flags = 0, total?: number): Buffer {
  const prefix = id === undefined ? 0 : total === undefined ? 5 : 9;
  const head = Buffer.alloc(9 + prefix);
  head.write('EXO\x01', 'latin1');
  head[4] = id === undefined ? type : type | CORRELATED;
  head.writeUInt32BE(prefix + body.length, 5);
  if (id !== undefined) {
    head.writeUInt32BE(id, 9);
    head[13] = flags;
    if (total !== undefined) head.writeUInt32BE(total, 14);
  }
  return Buffer.concat([head, body]);
}

/** The bytes of a body. */
export function bodyBytes(body: EncodedBody): Buffer {
  const text = Buffer.from(body.text);
  const length = Buffer.alloc(body.framed ? 4 : 0);
  if (body.framed) length.writeUInt32BE(text.length);
  return Buffer.concat([length, text, body.payload ?? Buffer.alloc(0)]);
}

/** A message as a base frame. */
export function baseFrame(message: Message): Buffer {
  return rawFrame(TYPE_OF_KIND[message.kind], bodyBytes(encodeBase(message)));
}

/** A message as one correlated frame. */
export function correlatedFrame(message: Message, id: number): Buffer {
  return rawFrame(TYPE_OF_KIND[message.kind], bodyBytes(encodeCorrelated(message)), id);
}

/** A decoder that keeps every frame. */
export function collectingDecoder(): { readonly decoder: FrameDecoder; readonly frames: SeenFrame[] } {
  const frames: SeenFrame[] = [];
  const decoder = new FrameDecoder({
    checkHeader: () => undefined,
    place: (head) => Buffer.alloc(head.bodyLength),
    frame: (head, body) =>
      frames.push({ type: head.type, id: head.id, flags: head.flags, body: body ?? Buffer.alloc(0) }),
  });
  return { decoder, frames };
}
