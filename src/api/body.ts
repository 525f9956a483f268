/**
 * Reads a JSON body: bounded, of a type that a foreign web page cannot send without being asked, and of the
 * shape that a zod schema tells. What is wrong is said with the name of the parameter.
 */
import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { LIMITS, printable } from '../shared/index.js';
import { jsonExcess } from './json-size.js';
import { HttpError } from './openai-errors.js';

/** The body as the schema's type. Throws `http-invalid` (400, 415) or `http-too-large`. */
export async function readJsonBody<T>(
  incoming: IncomingMessage,
  schema: z.ZodType<T>,
  bytesMax: number,
): Promise<T> {
  checkType(incoming);
  const text = decodeUtf8(await readBytes(incoming, bytesMax));
  const excess = jsonExcess(text);
  if (excess !== undefined) throw new HttpError('http-invalid', `the body is not read: ${excess}`);
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
 * A body that is too large is read to its end and thrown away (up to the original's limit), because a client
 * that is still sending would see a reset instead of the answer.
 */
async function readBytes(incoming: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const tooLarge = () =>
    new HttpError(
      'http-too-large',
      `the body is larger than ${bytesMax} bytes, the most this endpoint takes`,
    );
  if (Number(incoming.headers['content-length'] ?? 0) > LIMITS.httpBodyBytesMax) throw tooLarge();
  const chunks: Buffer[] = [];
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
      if (bytes <= bytesMax) chunks.push(chunk);
      else chunks.length = 0;
      if (bytes > LIMITS.httpBodyBytesMax) {
        incoming.pause();
        finish(tooLarge());
      }
    };
    const onEnd = () => finish(bytes > bytesMax ? tooLarge() : undefined);
    const onCut = () => finish(new HttpError('http-invalid', 'the body ended before its announced length'));
    incoming.on('data', onData);
    incoming.on('end', onEnd);
    incoming.on('close', onCut);
    incoming.on('error', onCut);
  });
  return Buffer.concat(chunks);
}

function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new HttpError('http-invalid', 'the body is not UTF-8');
  }
}
