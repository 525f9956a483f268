/** Parsers with a known flaw each: what the fuzz must find before anybody believes it. Loaded by planted.test.ts only. */
import assert from 'node:assert/strict';
import { ExoError } from '../../src/shared/index.js';
import type { FuzzTarget } from './target.js';

const refuse = (why: string) => new ExoError('frame-malformed', why);

function planted(name: string, sample: string, run: (text: string) => string): () => Promise<FuzzTarget> {
  const target: FuzzTarget = {
    name,
    bytesMax: 64 * 1024,
    codes: ['frame-malformed'],
    seeds: () => [Buffer.from(sample)],
    run: (input) => run(input.toString('latin1')),
  };
  return () => Promise.resolve(target);
}

/** Reads `name=value;name=value`. */
function fields(text: string): Array<readonly [string, string]> {
  return text.split(';').map((field) => {
    const [name, value] = field.split('=');
    if (name === undefined || value === undefined) throw refuse('a field without a value');
    return [name, value] as const;
  });
}

export const TARGETS: Readonly<Record<string, () => Promise<FuzzTarget>>> = {
  /** Behind three steps that each need the one before: only who keeps what led further gets there. */
  'foreign-error': planted('foreign-error', 'a=1;b=2', (text) => {
    const [first] = fields(text);
    if (first === undefined || first[0].length < 4) throw refuse('a short name');
    if (!first[0].startsWith('a')) throw refuse('another name');
    if (first[1].length < 3) throw refuse('a short value');
    // No value has a fourth part, and nobody looks.
    return first[1].split('1')[3]!.trim() === '' ? 'empty' : 'full';
  }),
  'raw-message': planted('raw-message', 'a=1', (text) => {
    if (/[^a-z0-9=;]/.test(text)) throw refuse(`this is not allowed: ${text.slice(0, 50)}`);
    return 'fine';
  }),
  'lost-byte': planted('lost-byte', 'a=1;b=2', (text) => {
    const read = fields(text);
    // `a=1=2` is read without its end.
    assert.equal(read.map((field) => field.join('=')).join(';'), text);
    return String(read.length);
  }),
  hang: planted('hang', 'a=1;b=2', (text) => {
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf(';', at);
      // A field of no length moves nothing on.
      if (end === at) continue;
      at = end < 0 ? text.length : end + 1;
    }
    return 'fine';
  }),
  slow: planted('slow', '"a\\"b"', (text) => {
    // Begins again at every quote of a text without an end.
    return /"(?:[^"\\]|\\.)*"/s.test(text) ? 'a text' : 'none';
  }),
  memory: planted('memory', '5:abcde', (text) => {
    const length = Number(/^(\d+):/.exec(text)?.[1] ?? 0);
    if (length > 1e8) throw refuse('too long');
    // A length is believed before the bytes are there.
    const parts: number[][] = [];
    for (let at = 0; at < length; at += 1) parts.push(new Array<number>(256).fill(at));
    return parts.length > 0 ? 'parts' : 'none';
  }),
  /** No flaw: nothing may be found. */
  sound: planted('sound', 'a=1', (text) => {
    if (!/^[a-z]+=\d+$/.test(text)) throw refuse('not a name and a number');
    return 'fine';
  }),
};
