/**
 * The bytes of the original protocol as an old peer reads and writes them. This folder is a second
 * implementation, written from the description of the original alone: it shares no line with src/.
 */

export const MAGIC = Buffer.from('EXO\x01', 'latin1');
export const TYPE = {
  HEALTH_REQ: 0x01,
  HEALTH_RESP: 0x02,
  PROMPT_REQ: 0x10,
  PROMPT_RESP: 0x11,
  TENSOR_REQ: 0x12,
  TENSOR_RESP: 0x13,
  EXAMPLE_REQ: 0x14,
  EXAMPLE_RESP: 0x15,
  RESULT: 0x20,
  TOPO_REQ: 0x30,
  TOPO_RESP: 0x31,
  STATUS: 0x40,
};
export const KNOWN_TYPES = new Set(Object.values(TYPE));
const HEADER_BYTES = 9;

/** Keys whose numbers the original holds as Python floats, and therefore writes with `.0`. */
const FLOAT_KEYS = new Set(['fp32', 'fp16', 'int8']);

/** JSON with the spelling of Python's json.dumps: `", "`, `": "`, `\uXXXX`, `0.0`. */
export function pyJson(value, key = '') {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return 'NaN';
    return FLOAT_KEYS.has(key) && Number.isInteger(value) ? `${value}.0` : String(value);
  }
  if (typeof value === 'string') {
    return JSON.stringify(value).replace(
      /[\u007f-\uffff]/g,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  }
  if (Array.isArray(value)) return `[${value.map((item) => pyJson(item)).join(', ')}]`;
  return `{${Object.entries(value)
    .map(([k, v]) => `${pyJson(k)}: ${pyJson(v, k)}`)
    .join(', ')}}`;
}

export function frame(type, payload = Buffer.alloc(0)) {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header[4] = type;
  header.writeUInt32BE(payload.length, 5);
  return Buffer.concat([header, payload]);
}

export const jsonFrame = (type, body) => frame(type, Buffer.from(pyJson(body), 'utf8'));

/** u32 length, metadata, raw bytes: tensor requests and answers. */
export function metaPayload(meta, data) {
  const json = Buffer.from(pyJson(meta), 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, json, data]);
}

export function splitMeta(payload) {
  const length = payload.readUInt32BE(0);
  return { meta: JSON.parse(payload.toString('utf8', 4, 4 + length)), data: payload.subarray(4 + length) };
}

/** The element types that numpy knows by these names; any other name is a TypeError there. */
const DTYPES = {
  float64: [8, (b, o) => b.readDoubleLE(o), (b, v, o) => b.writeDoubleLE(v, o)],
  float32: [4, (b, o) => b.readFloatLE(o), (b, v, o) => b.writeFloatLE(v, o)],
  int64: [8, (b, o) => Number(b.readBigInt64LE(o)), (b, v, o) => b.writeBigInt64LE(BigInt(v), o)],
  uint64: [8, (b, o) => Number(b.readBigUInt64LE(o)), (b, v, o) => b.writeBigUInt64LE(BigInt(v), o)],
  int32: [4, (b, o) => b.readInt32LE(o), (b, v, o) => b.writeInt32LE(v, o)],
  uint32: [4, (b, o) => b.readUInt32LE(o), (b, v, o) => b.writeUInt32LE(v, o)],
  int16: [2, (b, o) => b.readInt16LE(o), (b, v, o) => b.writeInt16LE(v, o)],
  uint8: [1, (b, o) => b.readUInt8(o), (b, v, o) => b.writeUInt8(v, o)],
  int8: [1, (b, o) => b.readInt8(o), (b, v, o) => b.writeInt8(v, o)],
};

export function decodeTensor(meta, data) {
  const type = DTYPES[meta.dtype];
  if (type === undefined) throw new TypeError(`data type '${meta.dtype}' not understood`);
  const [size, read] = type;
  const count = meta.shape.reduce((a, b) => a * b, 1);
  if (count * size !== data.length) {
    throw new RangeError(`cannot reshape ${data.length} bytes into ${meta.shape} of ${meta.dtype}`);
  }
  const values = Array.from({ length: count }, (_, i) => read(data, i * size));
  return { shape: meta.shape, dtype: meta.dtype, values };
}

export function encodeTensor({ shape, dtype, values }) {
  const [size, , write] = DTYPES[dtype];
  const data = Buffer.alloc(values.length * size);
  values.forEach((value, i) => {
    write(data, value, i * size);
  });
  return { meta: { shape, dtype }, data };
}

/** Counts the type byte of every frame in a byte stream, whoever reads it. Stops at the first bad magic. */
export class FrameScanner {
  #pending = Buffer.alloc(0);
  #skip = 0;
  #dead = false;

  constructor(onType, onBadMagic) {
    this.onType = onType;
    this.onBadMagic = onBadMagic;
  }

  push(chunk) {
    let bytes = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    while (!this.#dead) {
      const skipped = Math.min(this.#skip, bytes.length);
      bytes = bytes.subarray(skipped);
      this.#skip -= skipped;
      if (this.#skip > 0 || bytes.length < HEADER_BYTES) break;
      if (!bytes.subarray(0, 4).equals(MAGIC)) {
        this.#dead = true;
        this.onBadMagic(bytes.subarray(0, 16).toString('hex'));
        return;
      }
      this.onType(bytes[4], bytes.readUInt32BE(5));
      this.#skip = bytes.readUInt32BE(5);
      bytes = bytes.subarray(HEADER_BYTES);
    }
    this.#pending = Buffer.from(bytes);
  }
}

/** `readexactly` over a socket, with an optional deadline. A read that timed out leaves the bytes for the next one. */
export class StreamReader {
  #chunks = [];
  #length = 0;
  #wanted = null;
  #ended = null;

  constructor(socket) {
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#wanted?.();
    });
    const end = (error) => {
      this.#ended ??= error instanceof Error ? error : new Error('connection closed');
      this.#wanted?.();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }

  get waiting() {
    return this.#wanted !== null;
  }

  async exactly(count, timeoutMs) {
    const deadline = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
    while (this.#length < count) {
      if (this.#ended !== null) throw this.#ended;
      await new Promise((resolve, reject) => {
        let timer;
        const done = (fn, arg) => {
          clearTimeout(timer);
          this.#wanted = null;
          fn(arg);
        };
        this.#wanted = () => done(resolve);
        if (deadline !== undefined) {
          timer = setTimeout(
            () => done(reject, new Error('read timed out')),
            Math.max(0, deadline - Date.now()),
          );
        }
      });
    }
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks, this.#length);
    const rest = all.subarray(count);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#length = rest.length;
    return all.subarray(0, count);
  }

  /** One frame. A bad magic or an unknown type throws: the reader of this protocol then closes. */
  async frame(timeoutMs) {
    const header = await this.exactly(HEADER_BYTES, timeoutMs);
    if (!header.subarray(0, 4).equals(MAGIC))
      throw new Error(`invalid magic ${header.toString('hex', 0, 4)}`);
    const type = header[4];
    if (!KNOWN_TYPES.has(type)) throw new Error(`${type} is not a valid MessageType`);
    const payload = await this.exactly(header.readUInt32BE(5), timeoutMs);
    return { type, payload: Buffer.from(payload) };
  }
}
