/**
 * Reads JSON that came over the wire: bounded depth, Python's `NaN` and `Infinity`, no `__proto__` keys. Pure.
 * Form is checked here, shape in `message-schemas.ts`.
 */
import { isUtf8 } from 'node:buffer';
import { ExoError, LIMITS } from '../../shared/index.js';

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

/** Strings are matched first, so that words inside them stay as they are. */
const LITERALS = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g;

function parsePython(text: string): unknown {
  const plain = text.replace(LITERALS, (token) => {
    if (token === 'NaN') return 'null';
    if (token === 'Infinity') return '1e999';
    return token === '-Infinity' ? '-1e999' : token;
  });
  try {
    return parse(plain);
  } catch (cause) {
    throw new ExoError('frame-malformed', `a JSON body cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
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
