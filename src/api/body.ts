/**
 * Reads a JSON body: bounded, of a type that a foreign web page cannot send without being asked, and of the
 * shape that a zod schema tells. What is wrong is said with the name of the parameter.
 */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { LIMITS, printable } from '../shared/index.js';
import { JsonSize } from './json-size.js';
import { HttpError } from './openai-errors.js';

/** The body as the schema's type. Throws `http-invalid` (400, 415) or `http-too-large`. */
export async function readJsonBody<T>(
  incoming: IncomingMessage,
  schema: z.ZodType<T>,
  bytesMax: number,
): Promise<T> {
  checkType(incoming);
  const text = await readText(incoming, bytesMax);
  let value: unknown;
  try {
    value = JSON.parse(text === '' ? '{}' : text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new HttpError('http-invalid', `the body is not valid JSON: ${printable(reason)}`);
  }
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
 * The text of a body, decoded and counted as it comes in, so that one of megabytes holds the event loop up no longer than its parts
 * do. What is refused is read to its end and thrown away (up to the original's limit), because a client that is still sending would
 * see a reset instead of the answer.
 */
async function readText(incoming: IncomingMessage, bytesMax: number): Promise<string> {
  const tooLarge = () =>
    new HttpError(
      'http-too-large',
      `the body is larger than ${bytesMax} bytes, the most this endpoint takes`,
    );
  if (Number(incoming.headers['content-length'] ?? 0) > LIMITS.httpBodyBytesMax) throw tooLarge();
  const text = new BodyText();
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
      if (bytes <= bytesMax) text.add(chunk);
      else text.refuse(tooLarge());
      if (bytes > LIMITS.httpBodyBytesMax) {
        incoming.pause();
        finish(tooLarge());
      }
    };
    const onEnd = () => finish();
    const onCut = () => finish(new HttpError('http-invalid', 'the body ended before its announced length'));
    incoming.on('data', onData);
    incoming.on('end', onEnd);
    incoming.on('close', onCut);
    incoming.on('error', onCut);
  });
  return text.end();
}

/** UTF-8 that comes in pieces. */
class BodyText {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  readonly #size = new JsonSize();
  #text = '';
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
    this.#text += piece;
    this.#size.feed(piece);
    const { excess } = this.#size;
    if (excess !== undefined) this.refuse(new HttpError('http-invalid', `the body is not read: ${excess}`));
  }

  /** Keeps nothing more. */
  refuse(fault: HttpError): void {
    this.#fault = fault;
    this.#text = '';
  }

  /** The whole. Throws what is wrong with it. */
  end(): string {
    this.add();
    if (this.#fault !== undefined) throw this.#fault;
    return this.#text;
  }
}
