/**
 * Reads JSON that came over the wire: bounded depth, Python's `NaN` and `Infinity`, no `__proto__` keys. Pure.
 * Form is checked here, shape in `message-schemas.ts`.
 */
import { isUtf8 } from 'node:buffer';
import { ExoError, LIMITS, printable } from '../../shared/index.js';

/** The value in UTF-8 JSON bytes. Throws `frame-malformed`. `NaN` reads as null, `Infinity` as itself. */
export function readJson(bytes: Buffer): unknown {
  checkDepth(bytes);
  if (!isUtf8(bytes)) throw new ExoError('frame-malformed', 'a JSON body is not valid UTF-8');
  const text = bytes.toString('utf8');
  try {
    return parse(text);
  } catch {
    return parsePython(text);
  }
}

/** `__proto__` in plain letters, or letters of it as escapes. */
const SUSPICIOUS = /__proto__|\\u00[5-7]/i;

function parse(text: string): unknown {
  return SUSPICIOUS.test(text)
    ? JSON.parse(text, (key, value: unknown) => (key === '__proto__' ? undefined : value))
    : JSON.parse(text);
}

function parsePython(text: string): unknown {
  try {
    return parse(withoutPythonWords(text));
  } catch (cause) {
    const reason = printable((cause as Error).message);
    throw new ExoError('frame-malformed', `a JSON body cannot be read: ${reason}`, { cause });
  }
}

/** Words of Python outside of texts, and what JSON reads as the same. */
const WORDS = /-?\bInfinity\b|\bNaN\b/g;
const JSON_WORDS: Readonly<Record<string, string>> = {
  NaN: 'null',
  Infinity: '1e999',
  '-Infinity': '-1e999',
};

/** Each byte is looked at once: an expression that also matches texts would begin again at every quote of one without an end. */
function withoutPythonWords(text: string): string {
  let plain = '';
  for (let at = 0; at < text.length; ) {
    const quote = text.indexOf('"', at);
    const textAt = quote < 0 ? text.length : quote;
    plain += text.slice(at, textAt).replace(WORDS, (word) => JSON_WORDS[word] ?? word);
    at = endOfText(text, textAt);
    plain += text.slice(textAt, at);
  }
  return plain;
}

/** Behind the quote that closes the text which opens at `quote`; the end of everything where none does. */
function endOfText(text: string, quote: number): number {
  for (let at = quote + 1; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === BACKSLASH) at += 1;
    else if (unit === QUOTE) return at + 1;
  }
  return text.length;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** `[`, `{` and their closing twins differ from each other in bit 5 only. */
const OPEN = 0x5b;
const CLOSE = 0x5d;

/** One pass over the bytes; multi-byte characters have no byte below 0x80, so they never look like brackets. */
function checkDepth(bytes: Buffer): void {
  if (bytes.length <= LIMITS.jsonDepthMax) return;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (inString) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if ((byte & 0xdf) === OPEN) {
      depth += 1;
      if (depth > LIMITS.jsonDepthMax) {
        throw new ExoError('frame-malformed', `a JSON body nests deeper than ${LIMITS.jsonDepthMax} levels`);
      }
    } else if ((byte & 0xdf) === CLOSE) depth -= 1;
  }
}
