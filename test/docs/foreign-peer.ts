/**
 * A peer written from docs/PROTOCOL.md alone: it imports nothing of src. Says hello, cuts and joins fragments, answers pings,
 * works out digests. What it can't do with the document is missing in the document.
 */
import { createHash } from 'node:crypto';
import net from 'node:net';

const MAGIC = Buffer.from('45584f01', 'hex');
const FRAGMENT_BYTES_MAX = 262_144;
const MORE = 1;
const TOTAL = 2;
const ABANDON = 4;
const DEADLINE_MS = 5_000;

/** One message: type without bit 7, correlation id (undefined in the base form), whole body. */
export interface ForeignMessage {
  readonly type: number;
  readonly id: number | undefined;
  readonly body: Buffer;
}

/** An entry as it stands in JSON. */
export interface ForeignEntry {
  readonly id: string;
  readonly epoch: number;
  readonly version: number;
  readonly capabilities: {
    readonly model: string;
    readonly chip: string;
    readonly memory: number;
    readonly flops: { readonly fp32: number; readonly fp16: number; readonly int8: number };
  };
  readonly edges: ReadonlyArray<{ readonly to_id: string; readonly description: string }>;
  readonly lost: ReadonlyArray<{ readonly id: string; readonly epoch: number }>;
}

/** One dialled connection. */
export class ForeignPeer {
  readonly #socket: net.Socket;
  readonly #messages: ForeignMessage[] = [];
  readonly #fragments = new Map<string, Buffer[]>();
  #bytes = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  #isClosed = false;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    // A reset is an end, too.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  static dial(port: number): Promise<ForeignPeer> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('error', reject);
      socket.once('connect', () => resolve(new ForeignPeer(socket)));
    });
  }

  /** A frame without bit 7. */
  base(type: number, body: Uint8Array | string): void {
    this.#write(type, Buffer.from(body));
  }

  /** One correlated frame. */
  frame(type: number, id: number, body: Uint8Array | string, flags = 0, total?: number): void {
    const prefix = Buffer.alloc(total === undefined ? 5 : 9);
    prefix.writeUInt32BE(id);
    prefix[4] = flags;
    if (total !== undefined) prefix.writeUInt32BE(total, 5);
    this.#write(type | 0x80, Buffer.concat([prefix, Buffer.from(body)]));
  }

  /** The fragments of a long message; send them with other frames in between. */
  fragments(type: number, id: number, body: Buffer): Array<() => void> {
    const sends: Array<() => void> = [];
    for (let at = 0; at < body.length; at += FRAGMENT_BYTES_MAX) {
      const part = body.subarray(at, at + FRAGMENT_BYTES_MAX);
      const more = at + part.length < body.length ? MORE : 0;
      sends.push(() =>
        at === 0 ? this.frame(type, id, part, more | TOTAL, body.length) : this.frame(type, id, part, more),
      );
    }
    return sends;
  }

  abandon(type: number, id: number): void {
    this.frame(type, id, '', ABANDON);
  }

  /** The next message of this type and id; others are kept. Rejects when it does not come in time. */
  async read(type: number, id?: number): Promise<Buffer> {
    const fits = (message: ForeignMessage) => message.type === type && message.id === id;
    await this.#until(() => this.#messages.some(fits), `0x${type.toString(16)} ${id ?? 'base'}`);
    return this.#messages.splice(this.#messages.findIndex(fits), 1)[0]!.body;
  }

  async readJson<T>(type: number, id?: number): Promise<T> {
    return JSON.parse((await this.read(type, id)).toString()) as T;
  }

  /** Resolves when the other side has ended the connection. */
  async ended(): Promise<void> {
    await this.#until(() => this.#isClosed, 'the end of the connection');
  }

  close(): Promise<void> {
    this.#socket.destroy();
    return this.ended();
  }

  #write(type: number, rest: Buffer): void {
    const head = Buffer.alloc(5);
    head[0] = type;
    head.writeUInt32BE(rest.length, 1);
    this.#socket.write(Buffer.concat([MAGIC, head, rest]));
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 9) {
      const end = 9 + this.#bytes.readUInt32BE(5);
      if (!this.#bytes.subarray(0, 4).equals(MAGIC)) throw new Error('no frame begins here');
      if (this.#bytes.length < end) break;
      const frame = this.#bytes.subarray(0, end);
      this.#bytes = this.#bytes.subarray(end);
      this.#frame(frame[4]!, frame.subarray(9));
    }
    this.#wake();
  }

  #frame(type: number, rest: Buffer): void {
    if ((type & 0x80) === 0) {
      this.#messages.push({ type, id: undefined, body: rest });
      return;
    }
    const id = rest.readUInt32BE(0);
    const flags = rest[4]!;
    const key = `${type} ${id}`;
    const parts = this.#fragments.get(key) ?? [];
    parts.push(rest.subarray((flags & TOTAL) === 0 ? 5 : 9));
    if ((flags & MORE) !== 0) {
      this.#fragments.set(key, parts);
      return;
    }
    this.#fragments.delete(key);
    const message = { type: type & 0x7f, id, body: Buffer.concat(parts) };
    // Life: a ping is answered with its bytes.
    if (message.type === 0x50) this.frame(0x51, id, message.body);
    else this.#messages.push(message);
  }

  #until(isTrue: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#socket.destroy();
        reject(new Error(`${what} did not come; there is ${this.#messages.map(({ type }) => type).join()}`));
      }, DEADLINE_MS);
      this.#wake = () => {
        if (!isTrue() && !this.#isClosed) return;
        clearTimeout(timer);
        if (isTrue()) resolve();
        else reject(new Error(`the connection ended before ${what} came`));
      };
      this.#wake();
    });
  }
}

/** Appendix C, for entries whose edges all hold and whose nodes are all present. */
export function foreignDigest(entries: readonly ForeignEntry[]): string {
  const present = new Set(entries.map(({ id }) => id));
  const texts = [...entries]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, capabilities: { model, chip, memory, flops }, edges }) => {
      const capabilities = JSON.stringify([model, chip, memory, flops.fp32, flops.fp16, flops.int8]);
      const edgeTexts = edges
        .filter((edge) => present.has(edge.to_id))
        .map((edge) => JSON.stringify([edge.to_id, edge.description]))
        .sort();
      return JSON.stringify([id, false, capabilities, edgeTexts]);
    });
  return createHash('sha256').update(texts.join('')).digest('hex').slice(0, 16);
}
