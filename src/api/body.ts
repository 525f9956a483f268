/**
 * Reads a JSON body: bounded, of a type that a foreign web page cannot send without being asked, and of the
 * shape that a zod schema tells. What is wrong is said with the name of the parameter.
 */
import type { IncomingMessage } from 'node:http';
import type * as z from 'zod';
import { LIMITS, printable } from '../shared/index.js';
import { JsonReader, parseJson } from './json-reader.js';
import { HttpError } from './openai-errors.js';

/** The body as the schema's type. Throws `http-invalid` (400, 415) or `http-too-large`. */
export async function readJsonBody<T>(
  incoming: IncomingMessage,
  schema: z.ZodType<T>,
  bytesMax: number,
): Promise<T> {
  checkType(incoming);
  const value = await readValue(incoming, bytesMax);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = issue?.path.join('.') ?? '';
  const message = printable(issue?.message ?? 'is not valid');
  throw new HttpError(
    'http-invalid',
    `${param === '' ? 'the body' : param}: ${message}`,
    param === '' ? {} : { param },
  );
}

/**
 * JSON, or no type at all. Types that a form can send pass only without an Origin: `curl -d` sends them, and so
 * would a foreign page, which always names its origin.
 */
function checkType(incoming: IncomingMessage): void {
  const encoding = incoming.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new HttpError(
      'http-invalid',
      `Content-Encoding "${printable(encoding)}" is not accepted; send plain JSON`,
      {
        status: 415,
      },
    );
  }
  const type = incoming.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === '' || type === 'application/json' || type.endsWith('+json')) return;
  const fromForm = type === 'application/x-www-form-urlencoded' || type === 'text/plain';
  if (fromForm && incoming.headers.origin === undefined) return;
  throw new HttpError(
    'http-invalid',
    `Content-Type "${printable(type)}" is not accepted; send Content-Type: application/json`,
    { status: 415 },
  );
}

/**
 * The value of a body, read as it comes in, so that one of megabytes holds the event loop up no longer than one of its parts does:
 * between two parts everything else has its turn, however many wait in the socket. What is refused is read to its end and thrown
 * away (up to the original's limit), because a client that is still sending would see a reset instead of the answer.
 */
async function readValue(incoming: IncomingMessage, bytesMax: number): Promise<unknown> {
  const tooLarge = () =>
    new HttpError(
      'http-too-large',
      `the body is larger than ${bytesMax} bytes, the most this endpoint takes`,
    );
  if (Number(incoming.headers['content-length'] ?? 0) > LIMITS.httpBodyBytesMax) throw tooLarge();
  const body = new Body();
  let bytes = 0;
  // Not `for await`: leaving it early would destroy the socket before the answer is out.
  await new Promise<void>((resolve, reject) => {
    const finish = (error?: Error) => {
      incoming.off('data', onData);
      incoming.off('end', onEnd);
      incoming.off('close', onCut);
      incoming.off('error', onCut);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) body.add(chunk);
      else body.refuse(tooLarge());
      incoming.pause();
      if (bytes > LIMITS.httpBodyBytesMax) finish(tooLarge());
      else setImmediate(() => incoming.resume());
    };
    const onEnd = () => finish();
    const onCut = () => finish(new HttpError('http-invalid', 'the body ended before its announced length'));
    incoming.on('data', onData);
    incoming.on('end', onEnd);
    incoming.on('close', onCut);
    incoming.on('error', onCut);
  });
  return body.end();
}

/** Less is parsed at once, in two milliseconds whatever it is. */
const SMALL_CHARS = 16_384;

/** JSON in UTF-8 that comes in pieces. */
class Body {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #text = '';
  #reader: JsonReader | undefined;
  #fault: HttpError | undefined;

  add(bytes?: Buffer): void {
    if (this.#fault !== undefined) return;
    let piece: string;
    try {
      piece = this.#decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      this.refuse(new HttpError('http-invalid', 'the body is not UTF-8'));
      return;
    }
    if (this.#reader !== undefined) {
      this.#read(this.#reader, piece);
      return;
    }
    this.#text += piece;
    if (this.#text.length <= SMALL_CHARS) return;
    this.#reader = new JsonReader();
    this.#read(this.#reader, this.#text);
    this.#text = '';
  }

  /** Keeps nothing more. */
  refuse(fault: HttpError): void {
    this.#fault = fault;
    this.#text = '';
    this.#reader = undefined;
  }

  /** The whole. Throws what is wrong with it. */
  end(): unknown {
    this.add();
    if (this.#fault !== undefined) throw this.#fault;
    if (this.#reader !== undefined) return this.#reader.end();
    return this.#text === '' ? {} : parseJson(this.#text);
  }

  #read(reader: JsonReader, piece: string): void {
    try {
      reader.feed(piece);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.refuse(error);
    }
  }
}
